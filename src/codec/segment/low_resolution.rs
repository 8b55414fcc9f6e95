//! Windows at a reduced spatial resolution: the low-pass corner of their planes, synthesised no further than it has to
//! be, and moved to the middles of the blocks of points that it stands for. Of volumes, planes are averaged besides.

use super::state::SegmentState;
use crate::predict::Reconstruction;
use crate::residual::kernels::Kernel;
use crate::residual::layout::Layout;
use crate::residual::wavelet::{inverse, low_size};
use crate::stream::PredictionMode;

/// The reduction of a tile's frames by 2^`low` along rows and columns.
pub(crate) struct LowResolution<'a> {
    layout: &'a Layout,
    low: usize,
    /// Rows and columns that are left.
    pub(crate) h: usize,
    pub(crate) w: usize,
}

impl<'a> LowResolution<'a> {
    /// The reduction by 2^`low` of frames with `layout`.
    pub(crate) fn new(layout: &'a Layout, low: usize) -> Self {
        Self { layout, low, h: low_size(layout.h, low), w: low_size(layout.w, low) }
    }

    /// Whether it is made from whole frames: where there is none, and of tiles too small to have such a corner.
    pub(crate) fn needs_frames(&self) -> bool {
        self.low == 0 || self.low > self.layout.levels
    }

    /// The reduced frames `[count][h][w]` of a decoded window.
    pub(crate) fn frames<R: Kernel>(&self, state: &SegmentState<'_, R>, decoded: &Reconstruction<R>, out: &mut Vec<R>) {
        let (count, n) = (decoded.count, self.h * self.w);
        out.clear();
        out.resize(count * n, R::default());
        if self.needs_frames() {
            self.average(&decoded.frames, out);
            return;
        }
        // Each split of rows or columns scales what is smooth by the root of two; a single one is not split.
        let splits = (0..self.low).flat_map(|level| [self.layout.h, self.layout.w].map(|n| low_size(n, level) > 1));
        let splits = splits.filter(|&split| split).count();
        let odd = if splits % 2 == 1 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
        let scale = R::from_f64(odd / (1 << (splits / 2)) as f64);
        let (mut plane, mut scratch) = (vec![R::default(); n], Vec::new());
        let mut planes = vec![R::default(); count * n];
        for (from, to) in decoded.planes.chunks_exact(self.layout.len()).zip(planes.chunks_exact_mut(n)) {
            for y in 0..self.h {
                plane[y * self.w..][..self.w].copy_from_slice(&from[y * self.layout.w..][..self.w]);
            }
            inverse(&mut plane, self.h, self.w, self.layout.levels - self.low, &mut scratch);
            self.centre(&mut plane);
            R::axpy(scale, &plane, to);
        }
        if state.header.mode == PredictionMode::Hierarchical {
            out.copy_from_slice(&planes);
        } else {
            state.basis(count).synthesise(&planes, n, out);
        }
    }

    /// Moves samples, which stand at the first points of blocks, to the blocks' middles, by cubic interpolation.
    fn centre<R: Kernel>(&self, plane: &mut [R]) {
        let factor = 1 << self.low;
        let mut line = vec![R::default(); self.h.max(self.w)];
        let columns = taps::<R>(self.layout.w, factor);
        for row in plane.chunks_exact_mut(self.w) {
            line[..self.w].copy_from_slice(row);
            for (slot, taps) in row.iter_mut().zip(&columns) {
                *slot = taps.iter().map(|&(at, weight)| weight * line[at]).sum();
            }
        }
        let rows = taps::<R>(self.layout.h, factor);
        for x in 0..self.w {
            for y in 0..self.h {
                line[y] = plane[y * self.w + x];
            }
            for (y, taps) in rows.iter().enumerate() {
                plane[y * self.w + x] = taps.iter().map(|&(at, weight)| weight * line[at]).sum();
            }
        }
    }

    /// Averages over blocks of points.
    fn average<R: Kernel>(&self, frames: &[R], out: &mut [R]) {
        let factor = 1 << self.low;
        let (h, w) = (self.layout.h, self.layout.w);
        for (frame, small) in frames.chunks_exact(h * w).zip(out.chunks_exact_mut(self.h * self.w)) {
            for y in 0..self.h {
                for x in 0..self.w {
                    let (rows, columns) = (factor.min(h - y * factor), factor.min(w - x * factor));
                    let mut sum = R::default();
                    for row in 0..rows {
                        for &v in &frame[(y * factor + row) * w + x * factor..][..columns] {
                            sum += v;
                        }
                    }
                    small[y * self.w + x] = sum / R::from_f64((rows * columns) as f64);
                }
            }
        }
    }

    /// Averages over the planes of volumes that are left of them; as they are, where frames are planes.
    pub(crate) fn along_planes<R: Kernel>(&self, planes: &mut Vec<R>) {
        if self.layout.depth == 1 {
            return;
        }
        let n = self.h * self.w;
        let mut out = Vec::with_capacity(planes.len().div_ceil(1 << self.low));
        for volume in planes.chunks_exact(self.layout.depth * n) {
            for block in volume.chunks(n << self.low) {
                let share = R::from_f64(1.0 / (block.len() / n) as f64);
                let start = out.len();
                out.resize(start + n, R::default());
                block.chunks_exact(n).for_each(|plane| R::axpy(share, plane, &mut out[start..]));
            }
        }
        *planes = out;
    }

    /// The classes of blocks of points: masked where all of a block is, then as its first point.
    pub(crate) fn classes(&self, classes: &[u8], count: usize) -> Vec<u8> {
        if classes.is_empty() {
            return Vec::new();
        }
        let factor = 1 << self.low;
        let &Layout { depth, h, w, .. } = self.layout;
        let mut out = Vec::with_capacity(count * self.h * self.w);
        let along_planes = if depth > 1 { factor } else { 1 };
        for volume in classes.chunks_exact(depth * h * w) {
            for planes in volume.chunks(along_planes * h * w) {
                for y in (0..h).step_by(factor) {
                    for x in (0..w).step_by(factor) {
                        let row = |plane: &[u8], y: usize| plane[y * w..][x..w.min(x + factor)].iter().all(|&c| c != 0);
                        let rows = y..h.min(y + factor);
                        let all = planes.chunks_exact(h * w).all(|plane| rows.clone().all(|y| row(plane, y)));
                        out.push(if all { planes[y * w + x] } else { 0 });
                    }
                }
            }
        }
        out
    }
}

/// For each block of `factor` points along an axis of `n`, the samples at the first points of blocks that its middle is
/// interpolated from, and their weights: Lagrange's, on four samples, mirrored as the wavelet mirrors them.
fn taps<R: Kernel>(n: usize, factor: usize) -> Vec<[(usize, R); 4]> {
    let count = n.div_ceil(factor);
    (0..count)
        .map(|block| {
            let points = factor.min(n - block * factor);
            let t = (points - 1) as f64 / (2 * factor) as f64;
            let weights = [
                -t * (t - 1.0) * (t - 2.0) / 6.0,
                (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
                -(t + 1.0) * t * (t - 2.0) / 2.0,
                (t + 1.0) * t * (t - 1.0) / 6.0,
            ];
            std::array::from_fn(|k| {
                let at = match (block + k).checked_sub(1) {
                    None => 1,
                    Some(at) if at >= count => (2 * count - 1).saturating_sub(at),
                    Some(at) => at,
                };
                (at.min(count - 1), R::from_f64(weights[k]))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::residual::wavelet::forward;

    #[test]
    fn corners_are_near_averages_over_blocks() {
        let mut scratch = Vec::new();
        for (h, w) in [(64, 96), (45, 70), (33, 63), (1, 120), (90, 1)] {
            let layout = Layout::new(h, w);
            let frame: Vec<f64> =
                (0..h * w).map(|i| ((i / w) as f64 * 0.09).sin() + ((i % w) as f64 * 0.07 + 0.3).cos()).collect();
            let mut plane = frame.clone();
            forward(&mut plane, h, w, layout.levels, &mut scratch);
            let segment = crate::window::Segment { origin: [0; crate::field::MAX_DIMS], count: 1, depth: 1, h, w };
            let header = crate::codec::plan::candidate::untried(&segment, crate::codec::plan::candidate::FAST_CONTEXTS);
            let state = SegmentState::new(&layout, &header, crate::predict::hierarchical::ModelUse::Off).unwrap();
            let decoded = Reconstruction { count: 1, planes: plane, frames: Vec::new() };
            for low in [1, 2] {
                let reduced = LowResolution::new(&layout, low);
                let (mut found, mut wanted) = (Vec::new(), vec![0.0; reduced.h * reduced.w]);
                reduced.frames(&state, &decoded, &mut found);
                reduced.average(&frame, &mut wanted);
                for (i, (a, b)) in found.iter().zip(&wanted).enumerate() {
                    // At the far edges a sample stands for points that it does not lie among.
                    let edge = |at: usize, n: usize| n > 1 && at + 3 > n;
                    let edge = edge(i / reduced.w, reduced.h) || edge(i % reduced.w, reduced.w);
                    let most = if edge { 0.1 } else { 0.02 };
                    assert!((a - b).abs() < most, "{h}x{w} at 1/{}, place {i}: {a}, average {b}", 1 << low);
                }
            }
        }
    }
}

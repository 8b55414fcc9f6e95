//! The interpolator's host side: the graph's inputs, and the correction that comes out (`docs/model-package.md`).
//!
//! In: two decoded frames around a target half-way between them, and the next outer ones where they are there. Out: the
//! polynomial through them at the target, and the model's correction of it. All arithmetic is in a fixed order, so that
//! two machines differ by no more than their graphs do.

use super::tiles::{Cover, Span, crop};
use crate::error::Result;
use crate::model::{Feed, GraphKind, Model};

/// Pixels that neighbouring tiles share at least: twice the context that the graph sees well.
const OVERLAP: usize = 32;
const PLANES: usize = 6;
const CONDITIONS: usize = 4;

/// The frames around a target, each `[h, w]`, contiguous, in one unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct References<'a> {
    /// The frame before, at distance −d.
    pub a: &'a [f32],
    /// The frame after, at distance +d.
    pub b: &'a [f32],
    /// The frame at −3d, where there is one.
    pub a2: Option<&'a [f32]>,
    /// The frame at +3d, where there is one.
    pub b2: Option<&'a [f32]>,
}

impl References<'_> {
    fn len(&self) -> usize {
        self.a.len()
    }
}

/// The polynomial through the references at the target's time, for every pixel. f32 throughout; no fused operations.
pub(crate) fn base(refs: &References<'_>, out: &mut Vec<f32>) {
    out.clear();
    out.reserve(refs.len());
    let pairs = refs.a.iter().zip(refs.b);
    match (refs.a2, refs.b2) {
        (Some(a2), Some(b2)) => {
            let outer = a2.iter().zip(b2);
            out.extend(pairs.zip(outer).map(|((a, b), (a2, b2))| (9.0 * (a + b) - (a2 + b2)) * 0.0625));
        }
        (Some(a2), None) => out.extend(pairs.zip(a2).map(|((a, b), a2)| (6.0 * a + 3.0 * b - a2) * 0.125)),
        (None, Some(b2)) => out.extend(pairs.zip(b2).map(|((a, b), b2)| (3.0 * a + 6.0 * b - b2) * 0.125)),
        (None, None) => out.extend(pairs.map(|(a, b)| (a + b) * 0.5)),
    }
}

/// The model's correction of [`base`] for the frame half-way, `[h * w]` in the references' unit, not yet snapped; zeros
/// where the references are equal over a whole tile. `step` is the quantiser step that the references were coded with,
/// in their unit. `false`: there is no correction anywhere, and `out` holds zeros.
///
/// # Errors
/// As [`Model::graph`], and `Runtime` where a run fails.
pub(crate) fn correction(
    model: &Model,
    refs: &References<'_>,
    h: usize,
    w: usize,
    step: f32,
    out: &mut Vec<f32>,
) -> Result<bool> {
    let _span = tracing::debug_span!("interpolate", h, w).entered();
    let part = model.interpolator()?;
    out.clear();
    out.resize(h * w, 0.0);
    let cover = Cover::overlapping(h, w, part.align, part.max_tile, OVERLAP);
    let limit = model.batch(cover.tile_len());
    let mut batch = Batch::new(&cover);
    for tile in cover.tiles() {
        batch.add(refs, (h, w), tile, step);
        if batch.tiles.len() == limit {
            batch.run(model, w, out)?;
        }
    }
    batch.run(model, w, out)?;
    Ok(batch.used)
}

/// Tiles gathered for one run.
struct Batch {
    rows: usize,
    columns: usize,
    /// `[N, 6, rows, columns]`.
    planes: Vec<f32>,
    /// `[N, 4]`.
    cond: Vec<f32>,
    /// The place of each tile, and its scale `e`.
    tiles: Vec<((Span, Span), f32)>,
    /// Whether any tile had a correction so far.
    used: bool,
    scratch: [Vec<f32>; 4],
}

impl Batch {
    fn new(cover: &Cover) -> Self {
        Self {
            rows: cover.rows.tile,
            columns: cover.columns.tile,
            planes: Vec::new(),
            cond: Vec::new(),
            tiles: Vec::new(),
            used: false,
            scratch: Default::default(),
        }
    }

    /// Adds a tile's planes and conditions, unless it has no correction.
    fn add(&mut self, refs: &References<'_>, size: (usize, usize), tile: (Span, Span), step: f32) {
        let corner = (tile.0.start, tile.1.start);
        let extent = (self.rows, self.columns);
        let frames = [Some(refs.a), Some(refs.b), refs.a2, refs.b2];
        for (scratch, frame) in self.scratch.iter_mut().zip(frames) {
            scratch.clear();
            if let Some(frame) = frame {
                crop(frame, size, corner, extent, scratch);
            }
        }
        let [a, b, a2, b2] = &self.scratch;
        let Some(statistics) = Statistics::of(a, b) else { return };
        let Statistics { m, s, e } = statistics;
        let (has_a2, has_b2) = (refs.a2.is_some(), refs.b2.is_some());
        let padded = References { a, b, a2: has_a2.then_some(a2), b2: has_b2.then_some(b2) };
        let mut target = Vec::new();
        base(&padded, &mut target);

        let (m, by_s, by_e) = (m as f32, (1.0 / s) as f32, (1.0 / e) as f32);
        let zeros = std::iter::repeat_n(0.0, a.len());
        self.planes.reserve(PLANES * a.len());
        self.planes.extend(a.iter().map(|a| (a - m) * by_s));
        self.planes.extend(b.iter().map(|b| (b - m) * by_s));
        self.planes.extend(a.iter().zip(b).map(|(a, b)| (b - a) * by_e));
        if has_a2 {
            self.planes.extend(a2.iter().zip(a).map(|(a2, a)| (a2 - a) * by_e));
        } else {
            self.planes.extend(zeros.clone());
        }
        if has_b2 {
            self.planes.extend(b2.iter().zip(b).map(|(b2, b)| (b2 - b) * by_e));
        } else {
            self.planes.extend(zeros);
        }
        self.planes.extend(target.iter().zip(a.iter().zip(b)).map(|(t, (a, b))| (t - (a + b) * 0.5) * by_e));

        let flag = |there: bool| if there { 1.0 } else { 0.0 };
        let of_step = (f64::from(step) / e).ln().clamp(-8.0, 4.0);
        self.cond.extend([(e / s).ln().clamp(-8.0, 2.0) as f32, of_step as f32, flag(has_a2), flag(has_b2)]);
        self.tiles.push((tile, e as f32));
    }

    /// Runs the graph on the tiles, writes the corrections into a frame of width `w`, and empties the batch.
    fn run(&mut self, model: &Model, w: usize, out: &mut [f32]) -> Result<()> {
        if self.tiles.is_empty() {
            return Ok(());
        }
        let (n, rows, columns) = (self.tiles.len(), self.rows, self.columns);
        let inputs = [
            Feed { shape: &[n, PLANES, rows, columns], values: &self.planes },
            Feed { shape: &[n, CONDITIONS], values: &self.cond },
        ];
        let outputs = model.graph(GraphKind::Interpolator)?.run(&inputs, &[&[n, 1, rows, columns]])?;
        for ((tile, e), values) in self.tiles.iter().zip(outputs[0].chunks_exact(rows * columns)) {
            let (down, across) = tile;
            for row in down.own_start..down.own_end {
                let line = &values[(row - down.start) * columns..][..columns];
                let line = &line[across.own_start - across.start..across.own_end - across.start];
                for (out, value) in out[row * w + across.own_start..].iter_mut().zip(line) {
                    let value = value * e;
                    *out = if value.is_finite() { value } else { 0.0 };
                }
            }
        }
        self.used = true;
        self.planes.clear();
        self.cond.clear();
        self.tiles.clear();
        Ok(())
    }
}

/// Mean and standard deviation of two frames together, and the root mean square of their difference.
struct Statistics {
    m: f64,
    s: f64,
    e: f64,
}

impl Statistics {
    /// `None` where there is nothing to interpolate (`e` or `s` is 0) or the values are too large to tell.
    fn of(a: &[f32], b: &[f32]) -> Option<Self> {
        let n = a.len() as f64;
        let m = (sum(a, |a, _| a, b) + sum(a, |_, b| b, b)) / (2.0 * n);
        let variance = sum(a, |a, b| (a - m) * (a - m) + (b - m) * (b - m), b) / (2.0 * n);
        let square = sum(a, |a, b| (b - a) * (b - a), b) / n;
        let (s, e) = (variance.sqrt(), square.sqrt());
        // Their inverses must be f32 too: differences of subnormals are no information.
        let usable = |x: f64| x.is_finite() && x as f32 >= f32::MIN_POSITIVE && (1.0 / x) as f32 >= f32::MIN_POSITIVE;
        (usable(s) && usable(e) && (m as f32).is_finite()).then_some(Self { m, s, e })
    }
}

/// The sum of `f(a, b)` over pairs of values, in eight interleaved sums: an order that is fixed and that vectorises.
fn sum(a: &[f32], f: impl Fn(f64, f64) -> f64, b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut lanes = [0.0; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += f(f64::from(a[lane]), f64::from(b[lane]));
        }
    }
    for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        lanes[lane] += f(f64::from(*a), f64::from(*b));
    }
    lanes.iter().sum()
}

#[cfg(all(test, feature = "onnx"))]
mod tests;

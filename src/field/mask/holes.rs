//! Holes filled smoothly by a pull–push pyramid, so that no edge of a mask reaches the wavelet.

use crate::residual::real::Real;

/// Sweeps over the holes at each level of the pyramid.
const SWEEPS: usize = 4;

/// One level of the pull–push pyramid: values, and the share of each cell that is known (0 to 1).
struct Level {
    h: usize,
    w: usize,
    values: Vec<f64>,
    weights: Vec<f64>,
}

/// Fills the masked points (class not 0) of each frame smoothly from the valid ones of that frame; `frames` and
/// `classes` are `[count][h][w]`. The fill solves nearly a Laplace equation, so it never leaves the range of the valid
/// points. Frames without a valid point become 0, the mean in working units. Only the encoder does this.
pub(crate) fn fill_holes<R: Real>(frames: &mut [R], classes: &[u8], count: usize, h: usize, w: usize) {
    let size = h * w;
    debug_assert!(frames.len() == count * size && classes.len() == count * size);
    if size == 0 {
        return;
    }
    for (frame, classes) in frames.chunks_exact_mut(size).zip(classes.chunks_exact(size)) {
        let masked = classes.iter().filter(|&&c| c != 0).count();
        if masked == 0 {
            continue;
        }
        if masked == size {
            frame.fill(R::from_f64(0.0));
            continue;
        }
        let mut levels = vec![Level {
            h,
            w,
            values: frame.iter().zip(classes).map(|(v, &c)| if c == 0 { v.to_f64() } else { 0.0 }).collect(),
            weights: classes.iter().map(|&c| if c == 0 { 1.0 } else { 0.0 }).collect(),
        }];
        while let Some(finest) = levels.last() {
            if finest.weights.iter().all(|&w| w > 0.0) {
                break;
            }
            let coarser = pull(finest);
            levels.push(coarser);
        }
        while let Some(coarse) = levels.pop() {
            match levels.last_mut() {
                Some(fine) => push(fine, &coarse),
                None => {
                    for ((value, filled), &class) in frame.iter_mut().zip(coarse.values).zip(classes) {
                        if class != 0 {
                            *value = R::from_f64(filled);
                        }
                    }
                }
            }
        }
    }
}

/// The next coarser level: averages of 2 × 2 cells, weighted by their known shares.
fn pull(fine: &Level) -> Level {
    let (h, w) = (fine.h.div_ceil(2), fine.w.div_ceil(2));
    let mut coarse = Level { h, w, values: vec![0.0; h * w], weights: vec![0.0; h * w] };
    for y in 0..fine.h {
        for x in 0..fine.w {
            let (from, to) = (y * fine.w + x, y / 2 * w + x / 2);
            coarse.values[to] += fine.weights[from] * fine.values[from];
            coarse.weights[to] += fine.weights[from];
        }
    }
    for (value, weight) in coarse.values.iter_mut().zip(&mut coarse.weights) {
        if *weight > 0.0 {
            *value /= *weight;
            *weight = weight.min(1.0);
        }
    }
    coarse
}

/// Fills the unknown shares of `fine` from `coarse` (bilinear), then smooths the cells that are unknown altogether.
fn push(fine: &mut Level, coarse: &Level) {
    // A fine cell's centre lies a quarter of a coarse cell beside the centre of its parent.
    let pair = |i: usize, n: usize| {
        (i / 2, if i.is_multiple_of(2) { (i / 2).saturating_sub(1) } else { (i / 2 + 1).min(n - 1) })
    };
    let mut holes = Vec::new();
    for y in 0..fine.h {
        let (y0, y1) = pair(y, coarse.h);
        for x in 0..fine.w {
            let at = y * fine.w + x;
            let known = fine.weights[at];
            if known >= 1.0 {
                continue;
            }
            let (x0, x1) = pair(x, coarse.w);
            let row = |y: usize| 0.75 * coarse.values[y * coarse.w + x0] + 0.25 * coarse.values[y * coarse.w + x1];
            fine.values[at] = known * fine.values[at] + (1.0 - known) * (0.75 * row(y0) + 0.25 * row(y1));
            if known == 0.0 {
                holes.push((y, x));
            }
        }
    }
    for sweep in 0..SWEEPS {
        let mut relax = |&(y, x): &(usize, usize)| {
            let at = y * fine.w + x;
            let up = if y > 0 { at - fine.w } else { at };
            let down = if y + 1 < fine.h { at + fine.w } else { at };
            let left = if x > 0 { at - 1 } else { at };
            let right = if x + 1 < fine.w { at + 1 } else { at };
            let v = &fine.values;
            fine.values[at] = 0.25 * (v[up] + v[down] + v[left] + v[right]);
        };
        // Alternating directions: information travels along a sweep.
        if sweep % 2 == 0 {
            holes.iter().for_each(&mut relax);
        } else {
            holes.iter().rev().for_each(&mut relax);
        }
    }
}

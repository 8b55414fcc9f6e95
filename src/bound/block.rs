//! The per-block guarantee (Li, Lee, Rangarajan and Ranka 2025): every block's ℓ2 norm of the error is at most τ.
//!
//! In: a window of a field, `[t][h][w]`, and its reconstruction, both in the field's units. Out: the reconstruction
//! corrected in place, and the code of the corrections. Blocks of 8 × 8 × 8 points (smaller at the ends) that miss the
//! bound get the leading coefficients of their error, in order of magnitude, until it holds: first those on a PCA basis
//! of such errors, whose vectors are stored, then those on the cosine basis, which costs nothing; how many vectors are
//! worth storing is found by trial. A block that even fine coefficients cannot bring under τ (near the resolution of
//! f64) is stored bit for bit.
//!
//! Both directions correct a block through the same function in the same order of operations.

mod choose;
mod coding;
mod correct;
mod grid;
#[cfg(test)]
mod tests;

use crate::entropy::{BitCoder, Decoder, Encoder};
use crate::error::{Error, Result};
use coding::{Model, code_bit};
use correct::{EXACT, MAX_VECTORS, Plan, Prepared, STEP_BITS, Scheme, Vectors, apply};
use grid::{Block, Grid, POINTS, Window, check};

/// The squared norm of a block's error, in units of τ², up to which the bound is met: below 1 by more than rounding.
const MET: f64 = 1.0 - 1e-12;
/// Counts of a window's correction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BlockStats {
    /// Blocks of the window, and of them those that were corrected, and those stored bit for bit.
    pub(crate) blocks: usize,
    pub(crate) corrected: usize,
    pub(crate) exact: usize,
    /// PCA vectors stored, and coefficients coded on both bases.
    pub(crate) vectors: usize,
    pub(crate) coefficients: usize,
}

/// The largest ℓ2 norm of a block's error over valid points (class 0), in the field's units; infinite where an error is
/// not finite.
///
/// # Errors
/// `Internal` where the sizes contradict each other.
#[cfg(test)]
pub(crate) fn largest_norm(original: &[f64], decoded: &[f64], classes: Option<&[u8]>, dims: [usize; 3]) -> Result<f64> {
    let grid = check(original, decoded, classes, dims, 1.0)?;
    let window = Window { original, classes, tau: 1.0 };
    let mut largest = 0.0f64;
    for index in 0..grid.len() {
        let (_, error) = grid.error(&grid.block(index), &window, decoded);
        // Squares of errors as they are could overflow, or vanish.
        let scale = error.iter().fold(0.0, |a: f64, e| if e.abs() > a || e.is_nan() { e.abs() } else { a });
        if !scale.is_finite() {
            return Ok(f64::INFINITY);
        }
        if scale > 0.0 {
            largest = largest.max(scale * error.iter().map(|e| (e / scale) * (e / scale)).sum::<f64>().sqrt());
        }
    }
    Ok(largest)
}

/// Whether the blocks before block `index` along each axis failed.
fn failing_context(grid: &Grid, failing: &[bool], index: usize) -> usize {
    let [_, h, w] = grid.blocks;
    let before = |there: bool, back: usize| usize::from(there && failing[index - back]);
    let (x, y) = (index % w, index / w % h);
    before(x != 0, 1) | before(y != 0, w) << 1 | before(index >= h * w, h * w) << 2
}

/// Whether the squared norm of a block's error meets the bound; not where it is no number.
fn met(energy: f64) -> bool {
    energy <= MET
}

/// Corrects `decoded` until every block's ℓ2 norm of `original − decoded` over valid points (class 0) is at most `tau`,
/// and codes the corrections for the decoder. All are windows of `dims`, `[t][h][w]`, in the field's units; `decoded`
/// must be equal to the decoder's. Rounding to the caller's type comes after: where that is coarser than f64, leave
/// room for it in τ.
///
/// # Errors
/// `Internal` where sizes contradict each other or τ is not positive.
pub(crate) fn encode(
    coder: &mut Encoder,
    original: &[f64],
    decoded: &mut [f64],
    classes: Option<&[u8]>,
    dims: [usize; 3],
    tau: f64,
) -> Result<BlockStats> {
    let grid = check(original, decoded, classes, dims, tau)?;
    let window = Window { original, classes, tau };
    let failing: Vec<usize> =
        (0..grid.len()).filter(|&i| !met(grid.error(&grid.block(i), &window, decoded).0)).collect();
    let mut stats = BlockStats { blocks: grid.len(), corrected: failing.len(), ..BlockStats::default() };
    coder.bit(!failing.is_empty(), 1 << 15);
    if failing.is_empty() {
        return Ok(stats);
    }
    let common = grid.common();
    let none = Vectors::default();
    let (step, vectors) = choose::choose(&grid, &window, decoded, &failing);
    let scheme = Scheme { grid: &grid, step, tau };
    let mut plans = Vec::with_capacity(failing.len());
    for &index in &failing {
        let block = grid.block(index);
        let vectors = if block.size == common { &vectors } else { &none };
        plans.push(correct_block(&scheme, &window, &block, vectors, decoded));
    }
    let mut stored = only_used(&vectors, &mut plans);
    stats.vectors = stored.len();
    stats.coefficients = plans.iter().map(|plan| plan.vectors.len() + plan.cosines.len()).sum();
    stats.exact = plans.iter().filter(|plan| plan.refinement == EXACT).count();

    coder.raw(u64::from(step), STEP_BITS);
    coder.raw(stored.len() as u64, 7);
    let mut model = Model::new();
    model.code_vectors(coder, common, &mut stored)?;
    let mut flags = vec![false; grid.len()];
    let mut next = failing.iter().zip(plans).peekable();
    for index in 0..grid.len() {
        let plan = next.next_if(|(i, _)| **i == index);
        let context = failing_context(&grid, &flags, index);
        flags[index] = code_bit(coder, plan.is_some(), &mut model.failing[context]);
        if let Some((_, mut plan)) = plan {
            let block = grid.block(index);
            let vectors = if block.size == common { stored.len() } else { 0 };
            model.code_plan(coder, &block, vectors, &mut plan)?;
        }
    }
    Ok(stats)
}

/// Corrects a block by the first plan that brings it under the bound, or by its values bit for bit.
fn correct_block(
    scheme: &Scheme<'_>,
    window: &Window<'_>,
    block: &Block,
    vectors: &Vectors,
    decoded: &mut [f64],
) -> Plan {
    let grid = scheme.grid;
    let (energy, error) = grid.error(block, window, decoded);
    let prepared = Prepared::new(energy, error, block);
    let mut saved = [0.0; POINTS];
    for (at, local) in grid.rows(block) {
        saved[local..][..block.size[2]].copy_from_slice(&decoded[at..][..block.size[2]]);
    }
    for plan in prepared.plans(block, scheme.step, vectors) {
        apply(&plan, scheme, block, vectors, decoded);
        if met(grid.error(block, window, decoded).0) {
            return plan;
        }
        for (at, local) in grid.rows(block) {
            decoded[at..][..block.size[2]].copy_from_slice(&saved[local..][..block.size[2]]);
        }
    }
    let valid = |i: usize| window.classes.is_none_or(|c| c[i] == 0);
    let bits = |i: usize| if valid(i) { window.original[i].to_bits() } else { 0 };
    let exact = grid.rows(block).flat_map(|(at, _)| (at..at + block.size[2]).map(bits)).collect();
    let plan = Plan { refinement: EXACT, exact, ..Plan::default() };
    apply(&plan, scheme, block, vectors, decoded);
    plan
}

/// The vectors that plans use, whose numbers are changed to match.
fn only_used(vectors: &Vectors, plans: &mut [Plan]) -> Vectors {
    let mut used = vec![false; vectors.len()];
    plans.iter().flat_map(|plan| &plan.vectors).for_each(|v| used[usize::from(v.0)] = true);
    let mut stored = Vectors::default();
    let mut place = vec![0; vectors.len()];
    for (k, _) in used.iter().enumerate().filter(|(_, used)| **used) {
        place[k] = stored.len() as u16;
        stored.push(vectors.entries[k]);
    }
    plans.iter_mut().flat_map(|plan| &mut plan.vectors).for_each(|v| v.0 = place[usize::from(v.0)]);
    stored
}

/// Corrects `decoded` as [`encode`] did; masked points are left with values of no meaning.
///
/// # Errors
/// `Corrupt` for bytes that no encoder wrote; `Internal` where sizes contradict each other or τ is not positive.
pub(crate) fn decode(coder: &mut Decoder<'_>, decoded: &mut [f64], dims: [usize; 3], tau: f64) -> Result<()> {
    let grid = check(decoded, decoded, None, dims, tau)?;
    if !coder.bit(false, 1 << 15) {
        return Ok(());
    }
    let step = coder.raw(0, STEP_BITS) as u32;
    let count = coder.raw(0, 7) as usize;
    if count > MAX_VECTORS {
        return Err(Error::corrupt(format!("{count} vectors are stored; the most is {MAX_VECTORS}")));
    }
    let mut model = Model::new();
    let mut vectors = Vectors::default();
    (0..count).for_each(|_| vectors.push([0; POINTS]));
    model.code_vectors(coder, grid.common(), &mut vectors)?;
    let none = Vectors::default();
    let scheme = Scheme { grid: &grid, step, tau };
    let mut flags = vec![false; grid.len()];
    for index in 0..grid.len() {
        let context = failing_context(&grid, &flags, index);
        flags[index] = code_bit(coder, false, &mut model.failing[context]);
        if flags[index] {
            if coder.exhausted() {
                return Err(Error::corrupt("the blocks' corrections end too early"));
            }
            let block = grid.block(index);
            let vectors = if block.size == grid.common() { &vectors } else { &none };
            let mut plan = Plan::default();
            model.code_plan(coder, &block, vectors.len(), &mut plan)?;
            apply(&plan, &scheme, &block, vectors, decoded);
        }
    }
    Ok(())
}

//! The per-block guarantee (Li, Lee, Rangarajan and Ranka 2025): every block's ℓ2 norm of the error is at most τ.
//!
//! In: a window of a field, `[t][h][w]`, and its reconstruction, both in the field's units. Out: the reconstruction corrected
//! in place, and the code of the corrections. Blocks of 8 × 8 × 8 points (smaller at the ends) that miss the bound get the
//! leading coefficients of their error, in order of magnitude, until it holds: first those on a PCA basis of such errors,
//! whose vectors are stored, then those on the cosine basis, which costs nothing; how many vectors are worth storing is found
//! by trial. A block that even fine coefficients cannot bring under τ (near the resolution of f64) is stored bit for bit.
//!
//! Both directions correct a block through the same function in the same order of operations.

mod coding;
mod correct;

use crate::entropy::{BitCoder, Cost, Decoder, Encoder};
use crate::error::{Error, Result};
use coding::{Model, code_bit};
use correct::{Plan, Prepared, Vectors, apply};

/// Points along a block's edge.
const SIDE: usize = 8;
/// Points of a whole block. Smaller ones use the same strides.
const POINTS: usize = SIDE * SIDE * SIDE;
/// The most PCA vectors that are stored.
const MAX_VECTORS: usize = 64;
/// Bits of a step's index.
const STEP_BITS: u32 = 5;
/// Halvings of the step that a block may ask for; this many stand for a block that is stored bit for bit.
const EXACT: u32 = 24;
/// The largest magnitude of a quantised coefficient.
const MAX_MAGNITUDE: u64 = 1 << 50;
/// What is left of a block's squared norm, in units of τ², that counts as met: below 1 by more than rounding.
const MET: f64 = 1.0 - 1e-12;
/// Blocks whose coding is tried for each choice, and blocks that the PCA looks at.
const TRIAL_BLOCKS: usize = 64;
const PCA_BLOCKS: usize = 768;
/// Failing blocks below which no vector can pay for itself.
const PCA_LEAST: usize = 32;

/// What the correction of a window took.
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

/// The window's blocks.
#[derive(Clone, Copy, Debug)]
struct Grid {
    dims: [usize; 3],
    blocks: [usize; 3],
}

/// One block: where it starts and how many points it has along each axis.
#[derive(Clone, Copy, Debug)]
struct Block {
    origin: [usize; 3],
    size: [usize; 3],
}

impl Grid {
    /// # Errors
    /// `Internal` where the window does not have `len` points.
    fn new(dims: [usize; 3], len: usize) -> Result<Self> {
        let points = dims[0].checked_mul(dims[1]).and_then(|n| n.checked_mul(dims[2]));
        if points != Some(len) {
            return Err(Error::internal("a window does not have the size that its blocks are made from"));
        }
        Ok(Self { dims, blocks: dims.map(|n| n.div_ceil(SIDE)) })
    }

    fn len(&self) -> usize {
        self.blocks.iter().product()
    }

    fn block(&self, index: usize) -> Block {
        let [_, h, w] = self.blocks;
        let at = [index / (h * w), index / w % h, index % w];
        let origin = at.map(|i| i * SIDE);
        Block { origin, size: std::array::from_fn(|a| SIDE.min(self.dims[a] - origin[a])) }
    }

    /// The size of most blocks: those that PCA vectors are for.
    fn common(&self) -> [usize; 3] {
        self.dims.map(|n| n.min(SIDE))
    }

    /// The block's rows: offset in the window, offset in the block.
    fn rows(&self, block: &Block) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (block, [_, h, w]) = (*block, self.dims);
        (0..block.size[0]).flat_map(move |t| {
            (0..block.size[1]).map(move |y| {
                let [t0, y0, x0] = block.origin;
                (((t0 + t) * h + y0 + y) * w + x0, (t * SIDE + y) * SIDE)
            })
        })
    }

    /// The block's error in units of τ, 0 where there is no valid point, and its squared norm.
    fn error(&self, block: &Block, window: &Window<'_>, decoded: &[f64]) -> (f64, [f64; POINTS]) {
        let mut out = [0.0; POINTS];
        let mut sum = 0.0;
        for (at, local) in self.rows(block) {
            for x in 0..block.size[2] {
                if window.classes.is_none_or(|c| c[at + x] == 0) {
                    let error = (window.original[at + x] - decoded[at + x]) / window.tau;
                    out[local + x] = error;
                    sum += error * error;
                }
            }
        }
        (sum, out)
    }
}

/// What the encoder compares with.
#[derive(Clone, Copy)]
struct Window<'a> {
    original: &'a [f64],
    classes: Option<&'a [u8]>,
    tau: f64,
}

/// The largest ℓ2 norm of a block's error over valid points (class 0), in the field's units; infinite where an error is not
/// finite.
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

fn check(original: &[f64], decoded: &[f64], classes: Option<&[u8]>, dims: [usize; 3], tau: f64) -> Result<Grid> {
    if original.len() != decoded.len() || classes.is_some_and(|c| c.len() != decoded.len()) {
        return Err(Error::internal("a window and its reconstruction differ in size"));
    }
    if !(tau.is_finite() && tau > 0.0) {
        return Err(Error::internal("a block's bound is not positive"));
    }
    Grid::new(dims, decoded.len())
}

/// Whether the blocks before block `index` along each axis failed.
fn failing_context(grid: &Grid, failing: &[bool], index: usize) -> usize {
    let [_, h, w] = grid.blocks;
    let before = |there: bool, back: usize| usize::from(there && failing[index - back]);
    let (x, y) = (index % w, index / w % h);
    before(x != 0, 1) | before(y != 0, w) << 1 | before(index >= h * w, h * w) << 2
}

/// Every `n`-th of the items such that at most `most` are left.
fn spread<T: Copy>(items: &[T], most: usize) -> Vec<T> {
    items.iter().copied().step_by(items.len().div_ceil(most).max(1)).collect()
}

/// Finds the step and how many vectors to store, by trial on some of the failing blocks.
fn choose(grid: &Grid, window: &Window<'_>, decoded: &[f64], failing: &[usize]) -> (u32, Vectors) {
    let common = grid.common();
    let prepare = |&index: &usize| {
        let block = grid.block(index);
        let (energy, error) = grid.error(&block, window, decoded);
        (block, Prepared::new(energy, error, &block))
    };
    let trial: Vec<(Block, Prepared)> =
        spread(failing, TRIAL_BLOCKS).iter().map(prepare).filter(|(_, p)| p.energy.is_finite()).collect();
    if trial.is_empty() {
        return (0, Vectors::default());
    }
    let scale = failing.len() as f64 / trial.len() as f64;
    let none = Vectors::default();
    let cost = |step: u32, vectors: &Vectors| {
        let mut model = Model::new();
        let mut coder = Cost::default();
        for (block, prepared) in &trial {
            let vectors = if block.size == common { vectors } else { &none };
            let plan = prepared.plans(block, step, vectors).next();
            // One that has to be stored bit for bit costs the same with any choice.
            if let Some(mut plan) = plan {
                let coded = model.code_plan(&mut coder, block, vectors.len(), &mut plan);
                debug_assert!(coded.is_ok());
            }
        }
        let blocks = coder.bits() * scale;
        let mut coder = Cost::default();
        let coded = model.code_vectors(&mut coder, common, &mut vectors.clone());
        debug_assert!(coded.is_ok());
        blocks + coder.bits()
    };
    let last = (1 << STEP_BITS) - 1;
    // Downhill from the step that suits an error spread over a few dozen coefficients.
    let descend = |mut step: u32, mut best: f64, vectors: &Vectors| {
        for up in [true, false] {
            let mut moved = false;
            while let Some(next) = if up { (step < last).then_some(step + 1) } else { step.checked_sub(1) } {
                let bits = cost(next, vectors);
                if bits >= best {
                    break;
                }
                (step, best, moved) = (next, bits, true);
            }
            if moved {
                break;
            }
        }
        (step, best)
    };
    let (mut step, mut best) = descend(6, cost(6, &none), &none);
    let mut chosen = Vectors::default();
    let whole: Vec<usize> = failing.iter().copied().filter(|&i| grid.block(i).size == common).collect();
    if whole.len() >= PCA_LEAST {
        let errors: Vec<[f64; POINTS]> = spread(&whole, PCA_BLOCKS)
            .into_iter()
            .map(|i| grid.error(&grid.block(i), window, decoded))
            .filter_map(|(energy, error)| energy.is_finite().then_some(error))
            .collect();
        let most = MAX_VECTORS.min(errors.len()).min(whole.len() / 8);
        let all = Vectors::pca(&errors, most);
        let mut count = 2;
        while count <= all.len() {
            let vectors = all.first(count);
            let (with, bits) = descend(step, cost(step, &vectors), &vectors);
            if bits >= best {
                if count >= 8 {
                    break;
                }
            } else {
                (step, best, chosen) = (with, bits, vectors);
            }
            count *= 2;
        }
    }
    (step, chosen)
}

/// Corrects `decoded` until every block's ℓ2 norm of `original − decoded` over valid points (class 0) is at most `tau`, and
/// codes what the decoder needs for the same. All are windows of `dims`, `[t][h][w]`, in the field's units; `decoded` must be
/// what the decoder has. Rounding to the caller's type comes after: where that is coarser than f64, leave room for it in τ.
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
    let met = |energy: f64| energy <= MET; // false for NaN
    let failing: Vec<usize> =
        (0..grid.len()).filter(|&i| !met(grid.error(&grid.block(i), &window, decoded).0)).collect();
    let mut stats = BlockStats { blocks: grid.len(), corrected: failing.len(), ..BlockStats::default() };
    coder.bit(!failing.is_empty(), 1 << 15);
    if failing.is_empty() {
        return Ok(stats);
    }
    let common = grid.common();
    let none = Vectors::default();
    let (step, vectors) = choose(&grid, &window, decoded, &failing);
    let mut saved = [0.0; POINTS];
    let mut plans = Vec::with_capacity(failing.len());
    for &index in &failing {
        let block = grid.block(index);
        let (energy, error) = grid.error(&block, &window, decoded);
        let prepared = Prepared::new(energy, error, &block);
        let vectors = if block.size == common { &vectors } else { &none };
        for (at, local) in grid.rows(&block) {
            saved[local..][..block.size[2]].copy_from_slice(&decoded[at..][..block.size[2]]);
        }
        let mut accepted = None;
        for plan in prepared.plans(&block, step, vectors) {
            apply(&plan, &grid, &block, step, tau, vectors, decoded);
            if met(grid.error(&block, &window, decoded).0) {
                accepted = Some(plan);
                break;
            }
            for (at, local) in grid.rows(&block) {
                decoded[at..][..block.size[2]].copy_from_slice(&saved[local..][..block.size[2]]);
            }
        }
        plans.push(accepted.unwrap_or_else(|| {
            let valid = |i: usize| classes.is_none_or(|c| c[i] == 0);
            let bits = |i: usize| if valid(i) { original[i].to_bits() } else { 0 };
            let exact = grid.rows(&block).flat_map(|(at, _)| (at..at + block.size[2]).map(bits)).collect();
            let plan = Plan { refinement: EXACT, exact, ..Plan::default() };
            apply(&plan, &grid, &block, step, tau, vectors, decoded);
            stats.exact += 1;
            plan
        }));
    }
    // Only the vectors in use are stored.
    let mut used = vec![false; vectors.len()];
    for plan in &plans {
        plan.vectors.iter().for_each(|v| used[usize::from(v.0)] = true);
        stats.coefficients += plan.vectors.len() + plan.cosines.len();
    }
    let mut stored = Vectors::default();
    let mut place = vec![0; vectors.len()];
    for (k, _) in used.iter().enumerate().filter(|(_, used)| **used) {
        place[k] = stored.len() as u16;
        stored.push(vectors.entries[k]);
    }
    stats.vectors = stored.len();

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
            plan.vectors.iter_mut().for_each(|v| v.0 = place[usize::from(v.0)]);
            let block = grid.block(index);
            let vectors = if block.size == common { stored.len() } else { 0 };
            model.code_plan(coder, &block, vectors, &mut plan)?;
        }
    }
    Ok(stats)
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
            apply(&plan, &grid, &block, step, tau, vectors, decoded);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::coding::Numbers;
    use super::*;
    use proptest::prelude::*;

    struct Noise(u64);
    impl Noise {
        /// Uniform in −1..1.
        fn next(&mut self) -> f64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        }
        /// About normal, variance 1.
        fn normal(&mut self) -> f64 {
            (0..6).map(|_| self.next()).sum::<f64>() / 2f64.sqrt()
        }
    }

    /// Encodes, checks the bound, decodes, checks that both sides agree to the bit; gives the stats and the bytes.
    fn round_trip(
        original: &[f64],
        decoded: &[f64],
        classes: Option<&[u8]>,
        dims: [usize; 3],
        tau: f64,
    ) -> (BlockStats, usize) {
        let mut encoder = Encoder::new(Vec::new());
        let mut corrected = decoded.to_vec();
        let stats = encode(&mut encoder, original, &mut corrected, classes, dims, tau).unwrap();
        let norm = largest_norm(original, &corrected, classes, dims).unwrap();
        assert!(norm <= tau, "{norm} > {tau}");
        let bytes = encoder.finish();
        let mut again = decoded.to_vec();
        let mut decoder = Decoder::new(&bytes);
        decode(&mut decoder, &mut again, dims, tau).unwrap();
        assert!(!decoder.exhausted());
        assert!(corrected.iter().zip(&again).all(|(a, b)| a.to_bits() == b.to_bits()));
        (stats, bytes.len())
    }

    /// Bytes that a list of points (gaps in adaptive Exp-Golomb, values in units of `step`) takes to bring every block under
    /// τ: the largest errors first, the best of some steps.
    fn pointwise(original: &[f64], decoded: &[f64], dims: [usize; 3], tau: f64) -> usize {
        let grid = Grid::new(dims, original.len()).unwrap();
        let window = Window { original, classes: None, tau };
        let cost = |step: f64| {
            let mut coder = Cost::default();
            let mut gaps = Numbers::new(1);
            let mut values = Numbers::new(1);
            for i in 0..grid.len() {
                let (mut energy, error) = grid.error(&grid.block(i), &window, decoded);
                let mut order: Vec<usize> = (0..POINTS).collect();
                order.sort_by(|&a, &b| error[b].abs().total_cmp(&error[a].abs()));
                let mut listed = Vec::new();
                for at in order {
                    if energy <= 1.0 {
                        break;
                    }
                    let value = (error[at] / step).round();
                    if value == 0.0 {
                        return f64::INFINITY;
                    }
                    energy += (error[at] - value * step).powi(2) - error[at] * error[at];
                    listed.push((at, value));
                }
                listed.sort_by_key(|l| l.0);
                let mut last = 0;
                for (at, value) in listed {
                    gaps.code(&mut coder, 0, (at - last) as u64).unwrap();
                    last = at;
                    values.code(&mut coder, 0, value.abs() as u64 - 1).unwrap();
                    coder.raw(0, 1);
                }
                gaps.code(&mut coder, 0, 512).unwrap();
            }
            coder.bits() / 8.0
        };
        (0..12).map(|k| cost(2f64.powf(1.0 - 0.5 * f64::from(k)))).fold(f64::INFINITY, f64::min) as usize
    }

    #[test]
    fn costs_against_a_list_of_points() {
        let dims = [8, 128, 128];
        let n = dims.iter().product::<usize>();
        let mut noise = Noise(88_172_645_463_325_252);
        let original: Vec<f64> = (0..n).map(|i| 280.0 + 20.0 * ((i % 128) as f64 * 0.05).sin()).collect();
        let white: Vec<f64> = original.iter().map(|v| v + 0.1 * noise.normal()).collect();
        // What misses: smooth bumps over a few blocks, on little noise.
        let bumps: Vec<(f64, f64, f64)> =
            (0..24).map(|_| (64.0 + 64.0 * noise.next(), 64.0 + 64.0 * noise.next(), noise.next())).collect();
        let smooth: Vec<f64> = original
            .iter()
            .enumerate()
            .map(|(i, v)| {
                let (y, x, t) = ((i / 128 % 128) as f64, (i % 128) as f64, (i / 128 / 128) as f64);
                let bump = |b: &(f64, f64, f64)| b.2 * (-((y - b.0).powi(2) + (x - b.1 - t).powi(2)) / 18.0).exp();
                v + bumps.iter().map(bump).sum::<f64>() + 0.03 * noise.normal()
            })
            .collect();
        // Errors with a shape of their own in every block, in random amounts.
        let shapes: Vec<Vec<f64>> = (0..3).map(|_| (0..POINTS).map(|_| noise.normal()).collect()).collect();
        let mut shared = original.clone();
        let grid = Grid::new(dims, n).unwrap();
        for i in 0..grid.len() {
            let amounts: Vec<f64> = shapes.iter().map(|_| 0.15 * noise.normal()).collect();
            for (at, local) in grid.rows(&grid.block(i)) {
                for x in 0..8 {
                    shared[at + x] +=
                        amounts.iter().zip(&shapes).map(|(a, s)| a * s[local + x]).sum::<f64>() + 0.02 * noise.normal();
                }
            }
        }
        let typical = 0.1 * (POINTS as f64).sqrt();
        for (name, decoded, tau) in [
            ("white, tau 1.0 of the mean norm", &white, typical),
            ("white, tau 0.9 of the mean norm", &white, 0.9 * typical),
            ("white, tau 0.5 of the mean norm", &white, 0.5 * typical),
            ("bumps", &smooth, 0.8),
            ("shared shapes", &shared, 1.5),
        ] {
            let start = std::time::Instant::now();
            let (stats, bytes) = round_trip(&original, decoded, None, dims, tau);
            let seconds = start.elapsed().as_secs_f64();
            let list = pointwise(&original, decoded, dims, tau);
            println!("{name}: {bytes} bytes, as a list of points {list}; {seconds:.2} s; {stats:?}");
            assert!(bytes < list + list / 20);
        }
    }

    #[test]
    fn a_window_within_the_bound_costs_nothing() {
        let original = vec![1.0; 1000];
        let (stats, bytes) = round_trip(&original, &original, None, [10, 10, 10], 1e-9);
        assert_eq!((stats.blocks, stats.corrected, bytes), (8, 0, 1));
    }

    #[test]
    fn bounds_finer_than_f64_resolves_are_met() {
        let mut noise = Noise(5);
        let original: Vec<f64> = (0..600).map(|_| 1e6 * noise.next()).collect();
        let decoded: Vec<f64> = original.iter().map(|v| v + noise.next()).collect();
        for tau in [1e-8, 1e-10, 1e-300, 5e-324] {
            let (stats, _) = round_trip(&original, &decoded, None, [6, 10, 10], tau);
            assert_eq!(stats.corrected, stats.blocks);
            assert!(tau > 1e-200 || stats.exact == stats.blocks);
        }
        let huge: Vec<f64> = original.iter().map(|v| v * 1e302).collect();
        round_trip(&huge, &original, None, [6, 10, 10], 1.0);
        round_trip(&huge, &original, None, [6, 10, 10], 1e308);
        round_trip(&original, &huge, None, [6, 10, 10], 1e-3);
        let strange: Vec<f64> =
            original.iter().enumerate().map(|(i, &v)| if i % 9 == 0 { f64::NAN } else { v }).collect();
        round_trip(&original, &strange, None, [6, 10, 10], 1e-3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_block_meets_the_bound(
            dims in (1usize..20, 1usize..20, 1usize..20), seed in 1u64..u64::MAX, scale in -8i32..8, tightness in 0.001f64..30.0,
            masked in any::<bool>(),
        ) {
            let dims = [dims.0, dims.1, dims.2];
            let n = dims.iter().product();
            let mut noise = Noise(seed);
            let scale = 10f64.powi(scale);
            let mut original: Vec<f64> = (0..n).map(|_| scale * noise.normal()).collect();
            let decoded: Vec<f64> = original.iter().map(|v| v + 0.1 * scale * noise.normal() * noise.next()).collect();
            let classes: Vec<u8> = (0..n).map(|_| u8::from(masked && noise.next() > 0.5)).collect();
            for (value, &class) in original.iter_mut().zip(&classes) {
                if class != 0 {
                    *value = f64::NAN;
                }
            }
            round_trip(&original, &decoded, Some(&classes), dims, scale * tightness * 0.1);
        }

        #[test]
        fn hostile_bytes_do_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 1..600), dims in (1usize..20, 1usize..20, 1usize..20)) {
            let dims = [dims.0, dims.1, dims.2];
            bytes[0] &= 0x7f;
            let mut decoded = vec![0.0; dims.iter().product()];
            let _ = decode(&mut Decoder::new(&bytes), &mut decoded, dims, 0.5);
        }
    }
}

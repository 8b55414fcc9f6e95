//! The per-block guarantee (Li, Lee, Rangarajan and Ranka 2025): every block's ℓ2 norm of the error is at most τ.
//!
//! In: a window of a field, `[t][h][w]`, and its reconstruction, both in the field's units. Out: the reconstruction corrected
//! in place, and the code of the corrections. Blocks of 8 × 8 × 8 points (smaller at the ends) that miss the bound get the
//! leading coefficients of their error, in order of magnitude, until it holds: first those on a PCA basis of such errors,
//! whose vectors are stored, then those on the cosine basis, which costs nothing; how many vectors are worth storing is found
//! by trial. A block that even fine coefficients cannot bring under τ (near the resolution of f64) is stored bit for bit.
//!
//! Both directions correct a block through the same function in the same order of operations.

use crate::entropy::{BitCoder, Cost, Counter, Decoder, Encoder, Mixer, probability, stretch};
use crate::error::{Error, Result};
use crate::residual::basis::Basis;
use std::sync::LazyLock;

/// Points along a block's edge.
const SIDE: usize = 8;
/// Points of a whole block. Smaller ones use the same strides.
const POINTS: usize = SIDE * SIDE * SIDE;
/// The most PCA vectors that are stored.
const MAX_VECTORS: usize = 64;
/// Entries of a stored vector are in units of 1 / ENTRY_UNITS.
const ENTRY_UNITS: f64 = 128.0;
/// The coarsest coefficient step in units of τ; each index halves it twice as slowly: 2^(1 − i/2).
const COARSEST: f64 = 2.0;
/// Bits of a step's index.
const STEP_BITS: u32 = 5;
/// Halvings of the step that a block may ask for; this many stand for a block that is stored bit for bit.
const EXACT: u32 = 24;
/// The largest magnitude of a quantised coefficient.
const MAX_MAGNITUDE: u64 = 1 << 50;
/// What is left of a block's squared norm, in units of τ², that counts as met: below 1 by more than rounding.
const MET: f64 = 1.0 - 1e-12;
/// The same for the estimate from coefficients.
const PLANNED: f64 = 1.0 - 1e-7;
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

/// Orthonormal cosine bases of 1 to 8 points.
static COSINES: LazyLock<[Basis; SIDE]> = LazyLock::new(|| std::array::from_fn(|n| Basis::cosine(n + 1)));

/// The cosine transform of a block, in place, along each axis.
fn cosine_transform(values: &mut [f64; POINTS], size: [usize; 3], inverse: bool) {
    for (axis, stride) in [SIDE * SIDE, SIDE, 1].into_iter().enumerate() {
        let n = size[axis];
        let basis = &COSINES[n - 1];
        let others: [usize; 2] = std::array::from_fn(|i| [[1, 2], [0, 2], [0, 1]][axis][i]);
        let strides = others.map(|a| [SIDE * SIDE, SIDE, 1][a]);
        for i in 0..size[others[0]] {
            for j in 0..size[others[1]] {
                let start = i * strides[0] + j * strides[1];
                let line: [f64; SIDE] = std::array::from_fn(|k| if k < n { values[start + k * stride] } else { 0.0 });
                let mut out = [0.0; SIDE];
                for (k, &value) in line[..n].iter().enumerate() {
                    if inverse {
                        for (o, b) in out[..n].iter_mut().zip(basis.row(k)) {
                            *o += value * b;
                        }
                    } else {
                        out[k] = line[..n].iter().zip(basis.row(k)).map(|(v, b)| v * b).sum();
                    }
                }
                for (k, &value) in out[..n].iter().enumerate() {
                    values[start + k * stride] = value;
                }
            }
        }
    }
}

/// The stored PCA vectors, nearly orthonormal.
#[derive(Clone, Debug, Default)]
struct Vectors {
    entries: Vec<[i8; POINTS]>,
    rows: Vec<[f64; POINTS]>,
}

impl Vectors {
    fn push(&mut self, entries: [i8; POINTS]) {
        self.rows.push(entries.map(|v| f64::from(v) / ENTRY_UNITS));
        self.entries.push(entries);
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn first(&self, count: usize) -> Self {
        Self { entries: self.entries[..count].to_vec(), rows: self.rows[..count].to_vec() }
    }

    /// The leading vectors of `errors`, by falling energy.
    fn pca(errors: &[[f64; POINTS]], count: usize) -> Self {
        let mut out = Self::default();
        let dot = |a: &[f64; POINTS], b: &[f64; POINTS]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        // The smaller of the two second-moment matrices: over blocks, or over points.
        let over_blocks = errors.len() < POINTS;
        let n = errors.len().min(POINTS);
        let mut moments = faer::Mat::<f64>::zeros(n, n);
        if over_blocks {
            for i in 0..n {
                for j in 0..=i {
                    moments[(i, j)] = dot(&errors[i], &errors[j]);
                }
            }
        } else {
            for error in errors {
                for (j, &b) in error.iter().enumerate() {
                    if b != 0.0 {
                        for (i, &a) in error.iter().enumerate().skip(j) {
                            moments[(i, j)] += a * b;
                        }
                    }
                }
            }
        }
        let Ok(eigen) = moments.self_adjoint_eigen(faer::Side::Lower) else {
            return out; // the cosine basis does it alone
        };
        // faer sorts by rising eigenvalue.
        for column in (0..n).rev().take(count) {
            let mut vector = [0.0; POINTS];
            for k in 0..n {
                let weight = eigen.U()[(k, column)];
                if over_blocks {
                    for (v, e) in vector.iter_mut().zip(&errors[k]) {
                        *v += weight * e;
                    }
                } else {
                    vector[k] = weight;
                }
            }
            let norm = dot(&vector, &vector).sqrt();
            if !(norm.is_finite() && norm > 0.0) {
                break;
            }
            out.push(vector.map(|v| (v / norm * ENTRY_UNITS).round() as i8));
        }
        out
    }
}

/// How a block is corrected: halvings of the step, coefficients (position, value) by rising position, or its bits.
#[derive(Clone, Debug, Default, PartialEq)]
struct Plan {
    refinement: u32,
    vectors: Vec<(u16, i64)>,
    cosines: Vec<(u16, i64)>,
    exact: Vec<u64>,
}

/// The step in units of τ: that of index `step`, halved `refinement` times.
fn step_size(step: u32, refinement: u32) -> f64 {
    let halvings = (step / 2 + refinement) as i32;
    let coarse = if step % 2 == 0 { COARSEST } else { COARSEST * std::f64::consts::FRAC_1_SQRT_2 };
    coarse / (1u64 << halvings) as f64
}

/// Corrects a block. The one place that does, for both directions.
fn apply(plan: &Plan, grid: &Grid, block: &Block, step: u32, tau: f64, vectors: &Vectors, decoded: &mut [f64]) {
    if plan.refinement == EXACT {
        let mut bits = plan.exact.iter();
        for (at, _) in grid.rows(block) {
            for (value, &bits) in decoded[at..][..block.size[2]].iter_mut().zip(&mut bits) {
                *value = f64::from_bits(bits);
            }
        }
        return;
    }
    let unit = step_size(step, plan.refinement);
    let mut correction = [0.0; POINTS];
    if !plan.cosines.is_empty() {
        for &(at, value) in &plan.cosines {
            correction[usize::from(at)] = value as f64 * unit;
        }
        cosine_transform(&mut correction, block.size, true);
    }
    for &(at, value) in &plan.vectors {
        let scale = value as f64 * unit;
        for (c, v) in correction.iter_mut().zip(&vectors.rows[usize::from(at)]) {
            *c += scale * v;
        }
    }
    for (at, local) in grid.rows(block) {
        for (value, c) in decoded[at..][..block.size[2]].iter_mut().zip(&correction[local..]) {
            *value += tau * c;
        }
    }
}

/// A block's error and its cosine coefficients by falling magnitude.
struct Prepared {
    energy: f64,
    error: [f64; POINTS],
    cosines: Vec<(f64, u16)>,
}

fn by_magnitude(error: &[f64; POINTS], size: [usize; 3]) -> Vec<(f64, u16)> {
    let mut values = *error;
    cosine_transform(&mut values, size, false);
    let mut out: Vec<(f64, u16)> =
        values.iter().enumerate().filter(|(_, v)| **v != 0.0).map(|(i, &v)| (v, i as u16)).collect();
    out.sort_unstable_by(|a, b| b.0.abs().total_cmp(&a.0.abs()).then(a.1.cmp(&b.1)));
    out
}

impl Prepared {
    fn new(energy: f64, error: [f64; POINTS], block: &Block) -> Self {
        Self { energy, error, cosines: by_magnitude(&error, block.size) }
    }

    /// The coefficients with which the bound should hold at this step; `None` where the step is too coarse.
    fn plan(&self, block: &Block, step: u32, refinement: u32, vectors: &Vectors) -> Option<Plan> {
        let unit = step_size(step, refinement);
        let mut plan = Plan { refinement, ..Plan::default() };
        let mut energy = self.energy;
        let changed;
        let mut cosines = &self.cosines;
        if vectors.len() > 0 {
            let dot = |a: &[f64; POINTS], b: &[f64; POINTS]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
            let mut left = self.error;
            let mut order: Vec<(f64, usize)> =
                vectors.rows.iter().enumerate().map(|(i, row)| (dot(row, &left).abs(), i)).collect();
            order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
            for (magnitude, i) in order {
                if energy <= PLANNED || magnitude < 0.4 * unit {
                    break;
                }
                let value = quantise(dot(&vectors.rows[i], &left), unit)?;
                if value == 0 {
                    continue;
                }
                for (l, v) in left.iter_mut().zip(&vectors.rows[i]) {
                    *l -= value as f64 * unit * v;
                }
                energy = dot(&left, &left);
                plan.vectors.push((i as u16, value));
            }
            plan.vectors.sort_unstable();
            if energy > PLANNED {
                changed = by_magnitude(&left, block.size);
                cosines = &changed;
            }
        }
        for &(coefficient, at) in cosines {
            if energy <= PLANNED {
                break;
            }
            let value = quantise(coefficient, unit)?;
            if value == 0 {
                return None;
            }
            let left = coefficient - value as f64 * unit;
            energy += left * left - coefficient * coefficient;
            plan.cosines.push((at, value));
        }
        if energy > PLANNED || energy.is_nan() {
            return None;
        }
        plan.cosines.sort_unstable();
        Some(plan)
    }

    /// Plans worth trying, the cheapest by estimate first, then finer and finer ones.
    fn plans<'a>(&'a self, block: &'a Block, step: u32, vectors: &'a Vectors) -> impl Iterator<Item = Plan> + 'a {
        let mut at = 0;
        let mut next = move || {
            while at < EXACT {
                at += 1;
                if let Some(plan) = self.plan(block, step, at - 1, vectors) {
                    return Some(plan);
                }
            }
            None
        };
        let mut waiting = if self.energy.is_finite() { next() } else { None };
        let mut first = true;
        std::iter::from_fn(move || {
            let mut plan = waiting.take()?;
            waiting = next();
            if first
                && let Some(finer) = &mut waiting
                && finer.estimate() < plan.estimate()
            {
                std::mem::swap(finer, &mut plan);
            }
            first = false;
            Some(plan)
        })
    }
}

impl Plan {
    /// About how many bits it takes.
    fn estimate(&self) -> f64 {
        let kept = (self.cosines.len() + self.vectors.len()) as f64;
        let magnitudes: u32 = self.cosines.iter().chain(&self.vectors).map(|v| 2 * v.1.unsigned_abs().ilog2()).sum();
        kept * ((POINTS as f64 / kept.max(1.0)).log2() + 3.0) + f64::from(magnitudes)
    }
}

/// Nearest multiple of `unit`; `None` beyond what is coded.
fn quantise(value: f64, unit: f64) -> Option<i64> {
    let value = (value / unit).round();
    (value.abs() < MAX_MAGNITUDE as f64).then_some(value as i64)
}

/// How far back the counters remember.
const LIMIT: u32 = 200;
const RATE: i32 = 3;
/// Inputs of the significance flag's mixer: three contexts and a bias.
const INPUTS: usize = 4;
const BIAS: i32 = 256;
/// Classes of the share of positions still to be significant, two an octave.
const SHARES: usize = 20;
/// Sums of a position's three frequencies.
const SUMS: usize = 3 * (SIDE - 1) + 1;

/// Positions of coefficients by rising sum of frequencies.
static ORDER: LazyLock<Vec<[usize; 3]>> = LazyLock::new(|| {
    let mut out: Vec<[usize; 3]> = (0..POINTS).map(|i| [i / 64, i / 8 % 8, i % 8]).collect();
    out.sort_by_key(|k| k.iter().sum::<usize>());
    out
});

/// The adaptive state of a window's corrections.
struct Model {
    failing: [Counter; 8],
    refinement: [Counter; EXACT as usize],
    flags: [Vec<Counter>; 3],
    mixer: Mixer<INPUTS>,
    vector_flags: Vec<Counter>,
    numbers: [Numbers; 5],
}

/// Which model of numbers: what is coded, as an index into [`Model::numbers`].
#[derive(Clone, Copy)]
enum Kind {
    CosineCount,
    VectorCount,
    Cosine,
    Vector,
    Entry,
}

/// An adaptive Exp-Golomb code: exponents in unary, the two bits below the leading one adaptive too.
struct Numbers {
    exponents: Vec<Counter>,
    mantissas: Vec<Counter>,
}

impl Numbers {
    fn new(contexts: usize) -> Self {
        Self {
            exponents: vec![Counter::default(); 64 * contexts],
            mantissas: vec![Counter::default(); 64 * 4 * contexts],
        }
    }

    fn code<C: BitCoder>(&mut self, coder: &mut C, context: usize, value: u64) -> Result<u64> {
        let target = (value + 1).ilog2();
        let exponents = &mut self.exponents[context * 64..][..64];
        let mantissas = &mut self.mantissas[context * 256..][..256];
        let mut exponent = 0u32;
        while code_bit(coder, target > exponent, &mut exponents[exponent as usize]) {
            exponent += 1;
            if exponent > 52 {
                return Err(Error::corrupt("a block's correction is out of range"));
            }
        }
        let mut out = 1u64;
        let modelled = exponent.min(2);
        for i in 1..=modelled {
            let counter = &mut mantissas[(exponent as usize * 4 + out as usize) & 255];
            out = out << 1 | u64::from(code_bit(coder, value.wrapping_add(1) >> (exponent - i) & 1 == 1, counter));
        }
        let rest = exponent - modelled;
        Ok((out << rest | coder.raw(value.wrapping_add(1) & ((1 << rest) - 1), rest)) - 1)
    }
}

fn code_bit<C: BitCoder>(coder: &mut C, bit: bool, counter: &mut Counter) -> bool {
    let bit = coder.bit(bit, counter.p1());
    counter.update(bit, LIMIT);
    bit
}

/// The class of a share `wanted / left`, and a probability (in 1/65536) in the middle of it.
fn share(wanted: usize, left: usize) -> usize {
    let ratio = left / wanted.max(1);
    let log = ratio.max(1).ilog2() as usize;
    let half = usize::from(2 * left >= 3 * (wanted << log));
    (2 * log + half).min(SHARES - 1)
}

const fn share_probability(class: usize) -> u16 {
    ([53000, 37000][class % 2] >> (class / 2)) as u16
}

impl Model {
    fn new() -> Self {
        let share_of = |context: usize| Counter::new(share_probability(context % SHARES), 4);
        Self {
            failing: [Counter::default(); 8],
            refinement: [Counter::new(16384, 2); EXACT as usize],
            flags: [
                (0..SHARES * SUMS).map(share_of).collect(),
                vec![Counter::new(3000, 1); POINTS],
                (0..SHARES * 64).map(share_of).collect(),
            ],
            mixer: Mixer::new(SHARES, 65536 * 34 / 100),
            vector_flags: vec![Counter::default(); MAX_VECTORS],
            numbers: [Numbers::new(1), Numbers::new(1), Numbers::new(3), Numbers::new(3), Numbers::new(8)],
        }
    }

    fn number<C: BitCoder>(&mut self, coder: &mut C, kind: Kind, context: usize, value: u64) -> Result<u64> {
        self.numbers[kind as usize].code(coder, context, value)
    }

    /// The entries of stored vectors at the points of blocks of `size`.
    fn code_vectors<C: BitCoder>(&mut self, coder: &mut C, size: [usize; 3], vectors: &mut Vectors) -> Result<()> {
        for k in 0..vectors.len() {
            let mut entries = vectors.entries[k];
            for t in 0..size[0] {
                for y in 0..size[1] {
                    for x in 0..size[2] {
                        let at = (t * SIDE + y) * SIDE + x;
                        let near = |there: bool, back: usize| if there { entries[at - back].unsigned_abs() } else { 0 };
                        let sum = near(t > 0, 64) / 2 + near(y > 0, 8) / 2 + near(x > 0, 1) / 2;
                        let context = (8 - sum.leading_zeros() as usize).min(7);
                        let value = i64::from(entries[at]);
                        let magnitude = self.number(coder, Kind::Entry, context, value.unsigned_abs())?;
                        let negative = magnitude != 0 && coder.raw(u64::from(value < 0), 1) == 1;
                        let value = if negative { -(magnitude as i64) } else { magnitude as i64 };
                        entries[at] =
                            i8::try_from(value).map_err(|_| Error::corrupt("a vector's entry is out of range"))?;
                    }
                }
            }
            if !C::ENCODES {
                vectors.entries[k] = entries;
                vectors.rows[k] = entries.map(|v| f64::from(v) / ENTRY_UNITS);
            }
        }
        Ok(())
    }

    /// Codes a block's plan; `vectors` is how many stored vectors it may use.
    fn code_plan<C: BitCoder>(&mut self, coder: &mut C, block: &Block, vectors: usize, plan: &mut Plan) -> Result<()> {
        let mut refinement = 0;
        while refinement < EXACT
            && code_bit(coder, plan.refinement > refinement, &mut self.refinement[refinement as usize])
        {
            refinement += 1;
        }
        plan.refinement = refinement;
        let points = block.size.iter().product::<usize>();
        if refinement == EXACT {
            plan.exact.resize(points, 0);
            for bits in &mut plan.exact {
                *bits = coder.raw(*bits, 64);
            }
            return Ok(());
        }
        if vectors > 0 {
            let count = self.count(coder, Kind::VectorCount, plan.vectors.len(), vectors)?;
            let mut source = std::mem::take(&mut plan.vectors).into_iter().peekable();
            for at in 0..vectors {
                if plan.vectors.len() == count {
                    break;
                }
                let given = source.next_if(|v| usize::from(v.0) == at);
                let forced = count - plan.vectors.len() == vectors - at;
                if forced || code_bit(coder, given.is_some(), &mut self.vector_flags[at]) {
                    let value = self.value(coder, Kind::Vector, given.map_or(0, |v| v.1), at.min(2))?;
                    plan.vectors.push((at as u16, value));
                }
            }
        }
        let count = self.count(coder, Kind::CosineCount, plan.cosines.len(), points)?;
        let mut given = [0i64; POINTS];
        for (at, value) in std::mem::take(&mut plan.cosines) {
            given[usize::from(at)] = value;
        }
        let mut left = points;
        for &[t, y, x] in ORDER.iter() {
            let wanted = count - plan.cosines.len();
            if wanted == 0 {
                break;
            }
            if t >= block.size[0] || y >= block.size[1] || x >= block.size[2] {
                continue;
            }
            let at = (t * SIDE + y) * SIDE + x;
            if wanted == left || self.flag(coder, given[at] != 0, [t, y, x], share(wanted, left)) {
                let value = self.value(coder, Kind::Cosine, given[at], (refinement as usize).min(2))?;
                plan.cosines.push((at as u16, value));
            }
            left -= 1;
        }
        plan.cosines.sort_unstable();
        Ok(())
    }

    fn count<C: BitCoder>(&mut self, coder: &mut C, kind: Kind, count: usize, most: usize) -> Result<usize> {
        let count = self.number(coder, kind, 0, count as u64)?;
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= most)
            .ok_or_else(|| Error::corrupt("a block's correction has more coefficients than the block has points"))
    }

    fn value<C: BitCoder>(&mut self, coder: &mut C, kind: Kind, value: i64, context: usize) -> Result<i64> {
        let magnitude = self.number(coder, kind, context, value.unsigned_abs().wrapping_sub(1).min(MAX_MAGNITUDE))? + 1;
        if magnitude > MAX_MAGNITUDE {
            return Err(Error::corrupt("a block's correction is out of range"));
        }
        let negative = coder.raw(u64::from(value < 0), 1) == 1;
        Ok(if negative { -(magnitude as i64) } else { magnitude as i64 })
    }

    fn flag<C: BitCoder>(&mut self, coder: &mut C, flag: bool, k: [usize; 3], share: usize) -> bool {
        let coarse = k.map(|k| k.min(3));
        let at = [
            k.iter().sum::<usize>() * SHARES + share,
            (k[0] * SIDE + k[1]) * SIDE + k[2],
            ((coarse[0] * 4 + coarse[1]) * 4 + coarse[2]) * SHARES + share,
        ];
        let mut inputs = [BIAS; INPUTS];
        for ((input, table), &at) in inputs.iter_mut().zip(&self.flags).zip(&at) {
            *input = stretch(table[at].p1());
        }
        let mixed = self.mixer.mix(&inputs, share);
        let bit = coder.bit(flag, probability(mixed, mixed));
        self.mixer.update(&inputs, bit, RATE);
        for (table, &at) in self.flags.iter_mut().zip(&at) {
            table[at].update(bit, LIMIT);
        }
        bit
    }
}

/// Whether the blocks before block `index` along each axis failed.
fn failing_context(grid: &Grid, failing: &[bool], index: usize) -> usize {
    let [_, h, w] = grid.blocks;
    let before = |there: bool, back: usize| usize::from(there && failing[index - back]);
    before(index % w > 0, 1) | before(index / w % h > 0, w) << 1 | before(index >= h * w, h * w) << 2
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

    #[test]
    fn cosine_transforms_invert() {
        let mut noise = Noise(9);
        for size in [[8, 8, 8], [1, 8, 3], [5, 1, 1], [2, 7, 8]] {
            let mut values = [0.0; POINTS];
            for (i, v) in values.iter_mut().enumerate() {
                if i / 64 < size[0] && i / 8 % 8 < size[1] && i % 8 < size[2] {
                    *v = noise.next();
                }
            }
            let before = values;
            cosine_transform(&mut values, size, false);
            let energy = |v: &[f64; POINTS]| v.iter().map(|v| v * v).sum::<f64>();
            assert!((energy(&values) / energy(&before) - 1.0).abs() < 1e-12);
            cosine_transform(&mut values, size, true);
            assert!(values.iter().zip(&before).all(|(a, b)| (a - b).abs() < 1e-12));
        }
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

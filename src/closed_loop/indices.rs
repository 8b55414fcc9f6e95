//! Entropy coding of quantisation indices: each bit under a probability learnt from what both sides already know.
//!
//! An index is the exponent of its magnitude in unary (the bit length of magnitude + 1, less 1), the bits after the
//! leading one, and a sign. Contexts are magnitudes and signs of indices nearby, how far apart the known values around
//! the point lie, and how far apart two predictions of it, in bins.

use crate::entropy::{BitCoder, Counter, Mixer, probability, stretch};
use crate::error::{Error, Result};

/// What is known about a point before its index is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around {
    /// Mean magnitude of the indices of the same pass behind, in quarters.
    pub(super) same: u32,
    /// Mean magnitude of the indices of known neighbours, in quarters.
    pub(super) near: u32,
    /// How far apart known neighbours are, in quarters of bins.
    pub(super) span: u32,
    /// Another prediction less the one used, in quarters of bins.
    pub(super) other: i32,
    /// A prediction along one axis less one along another, in quarters of bins.
    pub(super) axes: i32,
    /// Indices of the same pass behind: along the inner axis, and along the next ones.
    pub(super) west: i32,
    pub(super) north: i32,
    pub(super) above: i32,
    /// How far the prediction is from the field's middle, in quarters of bins.
    pub(super) value: u32,
    /// Three known values less the prediction, in steps of [`side`].
    pub(super) sides: [usize; 3],
    /// Signs of the neighbours' indices, added up.
    pub(super) lean: i32,
    /// The class of the pass, below [`CLASSES`].
    pub(super) class: usize,
}

/// Classes of passes.
pub(super) const CLASSES: usize = 64;
/// The exponent that stands for a value kept exactly.
const EXACT: u32 = 30;
/// Bits of the exponent with contexts of their own.
const BITS: usize = 16;
/// The context that is used where they are not mixed.
const ALONE: usize = 5;
const INPUTS: usize = 8;
const CONTEXTS: usize = INPUTS - 1;
const SIGN_INPUTS: usize = 5;
/// The input of the bias.
const BIAS: i32 = 256;
/// Learning rate of the mixers.
const RATE: i32 = 3;
/// How far back counters remember.
const LIMIT: u32 = 250;
const FAST_LIMIT: u32 = 120;
/// Weights that mixers start with.
const INITIAL: i32 = 65536 * 3 / 10;

/// Sizes of the exponent's tables, for one bit.
const SIZES: [usize; CONTEXTS] = [32 * 32, 512, CLASSES * 16, 32 * 16, 729 * 8, 32 * 32, 32 * 16];

/// An index, or word that the value is kept exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Index(i64),
    Exact,
}

/// All adaptive state of the coder.
pub(super) struct Model {
    flag: Vec<Counter>,
    exponent: [Vec<Counter>; CONTEXTS],
    exponent_mixers: [Mixer<INPUTS>; 2],
    mantissa: [Vec<Counter>; 2],
    sign: [Vec<Counter>; 4],
    sign_mixer: [Mixer<SIGN_INPUTS>; 2],
    number: Vec<Counter>,
}

/// Half octaves: 0, 1, 2, 3, then two to a doubling; below 32.
#[inline(always)]
pub(super) fn scale(v: u32) -> usize {
    if v < 4 {
        return v as usize;
    }
    let log = 31 - v.leading_zeros();
    ((2 * log + (v >> (log - 1) & 1)) as usize).min(31)
}

/// A signed amount in 15 steps.
#[inline(always)]
fn signed(v: i32) -> usize {
    let size = (scale(v.unsigned_abs()).div_ceil(2)).min(7);
    if v < 0 { 7 - size } else { 7 + size }
}

/// A difference in quarters of bins, in 9 steps.
#[inline(always)]
pub(super) fn side(v: i32) -> usize {
    let size = match v.unsigned_abs() {
        0..2 => 0,
        2..5 => 1,
        5..10 => 2,
        10..24 => 3,
        _ => 4,
    };
    if v < 0 { 4 - size } else { 4 + size }
}

#[inline(always)]
fn ternary(v: i32) -> usize {
    (v.signum() + 1) as usize
}

impl Model {
    /// Fresh state. What only mixed contexts need is left out where they are not.
    pub(super) fn new(mixing: bool) -> Self {
        let counters = |n: usize| vec![Counter::default(); n];
        let mixed = |n: usize, alone: bool| if mixing || alone { counters(n) } else { Vec::new() };
        let sets = |n: usize| if mixing { n } else { 0 };
        Self {
            flag: counters(8 * 4 * 8 * 16),
            exponent: std::array::from_fn(|k| mixed(BITS * SIZES[k], k == ALONE)),
            exponent_mixers: [Mixer::new(sets(BITS * 32), INITIAL), Mixer::new(sets(BITS * CLASSES), INITIAL)],
            mantissa: [counters(32 * 32 * 8), counters(32 * 4)],
            sign: [mixed(15 * 15, true), mixed(27 * 3, false), mixed(15 * 9, false), mixed(729, false)],
            sign_mixer: [Mixer::new(sets(15), INITIAL), Mixer::new(sets(CLASSES), INITIAL)],
            number: counters(17 * 64),
        }
    }

    /// Whether a batch holds anything but zeros, under a context below 4096.
    #[inline(always)]
    pub(super) fn flag<C: BitCoder>(&mut self, coder: &mut C, any: bool, context: usize) -> bool {
        let counter = &mut self.flag[context];
        let bit = coder.bit(any, counter.p1());
        counter.update(bit, LIMIT);
        bit
    }

    /// A parameter of a pass: an Exp-Golomb code of its zigzag under one of 17 contexts.
    pub(super) fn number<C: BitCoder>(&mut self, coder: &mut C, value: i32, context: usize) -> Result<i32> {
        let zigzag = ((value << 1) ^ (value >> 31)) as u32;
        let counters = &mut self.number[context * 64..][..64];
        let target = 31 - zigzag.saturating_add(1).leading_zeros();
        let mut exponent = 0;
        loop {
            let counter = &mut counters[exponent as usize];
            let more = coder.bit(target > exponent, counter.p1());
            counter.update(more, 30);
            if !more {
                break;
            }
            exponent += 1;
            if exponent > 20 {
                return Err(Error::corrupt("a parameter of a prediction is out of range"));
            }
        }
        let low = coder.raw(u64::from(zigzag.wrapping_add(1)) & ((1 << exponent) - 1), exponent) as u32;
        let zigzag = (1 << exponent | low) - 1;
        Ok((zigzag >> 1) as i32 ^ -((zigzag & 1) as i32))
    }

    /// An offset of predictions, coded like a parameter.
    pub(super) fn offset<C: BitCoder>(&mut self, coder: &mut C, value: i32) -> Result<i32> {
        self.number(coder, value, 16)
    }

    /// Codes an index, or when decoding returns it.
    ///
    /// # Errors
    /// `Corrupt` where no encoder wrote the bytes.
    #[inline(always)]
    pub(super) fn code<C: BitCoder, const MIXING: bool>(
        &mut self,
        coder: &mut C,
        symbol: Symbol,
        around: &Around,
    ) -> Result<Symbol> {
        let (magnitude, negative) = match symbol {
            Symbol::Index(q) => (q.unsigned_abs(), q < 0),
            Symbol::Exact => ((1 << EXACT) - 1, false),
        };
        let total = scale((2 * around.same + around.near) / 3);
        let exponent = self.exponent::<C, MIXING>(coder, 63 - (magnitude + 1).leading_zeros(), around, total)?;
        if exponent == 0 {
            return Ok(Symbol::Index(0));
        }
        if exponent == EXACT {
            return Ok(Symbol::Exact);
        }
        let mantissa = magnitude.wrapping_add(1) & ((1 << exponent) - 1);
        let mut out = 1u64;
        let modelled = exponent.min(3);
        for i in 0..modelled {
            let bit = mantissa >> (exponent - 1 - i) & 1 == 1;
            let counter = if i < 2 {
                &mut self.mantissa[0][(exponent as usize * 32 + total) * 8 + out as usize]
            } else {
                &mut self.mantissa[1][exponent as usize * 4 + (out & 3) as usize]
            };
            let bit = coder.bit(bit, counter.p1());
            counter.update(bit, LIMIT);
            out = out << 1 | u64::from(bit);
        }
        let rest = exponent - modelled;
        let magnitude = (out << rest | coder.raw(mantissa, rest)) - 1;
        let negative = self.sign::<C, MIXING>(coder, negative, around);
        Ok(Symbol::Index(if negative { -(magnitude as i64) } else { magnitude as i64 }))
    }

    #[inline(always)]
    fn exponent<C: BitCoder, const MIXING: bool>(
        &mut self,
        coder: &mut C,
        target: u32,
        a: &Around,
        total: usize,
    ) -> Result<u32> {
        let (same, near, span) = (scale(a.same), scale(a.near), scale(a.span));
        let other = scale(a.other.unsigned_abs()).min(15);
        let sides = (a.sides[0] * 9 + a.sides[1]) * 9 + a.sides[2];
        let small = |v: i32| v.unsigned_abs().min(7) as usize;
        let base = [
            same * 32 + near,
            (small(a.west) * 8 + small(a.north)) * 8 + small(a.above),
            a.class * 16 + total / 2,
            span * 16 + other,
            sides * 8 + total / 4,
            span * 32 + total,
            scale(a.value) * 16 + total / 2,
        ];
        let mut exponent = 0u32;
        loop {
            let bin = (exponent as usize).min(BITS - 1);
            let more = target > exponent;
            let more = if MIXING {
                let mut inputs = [BIAS; INPUTS];
                for k in 0..CONTEXTS {
                    inputs[k] = stretch(self.exponent[k][bin * SIZES[k] + base[k]].p1());
                }
                let [first, second] = &mut self.exponent_mixers;
                let p = probability(first.mix(&inputs, bin * 32 + total), second.mix(&inputs, bin * CLASSES + a.class));
                let more = coder.bit(more, p);
                first.update(&inputs, more, RATE);
                second.update(&inputs, more, RATE);
                for k in 0..CONTEXTS {
                    self.exponent[k][bin * SIZES[k] + base[k]].update(more, LIMIT);
                }
                more
            } else {
                let counter = &mut self.exponent[ALONE][bin * SIZES[ALONE] + base[ALONE]];
                let more = coder.bit(more, counter.p1());
                counter.update(more, FAST_LIMIT);
                more
            };
            if !more {
                return Ok(exponent);
            }
            exponent += 1;
            if exponent >= EXACT {
                return Ok(EXACT);
            }
        }
    }

    #[inline(always)]
    fn sign<C: BitCoder, const MIXING: bool>(&mut self, coder: &mut C, negative: bool, a: &Around) -> bool {
        let (other, axes) = (signed(a.other), signed(a.axes));
        let lean = (a.lean.clamp(-1, 1) + 1) as usize;
        let at = [
            other * 15 + axes,
            ((ternary(a.west) * 3 + ternary(a.north)) * 3 + ternary(a.above)) * 3 + lean,
            (other * 3 + ternary(a.west)) * 3 + ternary(a.north),
            (a.sides[0] * 9 + a.sides[1]) * 9 + a.sides[2],
        ];
        if !MIXING {
            let counter = &mut self.sign[0][at[0]];
            let bit = coder.bit(negative, counter.p1());
            counter.update(bit, FAST_LIMIT);
            return bit;
        }
        let mut inputs = [BIAS; SIGN_INPUTS];
        for k in 0..4 {
            inputs[k] = stretch(self.sign[k][at[k]].p1());
        }
        let [first, second] = &mut self.sign_mixer;
        let p = probability(first.mix(&inputs, other), second.mix(&inputs, a.class));
        let bit = coder.bit(negative, p);
        first.update(&inputs, bit, RATE);
        second.update(&inputs, bit, RATE);
        for (table, at) in self.sign.iter_mut().zip(at) {
            table[at].update(bit, LIMIT);
        }
        bit
    }
}

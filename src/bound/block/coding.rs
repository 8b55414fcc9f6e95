//! The code of corrections: the stored vectors' entries and every block's plan, under adaptive integer models.

use super::correct::{ENTRY_UNITS, EXACT, MAX_MAGNITUDE, MAX_VECTORS, Plan, Vectors};
use super::grid::{Block, POINTS, SIDE};
use crate::entropy::{BitCoder, Counter, Mixer, probability, stretch};
use crate::error::{Error, Result};
use std::sync::LazyLock;

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
pub(super) struct Model {
    /// Whether a block failed, by whether those before it did.
    pub(super) failing: [Counter; 8],
    refinement: [Counter; EXACT as usize],
    flags: [Vec<Counter>; 3],
    mixer: Mixer<INPUTS>,
    vector_flags: Vec<Counter>,
    numbers: [Numbers; 5],
}

/// The kind of a coded number: an index into [`Model::numbers`].
#[derive(Clone, Copy)]
enum Kind {
    CosineCount,
    VectorCount,
    Cosine,
    Vector,
    Entry,
}

/// An adaptive Exp-Golomb code: exponents in unary, the two bits below the leading one adaptive too.
pub(super) struct Numbers {
    exponents: Vec<Counter>,
    mantissas: Vec<Counter>,
}

impl Numbers {
    pub(super) fn new(contexts: usize) -> Self {
        Self {
            exponents: vec![Counter::default(); 64 * contexts],
            mantissas: vec![Counter::default(); 64 * 4 * contexts],
        }
    }

    pub(super) fn code<C: BitCoder>(&mut self, coder: &mut C, context: usize, value: u64) -> Result<u64> {
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

pub(super) fn code_bit<C: BitCoder>(coder: &mut C, bit: bool, counter: &mut Counter) -> bool {
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
    pub(super) fn new() -> Self {
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
    pub(super) fn code_vectors<C: BitCoder>(
        &mut self,
        coder: &mut C,
        size: [usize; 3],
        vectors: &mut Vectors,
    ) -> Result<()> {
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
    pub(super) fn code_plan<C: BitCoder>(
        &mut self,
        coder: &mut C,
        block: &Block,
        vectors: usize,
        plan: &mut Plan,
    ) -> Result<()> {
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

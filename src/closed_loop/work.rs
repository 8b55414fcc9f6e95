//! What both directions hold while a window is coded.

use super::indices::{Model, Symbol};
use super::levels::Grid;
use super::offset::Account;
use super::quantise::Quantiser;
use crate::entropy::BitCoder;
use crate::field::Element;

/// Points that share a flag, at least, where there are as many.
pub(super) const BATCH: usize = 64;

/// A window while it is coded: what is known of it, and the indices so far.
pub(super) struct Work<'a, T> {
    pub(super) grid: Grid,
    /// The values, when encoding.
    pub(super) source: &'a [T],
    /// Points that are not data.
    pub(super) mask: Option<&'a [bool]>,
    /// The largest error of a value, when encoding.
    pub(super) bound: f64,
    /// Values as they are decoded; predictions at points kept exactly.
    pub(super) known: &'a mut [T],
    /// Indices, within 16 bits.
    pub(super) marks: Vec<i16>,
    /// What errors add up to, when encoding and where that is asked for.
    pub(super) account: Account,
    /// Values kept exactly, and where.
    pub(super) kept: Vec<(usize, T)>,
}

impl<'a, T: Element> Work<'a, T> {
    pub(super) fn new(grid: Grid, source: &'a [T], mask: Option<&'a [bool]>, bound: f64, known: &'a mut [T]) -> Self {
        let marks = vec![0; known.len()];
        Self { grid, source, mask, bound, known, marks, account: Account::default(), kept: Vec::new() }
    }
}

impl<T: Element> Work<'_, T> {
    #[inline(always)]
    pub(super) fn is_masked(&self, at: usize) -> bool {
        self.mask.is_some_and(|mask| mask[at])
    }

    #[inline(always)]
    pub(super) fn value(&self, at: usize) -> f64 {
        self.known[at].to_f64()
    }

    #[inline(always)]
    pub(super) fn mark(&self, at: usize) -> i32 {
        i32::from(self.marks[at])
    }

    /// Quantises a point when encoding; the value as decoded is known from here on.
    #[inline(always)]
    pub(super) fn quantise(&mut self, quantiser: &Quantiser, at: usize, prediction: f64) -> Symbol {
        if !self.is_masked(at) {
            match quantiser.quantise(self.source[at], prediction) {
                Some((index, restored)) => {
                    self.known[at] = restored;
                    return Symbol::Index(index);
                }
                None => {
                    self.known[at] = quantiser.restore(prediction, 0);
                    return Symbol::Exact;
                }
            }
        }
        self.known[at] = quantiser.restore(prediction, 0);
        Symbol::Index(0)
    }

    /// The error of a point that was quantised to this.
    #[inline(always)]
    pub(super) fn error(&self, at: usize, symbol: Symbol) -> f64 {
        let is_exact = self.is_masked(at) || symbol == Symbol::Exact;
        if is_exact { 0.0 } else { self.known[at].to_f64() - self.source[at].to_f64() }
    }

    /// Keeps a symbol that was coded: its mark, and when decoding its value.
    #[inline(always)]
    pub(super) fn keep<C: BitCoder>(
        &mut self,
        coder: &mut C,
        symbol: Symbol,
        quantiser: &Quantiser,
        (at, prediction): (usize, f64),
    ) {
        match symbol {
            Symbol::Index(index) => {
                self.marks[at] = index.clamp(-32767, 32767) as i16;
                if !C::ENCODES {
                    self.known[at] = quantiser.restore(prediction, index);
                }
            }
            Symbol::Exact => {
                let bits = if C::ENCODES { self.source[at].to_bits_u64() } else { 0 };
                let bits = coder.raw(bits, 8 * T::DTYPE.size() as u32);
                self.kept.push((at, T::from_bits_u64(bits)));
                self.known[at] = quantiser.restore(prediction, 0);
            }
        }
    }
}

/// The flag of a batch, under what the last two were and two measures of what is around.
pub(super) struct Flags(usize);

impl Flags {
    pub(super) fn new() -> Self {
        Self(0)
    }

    /// Codes a flag; `busy` and `span` say how many neighbours have an index other than 0, and how far apart they lie.
    #[inline(always)]
    pub(super) fn code<C: BitCoder>(
        &mut self,
        model: &mut Model,
        coder: &mut C,
        any: bool,
        [level, busy, span]: [usize; 3],
    ) -> bool {
        let any = model.flag(coder, any, ((level * 4 + self.0) * 8 + busy.min(7)) * 16 + span.min(15));
        self.0 = (self.0 << 1 | usize::from(any)) & 3;
        any
    }
}

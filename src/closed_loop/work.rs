//! What both directions hold while a field is coded.

use super::indices::{Model, Symbol};
use super::levels::Grid;
use super::quantise::Quantiser;
use crate::entropy::BitCoder;
use crate::error::Result;
use crate::field::Element;

/// Points that share a flag, at least, where there are as many.
pub(super) const BATCH: usize = 64;

/// A field while it is coded: what is known of it, and the indices so far.
pub(super) struct Work<'a, T> {
    pub(super) grid: Grid,
    /// The values, when encoding.
    pub(super) source: &'a [T],
    /// Points that are not data.
    pub(super) mask: Option<&'a [bool]>,
    /// Values as they are decoded; predictions at points kept exactly.
    pub(super) known: &'a mut [T],
    /// Indices, within 16 bits.
    pub(super) marks: Vec<i16>,
    /// Values kept exactly, and where.
    pub(super) kept: Vec<(usize, T)>,
}

impl<T: Element> Work<'_, T> {
    #[inline(always)]
    pub(super) fn is_masked(&self, at: usize) -> bool {
        self.mask.is_some_and(|mask| mask[at])
    }

    /// Quantises a point when encoding; the value as decoded is known from here on.
    #[inline(always)]
    pub(super) fn quantise(&mut self, quantiser: &Quantiser, at: usize, prediction: f64) -> Symbol {
        if self.is_masked(at) {
            self.known[at] = T::from_f64(prediction);
            return Symbol::Index(0);
        }
        match quantiser.quantise(self.source[at], prediction) {
            Some((index, restored)) => {
                self.known[at] = restored;
                Symbol::Index(index)
            }
            None => {
                self.known[at] = T::from_f64(prediction);
                Symbol::Exact
            }
        }
    }

    /// Keeps a symbol that was coded: its mark, and when decoding its value.
    #[inline(always)]
    pub(super) fn keep<C: BitCoder>(
        &mut self,
        coder: &mut C,
        symbol: Symbol,
        quantiser: &Quantiser,
        at: usize,
        prediction: f64,
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
                self.known[at] = T::from_f64(prediction);
            }
        }
    }

    #[inline(always)]
    pub(super) fn mark(&self, at: usize) -> i32 {
        i32::from(self.marks[at])
    }
}

/// The flag of a batch, under what the last two were and two measures of what is around.
pub(super) struct Flags(usize);

impl Flags {
    pub(super) fn new() -> Self {
        Self(0)
    }

    #[inline(always)]
    pub(super) fn code<C: BitCoder>(
        &mut self,
        model: &mut Model,
        coder: &mut C,
        any: bool,
        busy: usize,
        span: usize,
        level: usize,
    ) -> bool {
        let any = model.flag(coder, any, ((level * 4 + self.0) * 8 + busy.min(7)) * 16 + span.min(15));
        self.0 = (self.0 << 1 | usize::from(any)) & 3;
        any
    }
}

/// A number of bins in quarters, as a context takes it.
#[inline(always)]
pub(super) fn quarters(quantiser: &Quantiser, difference: f64) -> i32 {
    // Saturates; 0 where it is not a number.
    (quantiser.bins(difference) * 4.0) as i32
}

/// The end of a coding pass.
pub(super) type Done = Result<()>;

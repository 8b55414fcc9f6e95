//! The latents' entropy coder: rANS with the package's integer tables.
//!
//! In: values and the [`Row`] that models each. Out: bytes; and back. Coding is integer arithmetic throughout, so the
//! same rows and values give the same bytes on every machine. Any bytes decode to an error or to values within the
//! limit asked for, in time and memory proportional to the values asked for and the bytes given.
//!
//! The coder is `constriction`'s (state 64 bits, words of 32, precision 16). The crate `rans` was the other candidate:
//! it wraps C code that reads beyond the end of bytes that are cut short and panics on empty ones; `constriction` is
//! Rust alone, checks every read, is maintained by people who research such coders, and takes distributions of ours
//! through a trait.
//!
//! A value outside its row is coded as the row's escape symbol and an Exp-Golomb code of its zigzag `u` in bits of
//! probability one half: with `n = u + 1` of `k + 1` binary digits, `k` zeros, a one, and the `k` lower digits of `n`,
//! highest first.

use crate::error::{Error, Result};
use crate::model::{PRECISION, Row};
use constriction::stream::model::{DecoderModel, EncoderModel, EntropyModel};
use constriction::stream::stack::DefaultAnsCoder;
use constriction::stream::{Decode, Encode};
use std::borrow::Borrow;
use std::num::NonZeroU32;

const TOTAL: u32 = 1 << PRECISION;
const WORD_BYTES: usize = size_of::<u32>();
/// The largest magnitude of a coded value.
pub(crate) const MAX_VALUE: i32 = 1 << 20;

/// The part `start .. start + frequency` of `0 .. TOTAL` that a symbol owns: all that coding it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval {
    start: u32,
    frequency: NonZeroU32,
}

impl Interval {
    fn new((start, frequency): (u32, u32)) -> Self {
        // Tables are checked to have no empty interval.
        Self { start, frequency: NonZeroU32::new(frequency).unwrap_or(NonZeroU32::MIN) }
    }
}

impl EntropyModel<PRECISION> for Interval {
    type Symbol = ();
    type Probability = u32;
}

impl EncoderModel<PRECISION> for Interval {
    fn left_cumulative_and_probability(&self, _symbol: impl Borrow<()>) -> Option<(u32, NonZeroU32)> {
        Some((self.start, self.frequency))
    }
}

/// A decoder's view of a distribution: a row, or a bit of probability one half.
enum Distribution<'a> {
    Row(&'a Row),
    Bit,
}

const HALF: u32 = TOTAL / 2;

impl Distribution<'_> {
    fn interval(&self, symbol: usize) -> Interval {
        match self {
            Self::Row(row) => Interval::new(row.interval(symbol)),
            Self::Bit => Interval::new((HALF * symbol as u32, HALF)),
        }
    }
}

impl EntropyModel<PRECISION> for Distribution<'_> {
    type Symbol = usize;
    type Probability = u32;
}

impl DecoderModel<PRECISION> for Distribution<'_> {
    fn quantile_function(&self, quantile: u32) -> (usize, u32, NonZeroU32) {
        let symbol = match self {
            Self::Row(row) => row.find(quantile),
            Self::Bit => usize::from(quantile >= HALF),
        };
        let Interval { start, frequency } = self.interval(symbol);
        (symbol, start, frequency)
    }
}

/// Collects values in the order in which they will be decoded.
#[derive(Default)]
pub(crate) struct LatentsEncoder {
    intervals: Vec<Interval>,
}

impl LatentsEncoder {
    /// Adds a value of at most [`MAX_VALUE`] in magnitude.
    pub fn put(&mut self, row: &Row, value: i32) {
        debug_assert!(value.abs() <= MAX_VALUE);
        let symbol = row.symbol(value);
        self.intervals.push(Interval::new(row.interval(symbol)));
        if symbol != row.escape() {
            return;
        }
        let n = (((value << 1) ^ (value >> 31)) as u32) + 1;
        let digits = n.ilog2();
        self.intervals.extend((0..digits).map(|_| Distribution::Bit.interval(0)));
        self.intervals.extend((0..=digits).rev().map(|digit| Distribution::Bit.interval((n >> digit & 1) as usize)));
    }

    /// The bytes; none for no values. The coder is a stack, so the last value goes in first.
    ///
    /// # Errors
    /// `Internal`; the coder takes every interval of a checked row.
    pub fn finish(self) -> Result<Vec<u8>> {
        let mut coder = DefaultAnsCoder::new();
        for interval in self.intervals.iter().rev() {
            coder.encode_symbol((), interval).map_err(|_| Error::internal("rANS refuses an interval"))?;
        }
        let Ok(words) = coder.into_compressed();
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        // The last word is never zero; its leading zero bytes go without saying.
        bytes.truncate(bytes.len() - words.last().map_or(0, |word| word.leading_zeros() as usize / 8));
        Ok(bytes)
    }
}

/// Gives back the values of a [`LatentsEncoder`], in the same order.
pub(crate) struct LatentsDecoder {
    coder: DefaultAnsCoder,
}

fn damaged(what: &str) -> Error {
    Error::corrupt(format!("latents: {what}"))
}

impl LatentsDecoder {
    /// A decoder of [`LatentsEncoder::finish`]'s bytes.
    ///
    /// # Errors
    /// `Corrupt` where they cannot be such.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let word = |chunk: &[u8]| {
            let mut word = [0; WORD_BYTES];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_le_bytes(word)
        };
        if bytes.last() == Some(&0) {
            return Err(damaged("the last byte is zero"));
        }
        let words: Vec<u32> = bytes.chunks(WORD_BYTES).map(word).collect();
        let coder = DefaultAnsCoder::from_compressed(words).map_err(|_| damaged("the last word is zero"))?;
        Ok(Self { coder })
    }

    /// The next value.
    ///
    /// # Errors
    /// `Corrupt` where its magnitude is beyond `limit` (at most [`MAX_VALUE`]).
    pub fn get(&mut self, row: &Row, limit: i32) -> Result<i32> {
        let symbol = self.symbol(&Distribution::Row(row))?;
        let value = if symbol == row.escape() { self.escaped()? } else { row.value(symbol) };
        if value.abs() > limit {
            return Err(damaged(&format!("the value {value} is beyond {limit}")));
        }
        Ok(value)
    }

    /// Checks that all bytes were used.
    ///
    /// # Errors
    /// `Corrupt` where some are left.
    pub fn finish(self) -> Result<()> {
        if self.coder.is_empty() { Ok(()) } else { Err(damaged("bytes are left after the last value")) }
    }

    fn escaped(&mut self) -> Result<i32> {
        let mut digits = 0;
        while self.symbol(&Distribution::Bit)? == 0 {
            digits += 1;
            if digits > (2 * MAX_VALUE as u32).ilog2() {
                return Err(damaged("an escaped value is too long"));
            }
        }
        let mut n = 1u32;
        for _ in 0..digits {
            n = n << 1 | self.symbol(&Distribution::Bit)? as u32;
        }
        let zigzag = n - 1;
        Ok((zigzag >> 1) as i32 ^ -((zigzag & 1) as i32))
    }

    fn symbol(&mut self, distribution: &Distribution<'_>) -> Result<usize> {
        self.coder.decode_symbol(distribution).map_err(|_| damaged("the bytes end early"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A row of 2 to 40 symbols with frequencies in proportion to `weights`.
    fn row(min: i32, weights: &[u32]) -> Row {
        let total: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        let spare = u64::from(TOTAL) - weights.len() as u64;
        let mut cdf = vec![0];
        let mut seen = 0;
        for (index, weight) in weights.iter().enumerate() {
            seen += u64::from(*weight);
            cdf.push((seen * spare / total) as u32 + index as u32 + 1);
        }
        Row::new(min, cdf).unwrap()
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let one =
            (-50i32..50, prop::collection::vec(1u32..100_000, 2..40)).prop_map(|(min, weights)| row(min, &weights));
        prop::collection::vec(one, 1..6)
    }

    #[test]
    fn zero_values_take_no_bytes() {
        assert!(LatentsEncoder::default().finish().unwrap().is_empty());
        LatentsDecoder::new(&[]).unwrap().finish().unwrap();
    }

    #[test]
    fn the_bytes_are_these() {
        // Kept for ever: a change here is a change of the format.
        let row = row(-2, &[1, 4, 10, 4, 1]);
        let mut encoder = LatentsEncoder::default();
        for value in [0, 1, -1, 0, -2, 7, 0, -1_000, 0, 0] {
            encoder.put(&row, value);
        }
        let bytes = encoder.finish().unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "b46eafd5ac3a3ccc");
    }

    #[test]
    fn costs_are_near_the_entropy() {
        let row = row(0, &[1 << 14, 1 << 14, 1]);
        let mut encoder = LatentsEncoder::default();
        for i in 0..8000 {
            encoder.put(&row, (i * 7 / 3) % 2);
        }
        let bytes = encoder.finish().unwrap().len();
        assert!((1000..1012).contains(&bytes), "{bytes}");
    }

    proptest! {
        #[test]
        fn values_come_back(
            rows in rows(),
            values in prop::collection::vec(prop_oneof![4 => -60i32..60, 1 => -MAX_VALUE..=MAX_VALUE], 0..300),
        ) {
            let mut encoder = LatentsEncoder::default();
            for (index, value) in values.iter().enumerate() {
                encoder.put(&rows[index % rows.len()], *value);
            }
            let bytes = encoder.finish().unwrap();
            let mut decoder = LatentsDecoder::new(&bytes).unwrap();
            for (index, value) in values.iter().enumerate() {
                prop_assert_eq!(decoder.get(&rows[index % rows.len()], MAX_VALUE).unwrap(), *value);
            }
            decoder.finish().unwrap();
        }

        #[test]
        fn any_bytes_give_values_or_errors(
            rows in rows(),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            count in 0usize..400,
        ) {
            let Ok(mut decoder) = LatentsDecoder::new(&bytes) else { return Ok(()) };
            for index in 0..count {
                match decoder.get(&rows[index % rows.len()], 127) {
                    Ok(value) => prop_assert!(value.abs() <= 127),
                    Err(_) => return Ok(()),
                }
            }
            let _ = decoder.finish();
        }
    }
}

//! Strings of bits without a model: signs, and the digits of numbers that nothing predicts. The first bit is the lowest
//! of the first byte.

use crate::error::{Error, Result};

/// The most bits that are written or read at once.
pub(crate) const AT_ONCE: u32 = 56;

/// Writes bits to bytes.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    waiting: u64,
    count: u32,
}

impl BitWriter {
    /// Writes the lowest `count` bits of `value`, lowest first; the others have to be 0. At most [`AT_ONCE`].
    #[inline(always)]
    pub(crate) fn write(&mut self, value: u64, count: u32) {
        debug_assert!(count <= AT_ONCE && value >> count == 0);
        self.waiting |= value << self.count;
        self.count += count;
        if self.count >= 64 - AT_ONCE {
            self.bytes.extend_from_slice(&self.waiting.to_le_bytes());
            let whole = self.count / 8;
            self.bytes.truncate(self.bytes.len() - 8 + whole as usize);
            self.waiting = if whole == 8 { 0 } else { self.waiting >> (8 * whole) };
            self.count &= 7;
        }
    }

    /// The bytes; the last one is filled up with zeros.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push(self.waiting as u8);
        }
        self.bytes
    }
}

/// Reads bits from bytes. Past their end it reads zeros.
#[derive(Debug, Default)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl<'a> BitReader<'a> {
    /// A reader of a [`BitWriter`]'s bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits, at most [`AT_ONCE`].
    #[inline(always)]
    pub(crate) fn read(&mut self, count: u32) -> u64 {
        debug_assert!(count <= AT_ONCE);
        let rest = self.bytes.get(self.at / 8..).unwrap_or(&[]);
        let word = match rest.first_chunk::<8>() {
            Some(word) => u64::from_le_bytes(*word),
            None => rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
        };
        let value = word >> (self.at % 8) & ((1 << count) - 1);
        self.at += count as usize;
        value
    }

    /// Checks that all bytes were read, and no more.
    ///
    /// # Errors
    /// `Corrupt` otherwise.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.at.div_ceil(8) != self.bytes.len() {
            let read = self.at.div_ceil(8);
            return Err(Error::corrupt(format!("{} bytes of raw bits; expected {read}", self.bytes.len())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_what_was_written(parts in prop::collection::vec((any::<u64>(), 0..=AT_ONCE), 0..200)) {
            let parts: Vec<_> = parts.into_iter().map(|(v, n)| (v & ((1 << n) - 1), n)).collect();
            let mut writer = BitWriter::default();
            parts.iter().for_each(|&(value, count)| writer.write(value, count));
            let bytes = writer.finish();
            let mut reader = BitReader::new(&bytes);
            for &(value, count) in &parts {
                prop_assert_eq!(reader.read(count), value);
            }
            prop_assert!(reader.finish().is_ok());
            reader.read(9);
            prop_assert!(reader.finish().is_err());
        }
    }
}

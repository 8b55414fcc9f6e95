//! The binary arithmetic coder, carry-less on 32 bits, with 16-bit probabilities.
//!
//! One trait serves three purposes: writing bits, reading them, and adding up their cost.

use crate::error::{Error, Result};

/// One direction of the coder. A model's traversal is written once, over this trait.
pub(crate) trait BitCoder: Default {
    /// True where [`BitCoder::bit`] returns the bit that it was given.
    const ENCODES: bool;
    /// Codes one bit whose probability of being 1 is `p1 / 65536`, with `p1` in 1..=65535. A decoder ignores `bit`.
    fn bit(&mut self, bit: bool, p1: u32) -> bool;

    /// Codes the lowest `count` bits of `value`, each with probability one half, highest first.
    #[inline(always)]
    fn raw(&mut self, value: u64, count: u32) -> u64 {
        let mut out = 0;
        for i in (0..count).rev() {
            out = out << 1 | u64::from(self.bit(value >> i & 1 == 1, 1 << 15));
        }
        out
    }
}

/// Writes bits to bytes.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    low: u32,
    high: u32,
    bytes: Vec<u8>,
}

impl Encoder {
    /// An encoder that appends to `bytes`.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { low: 0, high: u32::MAX, bytes }
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Ends the code and gives the bytes back. The decoder reads zeros past the end.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        // The shortest bytes whose continuation with zeros lies in [low, high].
        for count in 1..=4u32 {
            let mask = if count == 4 { 0 } else { u32::MAX >> (8 * count) };
            let value = self.high & !mask;
            if value >= self.low {
                self.bytes.extend_from_slice(&value.to_be_bytes()[..count as usize]);
                break;
            }
        }
        while self.bytes.last() == Some(&0) {
            self.bytes.pop();
        }
        self.bytes
    }
}

#[inline(always)]
fn split(low: u32, high: u32, p1: u32) -> u32 {
    debug_assert!(p1 > 0 && p1 < 1 << 16);
    low + ((u64::from(high - low) * u64::from(p1)) >> 16) as u32
}

impl BitCoder for Encoder {
    const ENCODES: bool = true;

    #[inline(always)]
    fn bit(&mut self, bit: bool, p1: u32) -> bool {
        let mid = split(self.low, self.high, p1);
        if bit {
            self.high = mid;
        } else {
            self.low = mid + 1;
        }
        while (self.low ^ self.high) & 0xff00_0000 == 0 {
            self.bytes.push((self.high >> 24) as u8);
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
        }
        bit
    }
}

/// Reads bits from bytes.
#[derive(Debug, Default)]
pub(crate) struct Decoder<'a> {
    low: u32,
    high: u32,
    code: u32,
    bytes: &'a [u8],
    next: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder of an [`Encoder`]'s bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self { low: 0, high: u32::MAX, code: 0, bytes, next: 0 };
        for _ in 0..4 {
            decoder.code = decoder.code << 8 | decoder.byte();
        }
        decoder
    }

    #[inline(always)]
    fn byte(&mut self) -> u32 {
        let byte = self.bytes.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        u32::from(byte)
    }

    /// Checks that the code was as long as it had to be: no bytes left over.
    ///
    /// # Errors
    /// `Corrupt` where bytes remain.
    pub(crate) fn finish(self) -> Result<()> {
        if self.next < self.bytes.len() {
            return Err(Error::corrupt(format!("{} bytes of a section are left over", self.bytes.len() - self.next)));
        }
        Ok(())
    }

    /// True once more zeros were read past the end than any sound code needs: a loop over hostile bytes can stop.
    pub(crate) fn exhausted(&self) -> bool {
        self.next > self.bytes.len() + 64
    }
}

impl BitCoder for Decoder<'_> {
    const ENCODES: bool = false;

    #[inline(always)]
    fn bit(&mut self, _bit: bool, p1: u32) -> bool {
        let mid = split(self.low, self.high, p1);
        let bit = self.code <= mid;
        if bit {
            self.high = mid;
        } else {
            self.low = mid + 1;
        }
        while (self.low ^ self.high) & 0xff00_0000 == 0 {
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
            self.code = self.code << 8 | self.byte();
        }
        bit
    }
}

/// Adds up the cost of bits, in units of 1/65536 bit.
#[derive(Debug, Default)]
pub(crate) struct Cost {
    total: u64,
}

impl Cost {
    /// Bits.
    pub(crate) fn bits(&self) -> f64 {
        self.total as f64 / 65536.0
    }
}

/// −log2(i/1024 + 1/2048), in units of 1/65536 bit.
static COST: std::sync::LazyLock<[u32; 1024]> =
    std::sync::LazyLock::new(|| std::array::from_fn(|i| (-((i as f64 + 0.5) / 1024.0).log2() * 65536.0) as u32));

impl BitCoder for Cost {
    const ENCODES: bool = true;

    #[inline(always)]
    fn bit(&mut self, bit: bool, p1: u32) -> bool {
        let p = if bit { p1 } else { (1 << 16) - p1 };
        self.total += u64::from(COST[(p >> 6) as usize]);
        bit
    }

    fn raw(&mut self, value: u64, count: u32) -> u64 {
        self.total += u64::from(count) << 16;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decodes_what_was_encoded(bits in prop::collection::vec((any::<bool>(), 1u32..65536), 0..2000)) {
            let mut encoder = Encoder::new(Vec::new());
            for &(bit, p) in &bits {
                encoder.bit(bit, p);
            }
            let bytes = encoder.finish();
            let mut decoder = Decoder::new(&bytes);
            for &(bit, p) in &bits {
                prop_assert_eq!(decoder.bit(false, p), bit);
            }
            prop_assert!(!decoder.exhausted());
        }
    }

    #[test]
    fn codes_close_to_the_entropy() {
        let mut encoder = Encoder::new(Vec::new());
        let mut cost = Cost::default();
        let mut state = 1u32;
        for _ in 0..100_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let bit = state >> 16 < 655;
            encoder.bit(bit, 655);
            cost.bit(bit, 655);
        }
        let bits = 8.0 * encoder.finish().len() as f64;
        assert!((bits / cost.bits() - 1.0).abs() < 0.03, "{bits} bits, estimated {}", cost.bits());
    }
}

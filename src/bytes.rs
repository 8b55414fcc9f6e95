//! Little-endian reading and writing; nothing that is read is trusted before it is checked.

use crate::error::{Error, Result};

/// Appends to bytes.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

macro_rules! fixed {
    ($($name:ident: $type:ty),*) => {
        impl Writer {
            $(pub(crate) fn $name(&mut self, value: $type) {
                self.bytes.extend_from_slice(&value.to_le_bytes());
            })*
        }
        impl Reader<'_> {
            $(pub(crate) fn $name(&mut self) -> Result<$type> {
                let bytes = self.bytes(std::mem::size_of::<$type>())?;
                Ok(<$type>::from_le_bytes(bytes.try_into().expect("as many bytes as were asked for")))
            })*
        }
    };
}
fixed!(u8: u8, u16: u16, u32: u32, u64: u64, i16: i16, f64: f64);

impl Writer {
    /// A LEB128 number.
    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

/// Takes from bytes.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Bytes not yet taken.
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// The next `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or_else(|| {
            Error::corrupt(format!("the stream ends early: {count} bytes expected, {} left", self.bytes.len()))
        })?;
        self.bytes = rest;
        Ok(taken)
    }

    /// A LEB128 number.
    pub(crate) fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Error::corrupt("a number in the stream is too long"))
    }

    /// A length that is no longer than what is left.
    pub(crate) fn length(&mut self) -> Result<usize> {
        let length = self.varint()?;
        if length > self.remaining() as u64 {
            return Err(Error::corrupt(format!(
                "a length of {length} bytes is more than the {} that are left",
                self.remaining()
            )));
        }
        Ok(length as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_survive(value: u64) {
            let mut writer = Writer::default();
            writer.varint(value);
            let mut reader = Reader::new(&writer.bytes);
            prop_assert_eq!(reader.varint().unwrap(), value);
            prop_assert_eq!(reader.remaining(), 0);
        }
    }
}

//! The section of one segment: its header, and its byte strings.

use super::segment_header::SegmentHeader;
use crate::bytes::{Reader, Writer};
use crate::error::{Error, Result};

/// A segment's parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SegmentBytes<B> {
    pub(crate) side: B,
    pub(crate) mask: B,
    pub(crate) latents: B,
    pub(crate) coefficients: B,
    pub(crate) corrections: B,
}

impl SegmentBytes<Vec<u8>> {
    /// The section of these parts.
    pub(crate) fn write(&self, header: &SegmentHeader) -> Vec<u8> {
        let mut out = Writer::default();
        header.write(&mut out);
        let parts = [&self.side, &self.mask, &self.latents, &self.coefficients, &self.corrections];
        for part in parts {
            out.varint(part.len() as u64);
        }
        for part in parts {
            out.bytes.extend_from_slice(part);
        }
        out.bytes
    }
}

impl<'a> SegmentBytes<&'a [u8]> {
    /// Takes a section apart.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<(SegmentHeader, Self)> {
        let mut reader = Reader::new(bytes);
        let header = SegmentHeader::read(&mut reader)?;
        let mut lengths = [0; 5];
        for length in &mut lengths {
            *length = reader.length()?;
        }
        let mut parts = [&bytes[..0]; 5];
        for (part, length) in parts.iter_mut().zip(lengths) {
            *part = reader.bytes(length)?;
        }
        if reader.remaining() > 0 {
            return Err(Error::corrupt(format!("{} bytes follow the end of a segment", reader.remaining())));
        }
        let [side, mask, latents, coefficients, corrections] = parts;
        Ok((header, Self { side, mask, latents, coefficients, corrections }))
    }
}

//! The section of one segment: its header, and its byte strings.

use super::segment_header::{SegmentHeader, TABLES};
use crate::bytes::{Reader, Writer};
use crate::closed_loop::{BALANCED, Parameters};
use crate::error::{Error, Result};
use crate::field::Element;

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

/// The number of closed-loop prediction among the prediction modes. Such segments have no windows of the others' kind,
/// and a header of their own.
const CLOSED_LOOP: u8 = 4;

/// Whether a segment is one of closed-loop prediction.
pub(crate) fn is_closed_loop(section: &[u8]) -> bool {
    section.first().is_some_and(|first| first & 15 == CLOSED_LOOP)
}

/// Whether a segment's frames are corrected after they are enhanced.
fn is_enhanced_and_corrected(section: &[u8]) -> bool {
    SegmentBytes::read(section).is_ok_and(|(header, parts)| header.enhance.is_some() && !parts.corrections.is_empty())
}

/// What the sections of a stream's segments may be that its version tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SectionKinds {
    /// Of closed-loop prediction.
    pub(crate) closed_loop: bool,
    /// With indices coded by tables.
    pub(crate) tables: bool,
    /// Of closed-loop prediction whose predictions are offset.
    pub(crate) balanced: bool,
    /// Of enhanced frames that are corrected.
    pub(crate) enhanced_corrected: bool,
}

impl SectionKinds {
    /// What one of these sections is at least.
    pub(crate) fn of<S: AsRef<[u8]>>(sections: &[S]) -> Self {
        sections.iter().map(|section| section.as_ref()).fold(Self::default(), |kinds, section| {
            let closed_loop = is_closed_loop(section);
            Self {
                closed_loop: kinds.closed_loop || closed_loop,
                tables: kinds.tables || !closed_loop && section.get(1).is_some_and(|second| second & TABLES != 0),
                balanced: kinds.balanced || closed_loop && section[0] & BALANCED != 0,
                enhanced_corrected: kinds.enhanced_corrected || !closed_loop && is_enhanced_and_corrected(section),
            }
        })
    }

    /// Checks that a section is what the stream's version knows.
    ///
    /// # Errors
    /// `Corrupt` where it is not.
    pub(crate) fn check(&self, section: &[u8]) -> Result<()> {
        let Self { closed_loop, tables, balanced, enhanced_corrected } = Self::of(&[section]);
        let unknown = [
            (closed_loop && !self.closed_loop, "of closed-loop prediction in a stream of version 1"),
            (tables && !self.tables, "coded by tables in a stream of a version before 6"),
            (balanced && !self.balanced, "with predictions that are offset in a stream of a version before 8"),
            (
                enhanced_corrected && !self.enhanced_corrected,
                "both enhanced and corrected in a stream of a version before 9",
            ),
        ];
        match unknown.iter().find(|(is_unknown, _)| *is_unknown) {
            Some((_, what)) => Err(Error::corrupt(format!("a segment {what}"))),
            None => Ok(()),
        }
    }
}

/// A segment of closed-loop prediction: its parameters, and its byte strings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClosedLoopBytes<B> {
    pub(crate) parameters: Parameters,
    pub(crate) mask: B,
    pub(crate) code: B,
}

impl ClosedLoopBytes<Vec<u8>> {
    /// The section of a segment of values of type `T`.
    pub(crate) fn write<T: Element>(&self) -> Vec<u8> {
        let mut out = Writer::default();
        self.parameters.write::<T>(CLOSED_LOOP, &mut out);
        out.varint(self.mask.len() as u64);
        out.bytes.extend_from_slice(&self.mask);
        out.bytes.extend_from_slice(&self.code);
        out.bytes
    }
}

impl<'a> ClosedLoopBytes<&'a [u8]> {
    /// Takes a section apart, one of those that [`is_closed_loop`] names.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn read<T: Element>(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let parameters = Parameters::read::<T>(&mut reader)?;
        let length = reader.length()?;
        let mask = reader.bytes(length)?;
        Ok(Self { parameters, mask, code: reader.bytes(reader.remaining())? })
    }
}

//! The section of one segment: its method, and its byte strings.

use super::segment_header::{PredictionMode, SegmentHeader};
use crate::bytes::{Reader, Writer};
use crate::enhance::{Enhancement, Network, Views};
use crate::error::{Error, Result};
use crate::predict::Step;
use crate::residual::basis::MAX_WINDOW;

/// Marks the larger enhancer beside a number of views.
const FINE: u8 = 8;

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
        let flags = [header.mixing, header.basis.is_some(), header.uses_model, header.enhance.is_some()];
        let flags = flags.iter().rev().fold(0, |flags, &flag| flags << 1 | u8::from(flag));
        out.u8(header.mode as u8 | flags << 4);
        out.u8(header.window as u8);
        out.u8(header.layer_factor);
        out.i16(header.step.0);
        if let Some(Enhancement { noise, network, views }) = header.enhance {
            out.i16(noise.0);
            out.u8(views as u8 | if network == Network::Fine { FINE } else { 0 });
        }
        for &entry in header.basis.iter().flatten() {
            out.i16(entry);
        }
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
        let first = reader.u8()?;
        let mode = match first & 15 {
            0 => PredictionMode::Transform,
            1 => PredictionMode::Previous,
            2 => PredictionMode::Hierarchical,
            3 => PredictionMode::Latents,
            other => return Err(Error::corrupt(format!("mode of prediction {other} is not known"))),
        };
        let window = usize::from(reader.u8()?);
        if window == 0 || window > MAX_WINDOW {
            return Err(Error::corrupt(format!("a window of {window} frames; expected 1 to {MAX_WINDOW}")));
        }
        let layer_factor = reader.u8()?;
        let step = Step(reader.i16()?);
        let enhance = if first >> 7 == 1 {
            let noise = Step(reader.i16()?);
            let seen = reader.u8()?;
            let network = if seen & FINE == 0 { Network::Small } else { Network::Fine };
            let views = match seen & !FINE {
                1 => Views::One,
                4 => Views::Four,
                other => return Err(Error::corrupt(format!("enhancement from {other} views; expected 1 or 4"))),
            };
            Some(Enhancement { noise, network, views })
        } else {
            None
        };
        let basis = if first >> 5 & 1 == 1 {
            Some((0..window * window).map(|_| reader.i16()).collect::<Result<Vec<_>>>()?)
        } else {
            None
        };
        let header = SegmentHeader {
            mode,
            window,
            basis,
            mixing: first >> 4 & 1 == 1,
            uses_model: first >> 6 & 1 == 1,
            layer_factor,
            step,
            enhance,
            follows: false,
        };
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

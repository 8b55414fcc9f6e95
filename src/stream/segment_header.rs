//! What is stored of how a segment is coded, in both directions.

use crate::bytes::{Reader, Writer};
use crate::enhance::{Enhancement, Network, Views};
use crate::error::{Error, Result};
use crate::predict::Step;
use crate::residual::basis::{Basis, MAX_WINDOW};

/// Marks indices coded by tables, beside the window's length.
pub(super) const TABLES: u8 = 0x80;
/// Marks the larger enhancer beside a number of views.
const FINE: u8 = 8;

/// How quantiser indices are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IndexCoder {
    /// By adaptive counters, one for each bit.
    Counters,
    /// By the mixture of several counters for each bit.
    Mixed,
    /// By tables that stand still for thousands of indices.
    Tables,
}

/// How the windows of a segment are predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PredictionMode {
    /// Eigenframes of each window by itself.
    Transform = 0,
    /// Eigenframes, the first ones predicted from the previous window.
    Previous = 1,
    /// Key frames and middles.
    Hierarchical = 2,
    /// The autoencoder's reconstruction, corrected by eigenframes of what it leaves.
    Latents = 3,
}

impl PredictionMode {
    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Previous => "previous",
            Self::Hierarchical => "hierarchical",
            Self::Latents => "latents",
        }
    }
}

/// Everything a segment's decoder must know before its first window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SegmentHeader {
    pub(crate) mode: PredictionMode,
    /// Frames of a full window, which may be planes or volumes.
    pub(crate) window: usize,
    /// Entries of a PCA basis of `window` frames; `None`: the cosine basis.
    pub(crate) basis: Option<Vec<i16>>,
    /// How quantiser indices are coded.
    pub(crate) coder: IndexCoder,
    /// Whether any window needs the foundation model.
    pub(crate) uses_model: bool,
    /// The hierarchical mode's factor from layer to layer, in 1/32 above 1.
    pub(crate) layer_factor: u8,
    /// The step that the first window's is coded against.
    pub(crate) step: Step,
    /// Where decoded frames are enhanced: how.
    pub(crate) enhance: Option<Enhancement>,
}

impl SegmentHeader {
    /// Whether the model takes part, before or after the residual.
    pub(crate) fn needs_model(&self) -> bool {
        self.uses_model || self.enhance.is_some() || self.mode == PredictionMode::Latents
    }

    /// The counts of planes of the windows that frames of `planes` planes in all, `depth` each, are cut into, where they
    /// follow a reference frame or do not.
    pub(crate) fn windows(&self, planes: usize, depth: usize, follows: bool) -> Vec<usize> {
        let mut out = Vec::new();
        let mut left = planes / depth;
        // The hierarchical mode's first window has its key frame besides, where there is no frame before it.
        if self.mode == PredictionMode::Hierarchical && !follows && left > 0 {
            let first = (self.window + 1).min(left);
            out.push(first * depth);
            left -= first;
        }
        while left > 0 {
            out.push(self.window.min(left) * depth);
            left -= self.window.min(left);
        }
        out
    }

    /// The basis of a full window of frames of `depth` planes.
    ///
    /// # Errors
    /// `Corrupt` where the stored one is none.
    pub(crate) fn full_basis(&self, depth: usize) -> Result<Basis> {
        match &self.basis {
            Some(stored) => Ok(Basis::from_stored(stored, self.window)?.of_volumes(depth)),
            None => Ok(Basis::cosine(self.window).of_volumes(depth)),
        }
    }

    /// The hierarchical mode's factor from layer to layer.
    pub(crate) fn layer_factor(&self) -> f64 {
        1.0 + f64::from(self.layer_factor) / 32.0
    }

    /// Writes it.
    pub(super) fn write(&self, out: &mut Writer) {
        let flags = [self.coder == IndexCoder::Mixed, self.basis.is_some(), self.uses_model, self.enhance.is_some()];
        let flags = flags.iter().rev().fold(0, |flags, &flag| flags << 1 | u8::from(flag));
        out.u8(self.mode as u8 | flags << 4);
        out.u8(self.window as u8 | if self.coder == IndexCoder::Tables { TABLES } else { 0 });
        out.u8(self.layer_factor);
        out.i16(self.step.0);
        if let Some(Enhancement { noise, network, views }) = self.enhance {
            out.i16(noise.0);
            out.u8(views as u8 | if network == Network::Fine { FINE } else { 0 });
        }
        for &entry in self.basis.iter().flatten() {
            out.i16(entry);
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let first = reader.u8()?;
        let mode = match first & 15 {
            0 => PredictionMode::Transform,
            1 => PredictionMode::Previous,
            2 => PredictionMode::Hierarchical,
            3 => PredictionMode::Latents,
            other => return Err(Error::corrupt(format!("prediction mode {other} is not known; expected 0 to 3"))),
        };
        let second = reader.u8()?;
        let window = usize::from(second & !TABLES);
        if window == 0 || window > MAX_WINDOW {
            return Err(Error::corrupt(format!("a window of {window} frames; expected 1 to {MAX_WINDOW}")));
        }
        let layer_factor = reader.u8()?;
        let step = Step(reader.i16()?);
        let enhance = if first >> 7 == 1 { Some(read_enhancement(reader)?) } else { None };
        let basis = if first >> 5 & 1 == 1 {
            Some((0..window * window).map(|_| reader.i16()).collect::<Result<Vec<_>>>()?)
        } else {
            None
        };
        let coder = match (first >> 4 & 1 == 1, second & TABLES != 0) {
            (false, false) => IndexCoder::Counters,
            (true, false) => IndexCoder::Mixed,
            (false, true) => IndexCoder::Tables,
            (true, true) => return Err(Error::corrupt("indices are coded both by mixed counters and by tables")),
        };
        let uses_model = first >> 6 & 1 == 1;
        Ok(Self { mode, window, basis, coder, uses_model, layer_factor, step, enhance })
    }
}

fn read_enhancement(reader: &mut Reader<'_>) -> Result<Enhancement> {
    let noise = Step(reader.i16()?);
    let seen = reader.u8()?;
    let network = if seen & FINE == 0 { Network::Small } else { Network::Fine };
    let views = match seen & !FINE {
        1 => Views::One,
        4 => Views::Four,
        other => return Err(Error::corrupt(format!("enhancement from {other} views; expected 1 or 4"))),
    };
    Ok(Enhancement { noise, network, views })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_survive(
            (mode, window, with_basis) in (0usize..4, 1usize..9, any::<bool>()),
            (coder, uses_model, layer_factor, step) in (0usize..3, any::<bool>(), any::<u8>(), any::<i16>()),
            enhance in prop::option::of((any::<i16>(), any::<bool>(), any::<bool>())),
        ) {
            use PredictionMode::{Hierarchical, Latents, Previous, Transform};
            let header = SegmentHeader {
                mode: [Transform, Previous, Hierarchical, Latents][mode],
                window,
                basis: with_basis.then(|| (0..window * window).map(|k| k as i16 * 77 - 900).collect()),
                coder: [IndexCoder::Counters, IndexCoder::Mixed, IndexCoder::Tables][coder],
                uses_model,
                layer_factor,
                step: Step(step),
                enhance: enhance.map(|(noise, fine, four)| Enhancement {
                    noise: Step(noise),
                    network: if fine { Network::Fine } else { Network::Small },
                    views: if four { Views::Four } else { Views::One },
                }),
            };
            let mut out = Writer::default();
            header.write(&mut out);
            let mut reader = Reader::new(&out.bytes);
            prop_assert_eq!(SegmentHeader::read(&mut reader).unwrap(), header);
            prop_assert_eq!(reader.remaining(), 0);
        }
    }

    #[test]
    fn a_key_frame_lies_before_the_first_hierarchical_window() {
        let header = SegmentHeader {
            mode: PredictionMode::Hierarchical,
            window: 8,
            basis: None,
            coder: IndexCoder::Mixed,
            uses_model: false,
            layer_factor: 5,
            step: Step(0),
            enhance: None,
        };
        assert_eq!(header.windows(20, 1, false), [9, 8, 3]);
        assert_eq!(header.windows(20, 1, true), [8, 8, 4]);
        let header = SegmentHeader { mode: PredictionMode::Previous, ..header };
        assert_eq!(header.windows(20, 1, false), [8, 8, 4]);
        assert_eq!(header.windows(20, 2, false), [16, 4]);
        assert!(header.windows(0, 1, false).is_empty());
    }
}

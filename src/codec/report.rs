//! What one call did: sizes, errors, times.

use crate::bound::Bound;
use crate::field::{Axes, DType, Shape};

/// Bytes of each part of a stream; they add up to the stream's length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SectionBytes {
    /// Header, section table and checksums.
    pub header: u64,
    /// Temporal bases and prediction parameters.
    pub side_info: u64,
    /// Masks of NaN, ±Inf and fill values.
    pub mask: u64,
    /// The foundation model's latents and hyper-latents.
    pub latents: u64,
    /// Quantiser indices: of wavelet coefficients, or of closed-loop prediction.
    pub coefficients: u64,
    /// Block-PCA and pointwise corrections.
    pub corrections: u64,
    /// Values stored without loss.
    pub lossless: u64,
}

impl SectionBytes {
    /// Names and bytes, in the stream's order.
    pub fn entries(&self) -> [(&'static str, u64); 7] {
        [
            ("header", self.header),
            ("side_info", self.side_info),
            ("mask", self.mask),
            ("latents", self.latents),
            ("coefficients", self.coefficients),
            ("corrections", self.corrections),
            ("lossless", self.lossless),
        ]
    }

    /// Adds another's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.header += other.header;
        self.side_info += other.side_info;
        self.mask += other.mask;
        self.latents += other.latents;
        self.coefficients += other.coefficients;
        self.corrections += other.corrections;
        self.lossless += other.lossless;
    }

    /// Their sum.
    pub fn total(&self) -> u64 {
        self.entries().iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Seconds spent in each stage, summed over threads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StageSeconds {
    /// Statistics, masks, gathering and normalising.
    pub field: f64,
    /// Mode decision: trials of prediction modes and window lengths.
    pub mode_decision: f64,
    /// Temporal bases, wavelets, quantisation and their inverses.
    pub transform: f64,
    /// Model graphs.
    pub model: f64,
    /// Entropy coding.
    pub entropy: f64,
    /// Decoding and checking the own output.
    pub check: f64,
}

impl StageSeconds {
    /// Names and seconds, in the order of the flow.
    pub fn entries(&self) -> [(&'static str, f64); 6] {
        [
            ("field", self.field),
            ("mode_decision", self.mode_decision),
            ("transform", self.transform),
            ("model", self.model),
            ("entropy", self.entropy),
            ("check", self.check),
        ]
    }

    /// Adds another's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.field += other.field;
        self.mode_decision += other.mode_decision;
        self.transform += other.transform;
        self.model += other.model;
        self.entropy += other.entropy;
        self.check += other.check;
    }
}

/// What one compress or decompress call did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Bytes of the uncompressed field.
    pub input_bytes: u64,
    /// Bytes of the stream.
    pub stream_bytes: u64,
    /// What the stream says of itself: the errors achieved, its parts, how it was coded. Where a part of the field was
    /// decoded, its sections, modes and share of the model are those of the segments read for it.
    pub info: StreamInfo,
    /// RMSE margin for floating-point differences between devices, in the field's units, counted in when the bound was
    /// checked; for [`crate::ReferenceFrame`]. 0 when decompressing.
    pub drift: f64,
    /// Values that were found to mark points without data, although nobody had named them
    /// ([`crate::Options::sentinels`]): those points are kept bit for bit. None when decompressing.
    pub sentinels: Vec<f64>,
    /// The mean of the decoded values less that of the original ones, over the points with data, in the field's units.
    /// 0 when decompressing.
    pub mean_error: f64,
    /// Wall-clock seconds of the call.
    pub seconds: f64,
    /// Seconds of its stages.
    pub stages: StageSeconds,
}

/// What a stream's header says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamInfo {
    /// The format's version.
    pub version: u16,
    /// The field's shape.
    pub shape: Shape,
    /// The type of its values.
    pub dtype: DType,
    /// Which axes are frames, planes, rows and columns, where frames are volumes or the last three axes are not these.
    pub axes: Option<Axes>,
    /// The bound that was asked for.
    pub bound: Bound,
    /// Root mean square error over the range, as achieved; 0 for a constant field.
    pub nrmse: f64,
    /// Largest absolute error, as achieved, in the field's units.
    pub max_abs_error: f64,
    /// max − min over the valid points.
    pub range: f64,
    /// Finite values that mark points without data, as far as the stream says: the fill value, and sentinels that were
    /// found. Lossless streams of format versions before 4 do not.
    pub masked: Vec<f64>,
    /// Whether it follows another stream, and can only be decoded after that one's last frame.
    pub follows: bool,
    /// Name and hash (hex) of the model it needs to be decoded, if any.
    pub model: Option<(String, String)>,
    /// Bytes of its parts.
    pub sections: SectionBytes,
    /// Share of chunks (windows of tiles) that use the foundation model, 0 to 1.
    pub fm_share: f64,
    /// How windows are predicted, as text: one entry for each mode and window length in use with the number of its
    /// chunks.
    pub modes: Vec<(String, u64)>,
}

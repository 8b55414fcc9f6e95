//! Types of the C ABI. Structs that may grow begin with the caller's `sizeof`, so that programs built against an older
//! header keep working with a newer library.

use crate::bound::Bound;
use crate::codec::{Codec, Report, SectionBytes, StepStream, StreamInfo};
use crate::error::{Error, ErrorKind, Result};
use crate::field::{DType, Shape};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// The most dimensions that a field can have.
pub const FIELDPRESS_MAX_DIMS: usize = 5;

/// Bytes of a model's name in fieldpress_info, with the terminating zero; longer names are cut.
pub const FIELDPRESS_NAME_BYTES: usize = 64;

/// Bytes of a model's hash in fieldpress_info: hexadecimal digits and the terminating zero.
pub const FIELDPRESS_HASH_BYTES: usize = 72;

/// The most values that are found to mark points without data.
pub const FIELDPRESS_MAX_SENTINELS: usize = 4;

const _: () = assert!(FIELDPRESS_MAX_SENTINELS == crate::field::MAX_SENTINELS);
const _: () = assert!(FIELDPRESS_MAX_DIMS == crate::field::MAX_DIMS);

/// What a call returns. fieldpress_last_error says more, in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum fieldpress_status {
    /// Done.
    FIELDPRESS_OK = 0,
    /// An argument or option that cannot be accepted: a null or misaligned pointer, an unknown code, sizes that do not
    /// fit.
    FIELDPRESS_INVALID_ARGUMENT = 1,
    /// Bytes that are not a sound stream: damaged, truncated, or not a stream at all.
    FIELDPRESS_CORRUPT = 2,
    /// A stream or model package of a version, or with a feature, that this library does not know.
    FIELDPRESS_UNSUPPORTED = 3,
    /// A model package that is missing, damaged, or not the one that the stream names.
    FIELDPRESS_MODEL = 4,
    /// ONNX Runtime or a device that is missing or failed.
    FIELDPRESS_RUNTIME = 5,
    /// The caller's buffer is too small; the size that is needed has been stored.
    FIELDPRESS_BUFFER_TOO_SMALL = 6,
    /// The file system or the operating system refused.
    FIELDPRESS_IO = 7,
    /// A bug in fieldpress.
    FIELDPRESS_INTERNAL = 8,
}

/// The type of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum fieldpress_dtype {
    /// IEEE 754 binary32: C's float.
    FIELDPRESS_F32 = 1,
    /// IEEE 754 binary64: C's double.
    FIELDPRESS_F64 = 2,
}

/// What an error bound limits. x is the original, x' the decoded field; points that hold NaN, an infinity or the fill
/// value come back bit-exact and do not count. The range is max - min over the remaining points, or the option "range".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum fieldpress_bound_kind {
    /// |x - x'| at most the value, in the field's units, at every point.
    FIELDPRESS_BOUND_ABS = 1,
    /// |x - x'| at most the value times the range, at every point.
    FIELDPRESS_BOUND_REL = 2,
    /// Root mean square of x - x' at most the value times the range.
    FIELDPRESS_BOUND_NRMSE = 3,
    /// 20 log10(range / root mean square of x - x') at least the value, in dB.
    FIELDPRESS_BOUND_PSNR = 4,
    /// The l2 norm of x - x' over every 8x8x8 block at most the value, in the field's units.
    FIELDPRESS_BOUND_BLOCK_L2 = 5,
    /// Every bit as it was; the value is not used.
    FIELDPRESS_BOUND_LOSSLESS = 6,
    /// For fieldpress_compress alone: a size in place of a bound. The stream has at most the field's bytes over the value,
    /// which is 1 or more, under the tightest bound of kind NRMSE (or LOSSLESS) that is found with it; streams and reports
    /// have that bound. Up to nine streams are made for it.
    FIELDPRESS_BOUND_RATIO = 7,
    /// |x - x'| at most the value times |x| at every point: zeros and signs are exact.
    FIELDPRESS_BOUND_PW_REL = 8,
}

/// A compressor and decompressor: its options, and the model's sessions once they are needed. Opaque. Several threads
/// may use one handle at the same time.
pub struct fieldpress_handle {
    pub(super) codec: Arc<Codec>,
}

/// Time steps of one field that are compressed a window at a time. Opaque. One thread may use it at a time.
pub struct fieldpress_stream {
    pub(super) steps: StepStream,
}

const _: () = {
    const fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<fieldpress_handle>();
    shared_between_threads::<fieldpress_stream>();
};

/// A field in the caller's memory. Set members that are not used to zero.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct fieldpress_field {
    /// Address of the first element, aligned as its type asks. Compression does not write through it.
    pub data: *mut c_void,
    /// Type of the values: a fieldpress_dtype.
    pub dtype: i32,
    /// Number of dimensions, 1 to FIELDPRESS_MAX_DIMS.
    pub ndim: u32,
    /// Number of elements along each dimension, slowest first (C order), each at least 1. The last two dimensions are
    /// the rows and columns of a frame, the one before them counts frames (time steps or levels), earlier ones are
    /// independent.
    pub dims: [usize; FIELDPRESS_MAX_DIMS],
    /// Distance between neighbours along each dimension, in elements, not bytes. All zero: contiguous. Strides larger
    /// than that leave out cells between, so that the interior of an array with halo cells is compressed in place.
    pub strides: [usize; FIELDPRESS_MAX_DIMS],
}

/// What to decode. A null pointer in its place asks for the whole field.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct fieldpress_request {
    /// sizeof(fieldpress_request), set by the caller.
    pub size: usize,
    /// Spatial resolution: 1 (or 0) for every point, 2 or 4 for a half or a quarter of the points along rows and
    /// columns, and along planes where frames are volumes.
    pub scale: u32,
    /// Number of dimensions of the box, the same as the field's; 0: no box, the whole field.
    pub ndim: u32,
    /// First index of the box along each dimension, at full resolution.
    pub start: [usize; FIELDPRESS_MAX_DIMS],
    /// Number of indices of the box along each dimension, at full resolution, each at least 1.
    pub count: [usize; FIELDPRESS_MAX_DIMS],
}

/// Bytes of each part of a stream; together the stream.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct fieldpress_sections {
    /// Header, section table and checksums.
    pub header: u64,
    /// Temporal bases and parameters of the prediction.
    pub side_info: u64,
    /// Masks of NaN, infinities and fill values.
    pub mask: u64,
    /// Latents of the foundation model.
    pub latents: u64,
    /// Wavelet coefficients of residuals.
    pub coefficients: u64,
    /// Corrections by block and by point.
    pub corrections: u64,
    /// Values stored without loss.
    pub lossless: u64,
}

/// What one call did.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct fieldpress_report {
    /// sizeof(fieldpress_report), set by the caller before the call.
    pub size: usize,
    /// Bytes of the uncompressed field.
    pub input_bytes: u64,
    /// Bytes of the stream.
    pub stream_bytes: u64,
    /// Bytes of the stream's parts.
    pub sections: fieldpress_sections,
    /// Share of chunks (windows of tiles) that used the foundation model, 0 to 1.
    pub fm_share: f64,
    /// Root mean square error over the range, as achieved.
    pub nrmse: f64,
    /// Largest absolute error, as achieved, in the field's units.
    pub max_abs_error: f64,
    /// Wall-clock seconds of the call.
    pub seconds: f64,
    /// Seconds of statistics, masks, gathering and normalising. This and the next five are summed over threads.
    pub field_seconds: f64,
    /// Seconds of mode decision: trials of prediction modes and window lengths.
    pub mode_decision_seconds: f64,
    /// Seconds of temporal bases, wavelets and quantisation.
    pub transform_seconds: f64,
    /// Seconds of the foundation model's graphs.
    pub model_seconds: f64,
    /// Seconds of entropy coding.
    pub entropy_seconds: f64,
    /// Seconds of decoding and checking the own output.
    pub check_seconds: f64,
    /// The mean of the decoded values less that of the original ones, over the points with data, in the field's units;
    /// 0 when decompressing.
    pub mean_error: f64,
    /// How many values were found to mark points without data, although nobody had named them (option "sentinels"):
    /// those points are kept bit for bit. 0 when decompressing.
    pub sentinel_count: u64,
    /// Those values; 0 beyond sentinel_count.
    pub sentinels: [f64; FIELDPRESS_MAX_SENTINELS],
}

/// What a stream's header says.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct fieldpress_info {
    /// sizeof(fieldpress_info), set by the caller before the call.
    pub size: usize,
    /// Version of the stream's format.
    pub format_version: u32,
    /// Type of the values: a fieldpress_dtype.
    pub dtype: i32,
    /// The bound that was asked for: a fieldpress_bound_kind.
    pub bound_kind: i32,
    /// Number of dimensions.
    pub ndim: u32,
    /// Number of elements along each dimension, slowest first; 1 beyond ndim.
    pub dims: [usize; FIELDPRESS_MAX_DIMS],
    /// The bound's value; 0 for FIELDPRESS_BOUND_LOSSLESS.
    pub bound_value: f64,
    /// Root mean square error over the range, as achieved.
    pub nrmse: f64,
    /// Largest absolute error, as achieved, in the field's units.
    pub max_abs_error: f64,
    /// max - min of the field, without NaN, infinities and fill values.
    pub range: f64,
    /// Share of chunks that need the foundation model to be decoded, 0 to 1.
    pub fm_share: f64,
    /// Bytes of the stream's parts.
    pub sections: fieldpress_sections,
    /// Name of the model that decoding needs; empty: none.
    pub model_name: [c_char; FIELDPRESS_NAME_BYTES],
    /// Hash of that model's package, in hexadecimal digits; empty: none.
    pub model_hash: [c_char; FIELDPRESS_HASH_BYTES],
}

impl From<ErrorKind> for fieldpress_status {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidArgument => Self::FIELDPRESS_INVALID_ARGUMENT,
            ErrorKind::Corrupt => Self::FIELDPRESS_CORRUPT,
            ErrorKind::Unsupported => Self::FIELDPRESS_UNSUPPORTED,
            ErrorKind::Model => Self::FIELDPRESS_MODEL,
            ErrorKind::Runtime => Self::FIELDPRESS_RUNTIME,
            ErrorKind::BufferTooSmall => Self::FIELDPRESS_BUFFER_TOO_SMALL,
            ErrorKind::Io => Self::FIELDPRESS_IO,
            ErrorKind::Internal => Self::FIELDPRESS_INTERNAL,
        }
    }
}

impl From<DType> for fieldpress_dtype {
    fn from(dtype: DType) -> Self {
        match dtype {
            DType::F32 => Self::FIELDPRESS_F32,
            DType::F64 => Self::FIELDPRESS_F64,
        }
    }
}

/// The type of a code from C.
pub(super) fn dtype_of(code: i32) -> Result<DType> {
    [DType::F32, DType::F64].into_iter().find(|&dtype| fieldpress_dtype::from(dtype) as i32 == code).ok_or_else(|| {
        Error::invalid(format!("dtype {code} is not known; expected FIELDPRESS_F32 (1) or FIELDPRESS_F64 (2)"))
    })
}

const BOUND_NAMES: [(fieldpress_bound_kind, &str); 7] = [
    (fieldpress_bound_kind::FIELDPRESS_BOUND_ABS, "abs"),
    (fieldpress_bound_kind::FIELDPRESS_BOUND_REL, "rel"),
    (fieldpress_bound_kind::FIELDPRESS_BOUND_NRMSE, "nrmse"),
    (fieldpress_bound_kind::FIELDPRESS_BOUND_PSNR, "psnr"),
    (fieldpress_bound_kind::FIELDPRESS_BOUND_BLOCK_L2, "block_l2"),
    (fieldpress_bound_kind::FIELDPRESS_BOUND_LOSSLESS, "lossless"),
    (fieldpress_bound_kind::FIELDPRESS_BOUND_PW_REL, "pw_rel"),
];

/// Whether a kind's code asks for a size.
pub(super) fn is_ratio(code: i32) -> bool {
    code == fieldpress_bound_kind::FIELDPRESS_BOUND_RATIO as i32
}

/// The bound of a kind's code and a value from C.
pub(super) fn bound_of(code: i32, value: f64) -> Result<Bound> {
    if is_ratio(code) {
        return Err(Error::invalid(
            "a ratio is no bound; expected another fieldpress_bound_kind, as in fieldpress_compress",
        ));
    }
    let (_, name) = BOUND_NAMES
        .iter()
        .find(|(kind, _)| *kind as i32 == code)
        .ok_or_else(|| Error::invalid(format!("bound kind {code} is not known; expected a fieldpress_bound_kind")))?;
    Bound::from_parts(name, value)
}

pub(super) fn kind_of(bound: &Bound) -> i32 {
    BOUND_NAMES.iter().find(|(_, name)| *name == bound.name()).map_or(0, |(kind, _)| *kind as i32)
}

/// A shape's sizes in the fixed array of the ABI, 1 beyond its dimensions.
pub(super) fn dims_of(shape: &Shape) -> [usize; FIELDPRESS_MAX_DIMS] {
    let mut dims = [1; FIELDPRESS_MAX_DIMS];
    dims[..shape.ndim()].copy_from_slice(shape.dims());
    dims
}

/// Sentinels in the fixed array of the ABI, 0 beyond their number.
pub(super) fn sentinels_of(found: &[f64]) -> [f64; FIELDPRESS_MAX_SENTINELS] {
    let mut sentinels = [0.0; FIELDPRESS_MAX_SENTINELS];
    sentinels.iter_mut().zip(found).for_each(|(slot, &value)| *slot = value);
    sentinels
}

/// Text as a C string in a fixed array, cut where it is longer.
pub(super) fn text_of<const N: usize>(text: &str) -> [c_char; N] {
    let mut out = [0; N];
    for (slot, &byte) in out[..N - 1].iter_mut().zip(text.as_bytes()) {
        *slot = byte as c_char;
    }
    out
}

impl From<SectionBytes> for fieldpress_sections {
    fn from(bytes: SectionBytes) -> Self {
        let SectionBytes { header, side_info, mask, latents, coefficients, corrections, lossless } = bytes;
        Self { header, side_info, mask, latents, coefficients, corrections, lossless }
    }
}

impl fieldpress_report {
    /// Of a call that made no stream.
    pub(super) fn nothing() -> Self {
        Self { size: size_of::<Self>(), ..Self::default() }
    }
}

impl From<&Report> for fieldpress_report {
    fn from(report: &Report) -> Self {
        Self {
            size: size_of::<Self>(),
            input_bytes: report.input_bytes,
            stream_bytes: report.stream_bytes,
            sections: report.info.sections.into(),
            fm_share: report.info.fm_share,
            nrmse: report.info.nrmse,
            max_abs_error: report.info.max_abs_error,
            seconds: report.seconds,
            field_seconds: report.stages.field,
            mode_decision_seconds: report.stages.mode_decision,
            transform_seconds: report.stages.transform,
            model_seconds: report.stages.model,
            entropy_seconds: report.stages.entropy,
            check_seconds: report.stages.check,
            mean_error: report.mean_error,
            sentinel_count: report.sentinels.len() as u64,
            sentinels: sentinels_of(&report.sentinels),
        }
    }
}

impl From<&StreamInfo> for fieldpress_info {
    fn from(info: &StreamInfo) -> Self {
        let (name, hash) = info.model.as_ref().map_or(("", ""), |(name, hash)| (name, hash));
        Self {
            size: size_of::<Self>(),
            format_version: info.version.into(),
            dtype: fieldpress_dtype::from(info.dtype) as i32,
            bound_kind: kind_of(&info.bound),
            ndim: info.shape.ndim() as u32,
            dims: dims_of(&info.shape),
            bound_value: info.bound.value(),
            nrmse: info.nrmse,
            max_abs_error: info.max_abs_error,
            range: info.range,
            fm_share: info.fm_share,
            sections: info.sections.into(),
            model_name: text_of(name),
            model_hash: text_of(hash),
        }
    }
}

//! The flow itself: compress, decompress, inspect.

#[allow(dead_code)]
mod lossless;
mod report;
mod segment;
mod side;

pub use report::{Report, SectionBytes, StageSeconds, StreamInfo};

use crate::bound::Bound;
use crate::error::{Error, Result};
use crate::field::{DType, FieldView, FieldViewMut, Region, Shape};
use crate::options::Options;

/// Bytes that a stream may have beyond the uncompressed field.
const MAX_OVERHEAD: usize = 512;

/// The spatial resolution of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Every point.
    #[default]
    Full,
    /// Half the points along rows and columns.
    Half,
    /// A quarter of the points along rows and columns.
    Quarter,
}

impl Scale {
    /// 1, 2 or 4.
    pub const fn factor(self) -> usize {
        match self {
            Self::Full => 1,
            Self::Half => 2,
            Self::Quarter => 4,
        }
    }

    /// The scale of a factor.
    ///
    /// # Errors
    /// `InvalidArgument` where it is not 1, 2 or 4.
    pub fn from_factor(factor: usize) -> Result<Self> {
        match factor {
            1 => Ok(Self::Full),
            2 => Ok(Self::Half),
            4 => Ok(Self::Quarter),
            _ => Err(Error::invalid(format!("scale {factor} is not known; expected 1, 2 or 4"))),
        }
    }
}

/// What to decode.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The spatial resolution.
    pub scale: Scale,
    /// A box in full-resolution indices; `None`: the whole field.
    pub region: Option<Region>,
}

impl Request {
    /// The shape of the output for a stream: the box's counts; along rows and columns at a reduced scale `f`, the scaled
    /// grid's points `floor(start/f) .. ceil((start + count)/f)`.
    ///
    /// # Errors
    /// `InvalidArgument` where the box is not inside the field.
    pub fn output_shape(&self, info: &StreamInfo) -> Result<Shape> {
        let whole = Region::whole(&info.shape);
        let region = self.region.as_ref().unwrap_or(&whole);
        region.check(&info.shape)?;
        Shape::new(&region.count)
    }
}

/// A compressor and decompressor: options, and the model's sessions once they are needed. Usable from several threads.
pub struct Codec {
    options: Options,
}

impl Codec {
    /// A codec with `options`. Graphs are loaded at first use.
    ///
    /// # Errors
    /// Where the options contradict each other, or name a model or device that cannot be had.
    pub fn new(options: Options) -> Result<Self> {
        Ok(Self { options })
    }

    /// Its options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The most bytes that [`Codec::compress`] can return for such a field.
    pub fn compress_bound(shape: &Shape, dtype: DType) -> usize {
        shape.len() * dtype.size() + MAX_OVERHEAD
    }

    /// Compresses a field; the bound has been checked on the decoded stream when this returns.
    ///
    /// # Errors
    /// `InvalidArgument` for options that do not fit the field; `Runtime` and `Model` where `fm=on` cannot be had.
    pub fn compress(&self, _field: &FieldView<'_>, _bound: Bound) -> Result<(Vec<u8>, Report)> {
        Err(Error::internal("not built yet"))
    }

    /// Decompresses a stream, or the part that `request` names, into `out`, whose shape must be
    /// [`Request::output_shape`] and whose type the stream's.
    ///
    /// # Errors
    /// `Corrupt` and `Unsupported` for bytes that cannot be decoded, `Model` and `Runtime` where they need a model that
    /// cannot be had, `InvalidArgument` for an output that does not fit. `out` is unspecified after an error.
    pub fn decompress(&self, _stream: &[u8], _request: &Request, _out: &mut FieldViewMut<'_>) -> Result<Report> {
        Err(Error::internal("not built yet"))
    }
}

/// What a stream's header and section table say; decodes nothing.
///
/// # Errors
/// `Corrupt` and `Unsupported`.
pub fn inspect(_stream: &[u8]) -> Result<StreamInfo> {
    Err(Error::internal("not built yet"))
}

//! The codec as callers hold it: compress, decompress, inspect.

use super::axes;
use super::compress::{Beside, compress};
use super::effort::EffortKnobs;
use super::output::Output;
use super::report::{Report, StageSeconds, StreamInfo};
use super::request::Request;
use super::segment::reference::{Reference, ReferenceFrame};
use super::tools::Tools;
use super::workers::Workers;
use super::{decompress, inspect as inspection, logarithms};
use crate::bound::Bound;
use crate::error::{Error, Result};
use crate::field::{DType, Element, FieldStats, FieldView, FieldViewMut, Shape, Values, ValuesMut};
use crate::model::{Model, Package, Source};
use crate::options::{FmMode, MOST_GIVEN, Options, Sentinels};
use crate::stream::{Content, Stream};
use crate::window::Cut;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Bytes that a stream may have beyond the uncompressed field.
pub(super) const MAX_OVERHEAD: usize = 512;

/// A compressor and decompressor: options, and the model's sessions once they are needed. Usable from several threads.
pub struct Codec {
    pub(super) options: Options,
    pub(super) workers: Workers,
    /// The model for compressing, opened at first use; `None` where there is none to be had and none was asked for.
    model: OnceLock<Result<Option<Arc<Model>>>>,
}

impl Codec {
    /// A codec with `options`. Graphs are loaded at first use.
    ///
    /// # Errors
    /// `Runtime` where threads cannot be started.
    pub fn new(options: Options) -> Result<Self> {
        let workers = Workers::of(crate::model::threads(options.threads))?;
        Ok(Self { options, workers, model: OnceLock::new() })
    }

    /// Its options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Opens what [`Codec::compress`] would open at first use, and compares the options with a shape, so that a
    /// simulation learns at its start what its first checkpoint would fail on.
    ///
    /// # Errors
    /// `InvalidArgument` for axes that do not fit the shape; `Runtime` and `Model` where a model, `fm=on` or a device
    /// that was asked for cannot be had.
    pub fn check(&self, shape: &Shape) -> Result<()> {
        Cut::axes(shape, self.options.axes)?;
        self.model().map(drop)
    }

    /// The most bytes that [`Codec::compress`] can return for such a field.
    pub fn compress_bound(shape: &Shape, dtype: DType) -> usize {
        shape.len() * dtype.size() + MAX_OVERHEAD
    }

    fn model(&self) -> Result<Option<Arc<Model>>> {
        let wanted = match self.options.fm {
            FmMode::Off => false,
            FmMode::On => true,
            FmMode::Auto => EffortKnobs::of(self.options.effort).auto_opens_model,
        };
        if !wanted {
            return Ok(None);
        }
        if self.workers.are_gone() {
            // Sessions, too, have threads that are not here; the model of this process is another.
            return self.open_model();
        }
        self.model.get_or_init(|| self.open_model()).clone()
    }

    /// The package that streams of this codec name: that of its model, which is opened, also where another takes its
    /// place on the disk later.
    ///
    /// # Errors
    /// `Model` where there is none; as [`Codec::check`].
    pub(crate) fn package(&self) -> Result<Arc<Package>> {
        match self.model()? {
            Some(model) => Ok(Arc::clone(model.package())),
            None => Source::of(&self.options).load(),
        }
    }

    fn open_model(&self) -> Result<Option<Arc<Model>>> {
        match Model::open(&self.options) {
            Ok(model) => {
                tracing::info!(name = model.name(), device = model.device(), "opened the foundation model");
                Ok(Some(model))
            }
            // A model, a device or `fm=on` that was asked for by name must be there.
            Err(error) if self.options.fm == FmMode::On || self.options.model.is_some() => Err(error),
            Err(error) if matches!(self.options.device, crate::options::Device::Cuda(_)) => Err(error),
            Err(error) => {
                tracing::info!(%error, "no model can run here: the residual coder works alone");
                Ok(None)
            }
        }
    }

    /// Compresses a field; the bound has been checked on the decoded stream when this returns.
    ///
    /// # Errors
    /// `InvalidArgument` for options that do not fit the field; `Runtime` and `Model` where `fm=on` cannot be had.
    pub fn compress(&self, field: &FieldView<'_>, bound: Bound) -> Result<(Vec<u8>, Report)> {
        self.compress_with(&self.options, field, bound, None)
    }

    /// Compresses a field that follows another in time, whose last frame, as a reader decodes it, is `before`: its
    /// first windows are predicted from that. Only [`Codec::decompress_after`] with the same frame decodes the stream.
    ///
    /// # Errors
    /// As [`Codec::compress`]; `InvalidArgument` where the frame does not fit the field.
    pub fn compress_after(
        &self,
        field: &FieldView<'_>,
        bound: Bound,
        before: &ReferenceFrame<'_>,
    ) -> Result<(Vec<u8>, Report)> {
        self.compress_with(&self.options, field, bound, Some(before))
    }

    /// As [`Codec::compress`] or [`Codec::compress_after`], with options of the field's that differ from the codec's.
    pub(crate) fn compress_with(
        &self,
        options: &Options,
        field: &FieldView<'_>,
        bound: Bound,
        before: Option<&ReferenceFrame<'_>>,
    ) -> Result<(Vec<u8>, Report)> {
        let _span = tracing::debug_span!("compress").entered();
        let begin = Instant::now();
        // Values that a caller of this library may have put together.
        let bound = Bound::from_parts(bound.name(), bound.value())?;
        if let Sentinels::Given(values) = &options.sentinels
            && values.len() > MOST_GIVEN
        {
            return Err(Error::invalid(format!("{} sentinels; expected at most {MOST_GIVEN}", values.len())));
        }
        let reference =
            before.map(|before| Reference::new(before, field.shape(), field.dtype(), options.axes)).transpose()?;
        let reference = reference.as_ref();
        let model = self.model()?;
        let tools = Tools { options, package: model.as_deref(), workers: &self.workers, keeps_mean: true };
        let looked = Instant::now();
        let stats = tracing::debug_span!("statistics")
            .in_scope(|| FieldStats::of(field, options.fill_value, &options.sentinels));
        let field_seconds = looked.elapsed().as_secs_f64();
        if !stats.sentinels.is_empty() {
            tracing::info!(sentinels = ?stats.sentinels, "values that mark points without data, kept bit for bit");
        }
        let by_logarithms = match (bound, field.values) {
            (Bound::PwRel(epsilon), Values::F32(values)) => {
                logarithms::compress(field, values, &stats, epsilon, &tools)?
            }
            (Bound::PwRel(epsilon), Values::F64(values)) => {
                logarithms::compress(field, values, &stats, epsilon, &tools)?
            }
            _ => None,
        };
        // A field that follows another has its axes.
        let (rival, axes) = match (by_logarithms, options.axes, reference) {
            (Some((rival, axes)), _, _) => (Some(rival), axes),
            (None, None, None) => (None, axes::choose(field, &stats, bound, &tools)?),
            (None, given, _) => (None, given),
        };
        let options = Options { axes, ..options.clone() };
        let tools = Tools { options: &options, ..tools };
        // Nothing is predicted for frames that are volumes.
        let reference = reference.filter(|_| axes.is_none_or(|axes| axes.planes.is_none()));
        let beside = Beside { reference, rival };
        let mut done = match field.values {
            Values::F32(values) => compress(field, values, stats, bound, beside, &tools)?,
            Values::F64(values) => compress(field, values, stats, bound, beside, &tools)?,
        };
        done.stages.field += field_seconds;
        let report = Report {
            input_bytes: field.byte_len() as u64,
            stream_bytes: done.bytes.len() as u64,
            info: inspect(&done.bytes)?,
            drift: done.drift,
            sentinels: done.sentinels,
            mean_error: done.mean_error,
            seconds: begin.elapsed().as_secs_f64(),
            stages: done.stages,
        };
        Ok((done.bytes, report))
    }

    /// Decompresses a stream, or the part that `request` names, into `out`, whose shape must be
    /// [`Request::output_shape`] and whose type the stream's.
    ///
    /// # Errors
    /// `Corrupt` and `Unsupported` for bytes that cannot be decoded, `Model` and `Runtime` where they need a model that
    /// cannot be had, `InvalidArgument` for an output that does not fit. `out` is unspecified after an error.
    pub fn decompress(&self, stream: &[u8], request: &Request, out: &mut FieldViewMut<'_>) -> Result<Report> {
        self.decompress_with(stream, request, None, out)
    }

    /// As [`Codec::decompress`], for streams of [`Codec::compress_after`]: `before` is the last frame decoded from the
    /// stream that this one follows. A stream that follows none is decoded, too.
    ///
    /// # Errors
    /// As [`Codec::decompress`]; `InvalidArgument` where the frame is not the one that the stream was made after.
    pub fn decompress_after(
        &self,
        stream: &[u8],
        request: &Request,
        before: &ReferenceFrame<'_>,
        out: &mut FieldViewMut<'_>,
    ) -> Result<Report> {
        self.decompress_with(stream, request, Some(before), out)
    }

    fn decompress_with(
        &self,
        stream: &[u8],
        request: &Request,
        before: Option<&ReferenceFrame<'_>>,
        out: &mut FieldViewMut<'_>,
    ) -> Result<Report> {
        let _span = tracing::debug_span!("decompress").entered();
        let begin = Instant::now();
        let parsed = Stream::parse(stream)?;
        let header = &parsed.header;
        let dims = request.scaled(&header.shape, header.axes)?;
        if out.shape.dims() != dims {
            return Err(Error::invalid(format!(
                "the output has shape {}, but {} is wanted",
                out.shape,
                Shape::new(&dims)?
            )));
        }
        if out.dtype() != header.dtype {
            let (given, wanted) = (out.dtype().name(), header.dtype.name());
            return Err(Error::invalid(format!("the output has type {given}, but the stream holds {wanted}")));
        }
        let model = match &header.content {
            Content::Segments { model: Some(model), .. } => {
                Some(Model::for_stream(&model.name, &model.hash, &self.options)?)
            }
            _ => None,
        };
        let tools =
            Tools { options: &self.options, package: model.as_deref(), workers: &self.workers, keeps_mean: true };
        let reference =
            before.map(|before| Reference::new(before, &header.shape, header.dtype, header.axes)).transpose()?;
        let reference = reference.as_ref();
        let strides = out.strides;
        let stages = match &mut out.values {
            ValuesMut::F32(values) => decode(&parsed, request, reference, Output { values, strides }, &tools)?,
            ValuesMut::F64(values) => decode(&parsed, request, reference, Output { values, strides }, &tools)?,
        };
        Ok(Report {
            input_bytes: (header.shape.len() * header.dtype.size()) as u64,
            stream_bytes: stream.len() as u64,
            info: inspection::inspect(&parsed, request.region.as_ref())?,
            drift: 0.0,
            sentinels: Vec::new(),
            mean_error: 0.0,
            seconds: begin.elapsed().as_secs_f64(),
            stages,
        })
    }
}

/// Decodes what `request` names into `out`, by logarithms or not.
fn decode<T: Element>(
    stream: &Stream<'_>,
    request: &Request,
    reference: Option<&Reference>,
    out: Output<'_, T>,
    tools: &Tools<'_>,
) -> Result<StageSeconds> {
    match &stream.header.content {
        Content::Logarithms(_) => logarithms::decompress(stream, request, out, tools),
        _ => decompress::decompress(stream, request, reference, out, tools),
    }
}

/// What a stream's header, its table and the heads of its sections say; decodes no values, and tests no section's
/// checksum.
///
/// # Errors
/// `Corrupt` and `Unsupported`.
pub fn inspect(stream: &[u8]) -> Result<StreamInfo> {
    inspection::inspect(&Stream::parse(stream)?, None)
}

//! Compressing, decompressing and inspecting streams.

use crate::array::{Input, Output, Strided, region};
use crate::errors::{detached, raised};
use fieldpress::{Options, Report, Request, Scale, StreamInfo};
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use std::sync::Arc;

/// A box as the package gives it: first indices and counts.
pub type BoxParts = Option<(Vec<usize>, Vec<usize>)>;
/// An option's name and its text.
pub type Pairs = Vec<(String, String)>;

/// In place of a bound's kind: the stream's size.
const RATIO: &str = "ratio";

/// Options from their text.
pub fn options(py: Python<'_>, pairs: &[(String, String)]) -> PyResult<Options> {
    let mut options = Options::default();
    for (key, value) in pairs {
        raised(py, options.set(key, value))?;
    }
    Ok(options)
}

/// A bound from its kind and value.
pub fn bound(py: Python<'_>, (kind, value): &(String, f64)) -> PyResult<fieldpress::Bound> {
    raised(py, fieldpress::Bound::from_parts(kind, *value))
}

fn request(py: Python<'_>, of: BoxParts, scale: usize) -> PyResult<Request> {
    Ok(Request { scale: raised(py, Scale::from_factor(scale))?, region: region(of) })
}

/// A compressor and decompressor with its options. Usable from several threads.
#[pyclass(frozen, module = "fieldpress._fieldpress")]
pub struct Codec {
    pub(crate) codec: Arc<fieldpress::Codec>,
}

#[pymethods]
impl Codec {
    #[new]
    fn new(py: Python<'_>, pairs: Pairs) -> PyResult<Self> {
        let options = options(py, &pairs)?;
        let codec = detached(py, || fieldpress::Codec::new(options))?;
        Ok(Self { codec: Arc::new(codec) })
    }

    /// The stream of a field under a bound, or of a size, and what making it did.
    fn compress<'py>(
        &self,
        py: Python<'py>,
        array: Strided<'py>,
        bound_parts: (String, f64),
    ) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyDict>)> {
        let bound = if bound_parts.0 == RATIO { None } else { Some(bound(py, &bound_parts)?) };
        let input = Input::of(array)?;
        let field = input.field(py)?;
        let (stream, report) = detached(py, || match bound {
            Some(bound) => self.codec.compress(&field, bound),
            None => self.codec.compress_to_ratio(&field, bound_parts.1),
        })?;
        Ok((PyBytes::new(py, &stream), report_of(py, &report)?))
    }

    /// Decodes a stream, or the box of it, into an array of the output's shape and type.
    fn decompress<'py>(
        &self,
        py: Python<'py>,
        stream: PyReadonlyArray1<'py, u8>,
        of: BoxParts,
        scale: usize,
        out: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let request = request(py, of, scale)?;
        let bytes = stream.as_slice()?;
        let codec = &self.codec;
        match Output::of(out)? {
            Output::F32(mut out) => {
                let out = out.as_array_mut();
                detached(py, || codec.decompress_into_array(bytes, &request, out))?;
            }
            Output::F64(mut out) => {
                let out = out.as_array_mut();
                detached(py, || codec.decompress_into_array(bytes, &request, out))?;
            }
        }
        Ok(())
    }

    /// Opens what compressing opens at first use, and compares the options with a shape.
    fn check(&self, py: Python<'_>, dims: Vec<usize>) -> PyResult<()> {
        let shape = raised(py, fieldpress::Shape::new(&dims))?;
        detached(py, || self.codec.check(&shape))
    }
}

/// What a stream says of itself.
#[pyfunction]
pub fn inspect<'py>(py: Python<'py>, stream: PyReadonlyArray1<'py, u8>) -> PyResult<Bound<'py, PyDict>> {
    let bytes = stream.as_slice()?;
    let info = detached(py, || fieldpress::inspect(bytes))?;
    info_of(py, &info)
}

/// The shape of what a box at a scale is decoded to.
#[pyfunction]
pub fn output_shape<'py>(
    py: Python<'py>,
    stream: PyReadonlyArray1<'py, u8>,
    of: BoxParts,
    scale: usize,
) -> PyResult<Bound<'py, PyTuple>> {
    let request = request(py, of, scale)?;
    let bytes = stream.as_slice()?;
    let shape = detached(py, || request.output_shape(&fieldpress::inspect(bytes)?))?;
    PyTuple::new(py, shape.dims())
}

/// Whether ONNX Runtime is loaded, and the file, or why not.
#[pyfunction]
pub fn runtime_status(py: Python<'_>) -> PyResult<(bool, String)> {
    use fieldpress::model::{RuntimeStatus, status};
    detached(py, || {
        Ok(match status() {
            RuntimeStatus::Loaded { path, build } => (true, format!("{} ({build})", path.display())),
            RuntimeStatus::Missing(why) => (false, why),
            RuntimeStatus::NotBuilt => (false, "this build of fieldpress has no model".to_owned()),
        })
    })
}

/// Panics as a bug would, so that the tests see what becomes of it.
#[pyfunction]
pub fn panic_in_call(py: Python<'_>) -> PyResult<()> {
    detached(py, || panic!("asked to"))
}

fn report_of<'py>(py: Python<'py>, report: &Report) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("input_bytes", report.input_bytes)?;
    out.set_item("stream_bytes", report.stream_bytes)?;
    out.set_item("seconds", report.seconds)?;
    let stages = PyDict::new(py);
    for (name, seconds) in report.stages.entries() {
        stages.set_item(name, seconds)?;
    }
    out.set_item("stages", stages)?;
    out.set_item("sentinels", PyTuple::new(py, &report.sentinels)?)?;
    out.set_item("mean_error", report.mean_error)?;
    out.set_item("info", info_of(py, &report.info)?)?;
    Ok(out)
}

fn info_of<'py>(py: Python<'py>, info: &StreamInfo) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("version", info.version)?;
    out.set_item("shape", PyTuple::new(py, info.shape.dims())?)?;
    out.set_item("dtype", info.dtype.name())?;
    out.set_item("axes", info.axes.map(|axes| PyTuple::new(py, axes.list())).transpose()?)?;
    out.set_item("bound", (info.bound.name(), info.bound.value()))?;
    out.set_item("nrmse", info.nrmse)?;
    out.set_item("max_abs_error", info.max_abs_error)?;
    out.set_item("range", info.range)?;
    out.set_item("masked", PyTuple::new(py, &info.masked)?)?;
    out.set_item("follows", info.follows)?;
    out.set_item("model", info.model.clone())?;
    out.set_item("fm_share", info.fm_share)?;
    let sections = PyDict::new(py);
    for (name, bytes) in info.sections.entries() {
        sections.set_item(name, bytes)?;
    }
    out.set_item("sections", sections)?;
    out.set_item("modes", info.modes.iter().cloned().collect::<std::collections::HashMap<_, _>>())?;
    Ok(out)
}

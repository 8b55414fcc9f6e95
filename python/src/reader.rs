//! Reading archives.

use crate::array::{Output, region};
use crate::codec::{BoxParts, Pairs, options};
use crate::errors::{detached, raised};
use fieldpress::archive::{self, Attribute, Selection, VariableInfo};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::path::PathBuf;

/// An archive opened for reading. Usable from several threads.
#[pyclass(frozen, module = "fieldpress._fieldpress")]
pub struct Reader {
    reader: archive::Reader,
}

/// A coordinate as Python gets it.
type Coordinate<'py> = (String, Vec<String>, Vec<f64>, Bound<'py, PyDict>);

/// Attributes as a dictionary, in their order: text, or a list of numbers.
fn attributes<'py>(py: Python<'py>, of: &[(String, Attribute)]) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    for (name, value) in of {
        let value = match value {
            Attribute::Text(text) => text.into_bound_py_any(py)?,
            Attribute::Integers(values) => values.into_bound_py_any(py)?,
            Attribute::Reals(values) => values.into_bound_py_any(py)?,
        };
        out.set_item(name, value)?;
    }
    Ok(out)
}

fn variable<'py>(py: Python<'py>, info: &VariableInfo) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("name", &info.name)?;
    out.set_item("shape", PyTuple::new(py, info.shape.dims())?)?;
    out.set_item("dtype", info.dtype.name())?;
    out.set_item("attributes", attributes(py, &info.attributes)?)?;
    Ok(out)
}

#[pymethods]
impl Reader {
    #[new]
    fn new(py: Python<'_>, path: PathBuf, pairs: Pairs) -> PyResult<Self> {
        let options = options(py, &pairs)?;
        Ok(Self { reader: detached(py, || archive::Reader::open_with(&path, options))? })
    }

    /// The variables, in the order of their numbers.
    fn variables<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let infos = self.reader.definitions().variables.iter().map(|info| variable(py, info));
        PyList::new(py, infos.collect::<PyResult<Vec<_>>>()?)
    }

    /// The archive's attributes, but for those that name things by convention.
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let own = self.reader.definitions().attributes.iter().filter(|(name, _)| !archive::is_conventional(name));
        attributes(py, &own.cloned().collect::<Vec<_>>())
    }

    /// Of each variable, names of the axes of its domain.
    fn dimensions(&self) -> Vec<Vec<String>> {
        self.reader.definitions().names().dimensions
    }

    /// Name, names of dimensions, values and attributes of each coordinate.
    fn coordinates<'py>(&self, py: Python<'py>) -> PyResult<Vec<Coordinate<'py>>> {
        let found = self.reader.definitions().names().coordinates.into_iter();
        found.map(|one| Ok((one.name, one.dimensions, one.values, attributes(py, &one.attributes)?))).collect()
    }

    /// What describes the times.
    fn time_attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        attributes(py, &self.reader.definitions().names().time)
    }

    /// What each step is, as the writer gave it.
    fn times(&self, py: Python<'_>) -> PyResult<Vec<f64>> {
        detached(py, || (0..self.reader.steps()).map(|step| self.reader.time(step)).collect())
    }

    /// First and last-but-one step of each commit.
    fn commits(&self) -> Vec<(u64, u64)> {
        self.reader.commits().into_iter().map(|steps| (steps.start, steps.end)).collect()
    }

    /// A variable's part of the commit that holds a step.
    fn commit_info<'py>(&self, py: Python<'py>, variable: usize, step: u64) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(info) = detached(py, || self.reader.commit_info(variable, step))? else { return Ok(None) };
        let out = PyDict::new(py);
        out.set_item("steps", (info.steps.start, info.steps.end))?;
        out.set_item("bound", (info.bound.name(), info.bound.value()))?;
        out.set_item("range", info.range)?;
        out.set_item("nrmse", info.nrmse)?;
        out.set_item("chunks", info.chunks)?;
        out.set_item("stream_bytes", info.stream_bytes)?;
        out.set_item("input_bytes", info.input_bytes)?;
        Ok(Some(out))
    }

    /// Reads a box of a variable at some steps into an array without gaps.
    #[expect(clippy::too_many_arguments, reason = "the receiver and the interpreter count")]
    fn read<'py>(
        &self,
        py: Python<'py>,
        variable: usize,
        steps: (u64, u64),
        of: BoxParts,
        missing: Option<f64>,
        out: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        raised(py, self.reader.variable(variable))?;
        let selection = Selection { steps: steps.0..steps.1, region: region(of), missing };
        let mut out = Output::of(out)?;
        let mut field = out.field(py)?;
        detached(py, || self.reader.read(variable, &selection, &mut field))
    }
}

//! Writing archives from one process.
//!
//! A writer belongs to one thread, since communicators do; Python's calls come from any. So each writer has a thread of
//! its own, which does what it is sent, one call at a time, while the caller waits without the GIL.

use crate::array::{Input, Strided};
use crate::codec::{Pairs, bound};
use crate::errors::{detached, raised};
use fieldpress::archive::{self, Attribute, Serial, VariableId, VariableInfo, WriterOptions};
use fieldpress::{DType, Error, Result, Shape};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel, sync_channel};

/// The writer of the thread; none before it is open and after it is closed.
type Slot = Option<archive::Writer>;
type Job = Box<dyn FnOnce(&mut Slot) + Send>;

/// An archive opened for writing.
#[pyclass(frozen, module = "fieldpress._fieldpress")]
pub struct Writer {
    /// Dropping it ends the thread, and closes the file; what was committed stays.
    jobs: Sender<Job>,
}

/// An attribute from Python: text, whole numbers, or numbers.
#[derive(FromPyObject)]
enum Given {
    Text(String),
    Integers(Vec<i64>),
    Reals(Vec<f64>),
}

impl From<Given> for Attribute {
    fn from(given: Given) -> Self {
        match given {
            Given::Text(text) => Self::Text(text),
            Given::Integers(values) => Self::Integers(values),
            Given::Reals(values) => Self::Reals(values),
        }
    }
}

fn closed() -> Error {
    Error::invalid("the archive is closed")
}

impl Writer {
    /// What `work` makes of the thread's slot.
    fn ask<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Slot) -> Result<T> + Send + 'static,
    ) -> PyResult<T> {
        detached(py, || {
            let (answer, answered) = sync_channel(1);
            let job: Job = Box::new(move |slot| {
                let done = fieldpress::ffi::caught(|| work(slot));
                let _ = answer.send(done);
            });
            self.jobs.send(job).map_err(|_| closed())?;
            answered.recv().map_err(|_| Error::internal("the archive's thread has ended"))?
        })
    }

    fn with_open<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut archive::Writer) -> Result<T> + Send + 'static,
    ) -> PyResult<T> {
        self.ask(py, |slot| work(slot.as_mut().ok_or_else(closed)?))
    }
}

#[pymethods]
impl Writer {
    #[new]
    fn new(py: Python<'_>, path: PathBuf, pairs: Pairs) -> PyResult<Self> {
        let mut options = WriterOptions::default();
        for (key, value) in &pairs {
            raised(py, options.set(key, value))?;
        }
        let (jobs, to_do) = channel::<Job>();
        let thread = std::thread::Builder::new().name("fieldpress-archive".to_owned()).spawn(move || {
            let mut slot: Slot = None;
            to_do.into_iter().for_each(|job| job(&mut slot));
        });
        raised(py, thread.map_err(Error::from))?;
        let writer = Self { jobs };
        writer.ask(py, move |slot| {
            *slot = Some(archive::Writer::open(Box::new(Serial), &path, options)?);
            Ok(())
        })?;
        Ok(writer)
    }

    /// Defines a variable; its number.
    fn define(
        &self,
        py: Python<'_>,
        name: String,
        dims: Vec<usize>,
        dtype: &str,
        attributes: Vec<(String, Given)>,
    ) -> PyResult<usize> {
        let shape = raised(py, Shape::new(&dims))?;
        let dtype: DType = raised(py, dtype.parse())?;
        let attributes = attributes.into_iter().map(|(name, value)| (name, value.into())).collect();
        let variable = VariableInfo { name, shape, dtype, attributes };
        self.with_open(py, move |writer| Ok(writer.define(variable)?.number()))
    }

    /// Sets an attribute of the archive.
    fn set_attribute(&self, py: Python<'_>, name: String, value: Given) -> PyResult<()> {
        self.with_open(py, move |writer| writer.set_attribute(None, &name, value.into()))
    }

    fn begin_step(&self, py: Python<'_>, time: f64) -> PyResult<()> {
        self.with_open(py, move |writer| writer.begin_step(time))
    }

    /// Copies a box of a variable.
    fn put<'py>(
        &self,
        py: Python<'py>,
        variable: usize,
        start: Vec<usize>,
        array: Strided<'py>,
        bound_parts: (String, f64),
    ) -> PyResult<()> {
        let bound = bound(py, &bound_parts)?;
        let input = Input::of(array)?;
        let owned = input.owned(py)?;
        self.with_open(py, move |writer| writer.put(VariableId::from_number(variable), &start, &owned.field()?, bound))
    }

    /// Ends the step; what was committed.
    fn end_step<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let report = self.with_open(py, archive::Writer::end_step)?;
        report_of(py, &report)
    }

    /// Commits the steps that wait.
    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let report = self.with_open(py, archive::Writer::flush)?;
        report_of(py, &report)
    }

    #[getter]
    fn committed_steps(&self, py: Python<'_>) -> PyResult<u64> {
        self.with_open(py, |writer| Ok(writer.committed_steps()))
    }

    /// Commits the steps that wait, and closes the archive.
    fn close<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let report = self.ask(py, |slot| slot.take().ok_or_else(closed)?.close())?;
        report_of(py, &report)
    }
}

fn report_of<'py>(py: Python<'py>, report: &archive::StepReport) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("steps", report.steps)?;
    out.set_item("chunks", report.chunks)?;
    out.set_item("input_bytes", report.input_bytes)?;
    out.set_item("stream_bytes", report.stream_bytes)?;
    out.set_item("index_bytes", report.index_bytes)?;
    Ok(out)
}

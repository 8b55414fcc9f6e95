//! Windows of time steps.

use crate::array::{Input, Strided};
use crate::codec::{Codec, bound};
use crate::errors::{detached, raised};
use fieldpress::{DType, Shape};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Time steps that are compressed a window at a time.
#[pyclass(frozen, module = "fieldpress._fieldpress")]
pub struct StepStream {
    // Taken without the GIL only: a thread that held both would wait for one that wants both.
    steps: Mutex<fieldpress::StepStream>,
}

impl StepStream {
    fn lock(&self) -> MutexGuard<'_, fieldpress::StepStream> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl StepStream {
    #[new]
    fn new(
        py: Python<'_>,
        codec: &Codec,
        dims: Vec<usize>,
        dtype: &str,
        window: usize,
        bound_parts: (String, f64),
    ) -> PyResult<Self> {
        let shape = raised(py, Shape::new(&dims))?;
        let dtype: DType = raised(py, dtype.parse())?;
        let bound = bound(py, &bound_parts)?;
        let steps = fieldpress::StepStream::new(codec.codec.clone(), &shape, dtype, window, bound);
        Ok(Self { steps: Mutex::new(raised(py, steps)?) })
    }

    /// Takes a step; the window's stream where it is full now.
    fn push<'py>(&self, py: Python<'py>, array: Strided<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let input = Input::of(array)?;
        let field = input.field(py)?;
        let done = detached(py, || self.lock().push(&field))?;
        Ok(done.map(|(stream, _)| PyBytes::new(py, &stream)))
    }

    /// The stream of the steps that wait, if any do.
    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let done = detached(py, || self.lock().flush())?;
        Ok(done.map(|(stream, _)| PyBytes::new(py, &stream)))
    }

    /// Drops the steps that wait.
    fn clear(&self, py: Python<'_>) {
        py.detach(|| self.lock().clear());
    }

    #[getter]
    fn waiting(&self, py: Python<'_>) -> usize {
        py.detach(|| self.lock().waiting())
    }

    #[getter]
    fn window(&self, py: Python<'_>) -> usize {
        py.detach(|| self.lock().window())
    }
}

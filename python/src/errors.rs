//! Errors and panics of the library as Python's exceptions (`fieldpress.errors`), and the release of the GIL.

use fieldpress::{Error, ErrorKind};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// The name of an error's class in `fieldpress.errors`.
fn class_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidArgument | ErrorKind::BufferTooSmall => "InvalidArgument",
        ErrorKind::Corrupt => "CorruptError",
        ErrorKind::Unsupported => "UnsupportedError",
        ErrorKind::Model => "ModelError",
        ErrorKind::Runtime => "RuntimeUnavailable",
        ErrorKind::Io => "IoError",
        ErrorKind::Internal => "InternalError",
        _ => "FieldpressError",
    }
}

/// The exception of an error.
pub fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let made = py
        .import("fieldpress.errors")
        .and_then(|module| module.getattr(class_of(error.kind())))
        .and_then(|class| class.call1((error.message(),)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        // The package is being torn down.
        Err(_) => PyRuntimeError::new_err(error.message().to_owned()),
    }
}

/// Runs `work` without the GIL; its errors and panics become exceptions.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> fieldpress::Result<T> + Send) -> PyResult<T> {
    py.detach(|| fieldpress::ffi::caught(work)).map_err(|error| exception(py, &error))
}

/// The result of short work that keeps the GIL.
pub fn raised<T>(py: Python<'_>, result: fieldpress::Result<T>) -> PyResult<T> {
    result.map_err(|error| exception(py, &error))
}

//! The extension module `fieldpress._fieldpress`, beneath the Python package: the calls of the Rust API on NumPy's
//! memory.
//!
//! In: arrays, streams and text that the package's Python has brought into form. Out: bytes, filled arrays, and
//! dictionaries that the package makes typed objects of. Nothing is decided here: options, bounds and errors are those
//! of the library. Every call that codes or reads releases the GIL; a panic becomes an exception.

mod array;
mod codec;
mod errors;
mod reader;
mod steps;
mod writer;

use pyo3::prelude::*;

/// The compiled half of the package; see `_fieldpress.pyi` for types.
#[pymodule]
mod _fieldpress {
    use super::PyModule;
    use pyo3::prelude::*;
    use pyo3::types::PyList;

    #[pymodule_export]
    use super::codec::{Codec, inspect, output_shape, panic_in_call, runtime_status};
    #[pymodule_export]
    use super::reader::Reader;
    #[pymodule_export]
    use super::steps::StepStream;
    #[pymodule_export]
    use super::writer::Writer;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("BOUND_NAMES", fieldpress::Bound::NAMES.to_vec())?;
        module.add("OPTION_KEYS", PyList::new(py, fieldpress::OPTION_KEYS)?)?;
        module.add("ARCHIVE_OPTION_KEYS", PyList::new(py, fieldpress::archive::ARCHIVE_OPTION_KEYS)?)?;
        module.add("MAX_DIMS", fieldpress::MAX_DIMS)
    }
}

//! NumPy arrays as the library's fields.
//!
//! An input comes as the run of memory from its first to its last element (one axis, no gaps) with its sizes and
//! strides, so that a part of an array is read where it lies. The package makes that run from the array's own strides.

use crate::errors::raised;
use fieldpress::ndarray::{ArrayD, ArrayViewD, IxDyn, ShapeBuilder};
use fieldpress::{Error, FieldView, FieldViewMut, Region};
use numpy::{Element, PyReadonlyArray1, PyReadwriteArrayDyn};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// An input as the package gives it: a run of memory, sizes, and strides in elements.
pub type Strided<'py> = (Bound<'py, PyAny>, Vec<usize>, Vec<usize>);

/// Memory that this module's other calls do not write to meanwhile.
enum Run<'py> {
    F32(PyReadonlyArray1<'py, f32>),
    F64(PyReadonlyArray1<'py, f64>),
}

/// An input field.
pub struct Input<'py> {
    run: Run<'py>,
    dims: Vec<usize>,
    strides: Vec<usize>,
}

/// The values of a field with memory of their own, in C order.
pub enum Owned {
    F32(ArrayD<f32>),
    F64(ArrayD<f64>),
}

impl<'py> Input<'py> {
    /// # Errors
    /// `TypeError` for a run that is no array of one axis of native float32 or float64.
    pub fn of((values, dims, strides): Strided<'py>) -> PyResult<Self> {
        let run = if let Ok(values) = values.extract::<PyReadonlyArray1<'py, f32>>() {
            Run::F32(values)
        } else {
            Run::F64(
                values
                    .extract::<PyReadonlyArray1<'py, f64>>()
                    .map_err(|_| PyTypeError::new_err("expected an array of one axis of native float32 or float64"))?,
            )
        };
        Ok(Self { run, dims, strides })
    }

    /// The field, in the caller's memory.
    ///
    /// # Errors
    /// `InvalidArgument` where the last element would lie outside of the run.
    pub fn field(&self, py: Python<'py>) -> PyResult<FieldView<'_>> {
        let field = match &self.run {
            Run::F32(values) => FieldView::strided(values.as_slice()?, &self.dims, &self.strides),
            Run::F64(values) => FieldView::strided(values.as_slice()?, &self.dims, &self.strides),
        };
        raised(py, field)
    }

    /// A copy of the field.
    ///
    /// # Errors
    /// As [`Input::field`].
    pub fn owned(&self, py: Python<'py>) -> PyResult<Owned> {
        self.field(py)?;
        Ok(match &self.run {
            Run::F32(values) => Owned::F32(self.copy(py, values.as_slice()?)?),
            Run::F64(values) => Owned::F64(self.copy(py, values.as_slice()?)?),
        })
    }

    fn copy<T: Element + Copy>(&self, py: Python<'py>, values: &[T]) -> PyResult<ArrayD<T>> {
        let shape = IxDyn(&self.dims).strides(IxDyn(&self.strides));
        let view = ArrayViewD::from_shape(shape, values);
        let view = raised(py, view.map_err(|error| Error::invalid(error.to_string())))?;
        Ok(py.detach(|| view.as_standard_layout().into_owned()))
    }
}

impl Owned {
    /// The field.
    ///
    /// # Errors
    /// None: the memory is in C order.
    pub fn field(&self) -> fieldpress::Result<FieldView<'_>> {
        match self {
            Self::F32(array) => FieldView::from_array(array.view()),
            Self::F64(array) => FieldView::from_array(array.view()),
        }
    }
}

/// An output array of any layout, which nobody else of this module's calls reads or writes.
pub enum Output<'py> {
    F32(PyReadwriteArrayDyn<'py, f32>),
    F64(PyReadwriteArrayDyn<'py, f64>),
}

impl<'py> Output<'py> {
    /// # Errors
    /// `TypeError` for anything but a writable array of native float32 or float64 that is in no other call.
    pub fn of(values: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(values) = values.extract::<PyReadwriteArrayDyn<'py, f32>>() {
            return Ok(Self::F32(values));
        }
        values.extract::<PyReadwriteArrayDyn<'py, f64>>().map(Self::F64).map_err(|_| {
            PyTypeError::new_err("expected a writable array of native float32 or float64, in use by no other call")
        })
    }

    /// The field to write to, for arrays without gaps.
    ///
    /// # Errors
    /// `InvalidArgument` for another layout.
    pub fn field(&mut self, py: Python<'py>) -> PyResult<FieldViewMut<'_>> {
        let field = match self {
            Self::F32(values) => FieldViewMut::from_array(values.as_array_mut()),
            Self::F64(values) => FieldViewMut::from_array(values.as_array_mut()),
        };
        raised(py, field)
    }
}

/// A box of starts and counts.
pub fn region(of: Option<(Vec<usize>, Vec<usize>)>) -> Option<Region> {
    of.map(|(start, count)| Region { start, count })
}

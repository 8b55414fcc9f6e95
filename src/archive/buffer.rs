//! Values of either type, owned.

use crate::error::Result;
use crate::field::{DType, Element, FieldView, FieldViewMut, Values, for_each_row};

/// Values of either type.
#[derive(Clone, Debug)]
pub(super) enum Buffer {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Buffer {
    pub(super) fn new(dtype: DType) -> Self {
        match dtype {
            DType::F32 => Self::F32(Vec::new()),
            DType::F64 => Self::F64(Vec::new()),
        }
    }

    pub(super) fn zeros(dtype: DType, len: usize) -> Self {
        match dtype {
            DType::F32 => Self::F32(vec![0.0; len]),
            DType::F64 => Self::F64(vec![0.0; len]),
        }
    }

    /// Appends a field's values; of the same type.
    pub(super) fn push(&mut self, field: &FieldView<'_>) {
        fn copy<T: Element>(field: &FieldView<'_>, values: &[T], out: &mut Vec<T>) {
            out.reserve(field.shape().len());
            for_each_row(field, values, &mut Vec::new(), |row| out.extend_from_slice(row));
        }
        match (self, field.values) {
            (Self::F32(out), Values::F32(values)) => copy(field, values, out),
            (Self::F64(out), Values::F64(values)) => copy(field, values, out),
            _ => unreachable!("types are compared when a box is put"),
        }
    }

    pub(super) fn truncate(&mut self, len: usize) {
        match self {
            Self::F32(values) => values.truncate(len),
            Self::F64(values) => values.truncate(len),
        }
    }

    pub(super) fn view(&self, dims: &[usize]) -> Result<FieldView<'_>> {
        match self {
            Self::F32(values) => FieldView::new(values, dims),
            Self::F64(values) => FieldView::new(values, dims),
        }
    }

    pub(super) fn view_mut(&mut self, dims: &[usize]) -> Result<FieldViewMut<'_>> {
        match self {
            Self::F32(values) => FieldViewMut::new(values, dims),
            Self::F64(values) => FieldViewMut::new(values, dims),
        }
    }
}

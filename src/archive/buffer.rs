//! Values of either type, owned.

use crate::error::{Error, ErrorKind, Result};
use crate::field::{DType, Element, FieldView, FieldViewMut, Values, for_each_row};

/// As many zeros, where an archive says how many: it may say anything.
///
/// # Errors
/// `Io` where there is no memory for them.
pub(super) fn zeros<T: Element>(len: usize) -> Result<Vec<T>> {
    let mut out = Vec::new();
    out.try_reserve_exact(len)
        .map_err(|_| Error::new(ErrorKind::Io, format!("there is no memory for the {len} values that it declares")))?;
    out.resize(len, T::from_f64(0.0));
    Ok(out)
}

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

    /// # Errors
    /// `Io` where there is no memory for so many.
    pub(super) fn zeros(dtype: DType, len: usize) -> Result<Self> {
        Ok(match dtype {
            DType::F32 => Self::F32(zeros(len)?),
            DType::F64 => Self::F64(zeros(len)?),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert_eq!(zeros::<f32>(3).unwrap(), [0.0; 3]);
        assert!(zeros::<f64>(1 << 58).unwrap_err().message().contains("no memory"));
    }
}

//! Compressing from, and decompressing to, `ndarray` arrays.

use super::{Codec, Report, Request, inspect};
use crate::bound::Bound;
use crate::error::Result;
use crate::field::{ArrayField, DType, Decoded, Element, FieldViewMut, Shape, zeros};
use ndarray::{ArrayD, ArrayView, ArrayViewMut, Dimension};

impl Codec {
    /// Compresses an array of any layout, as [`Codec::compress`] does a field. An array with gaps between its elements,
    /// or with a reversed axis, is copied first ([`ArrayField`]).
    ///
    /// # Errors
    /// As [`Codec::compress`]; `InvalidArgument` where the array has no or too many axes, or no elements.
    pub fn compress_array<T: Element, D: Dimension>(
        &self,
        array: ArrayView<'_, T, D>,
        bound: Bound,
    ) -> Result<(Vec<u8>, Report)> {
        self.compress(&ArrayField::new(array)?.view(), bound)
    }

    /// Decompresses a stream, or the part of it that `request` names, to an array of the shape and type that it has.
    ///
    /// # Errors
    /// As [`Codec::decompress`]; `InvalidArgument` where there is no memory for the array.
    pub fn decompress_array(&self, stream: &[u8], request: &Request) -> Result<(Decoded, Report)> {
        let info = inspect(stream)?;
        let shape = request.output_shape(&info)?;
        match info.dtype {
            DType::F32 => {
                let mut array: ArrayD<f32> = zeros(&shape)?;
                let report = self.decompress(stream, request, &mut FieldViewMut::from_array(array.view_mut())?)?;
                Ok((Decoded::F32(array), report))
            }
            DType::F64 => {
                let mut array: ArrayD<f64> = zeros(&shape)?;
                let report = self.decompress(stream, request, &mut FieldViewMut::from_array(array.view_mut())?)?;
                Ok((Decoded::F64(array), report))
            }
        }
    }

    /// Decompresses a stream, or the part of it that `request` names, into an array of any layout, whose shape must be
    /// [`Request::output_shape`] and whose type the stream's. For an array with gaps between its elements, or with a
    /// reversed axis, the part is decoded into memory of its own first.
    ///
    /// # Errors
    /// As [`Codec::decompress`]. `out` is unspecified after an error.
    pub fn decompress_into_array<T: Element, D: Dimension>(
        &self,
        stream: &[u8],
        request: &Request,
        mut out: ArrayViewMut<'_, T, D>,
    ) -> Result<Report> {
        if let Ok(mut field) = FieldViewMut::from_array(out.view_mut()) {
            return self.decompress(stream, request, &mut field);
        }
        let mut decoded = zeros::<T>(&Shape::new(out.shape())?)?;
        let report = self.decompress(stream, request, &mut FieldViewMut::from_array(decoded.view_mut())?)?;
        out.view_mut().into_dyn().assign(&decoded);
        Ok(report)
    }
}

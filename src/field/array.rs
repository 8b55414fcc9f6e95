//! Fields from and to [`ndarray`] arrays.
//!
//! In: views of any layout. Out: [`FieldView`]s over the same memory where a first element and strides tell where each
//! element lies, which is so in C order, Fortran order, and any other order of axes without gaps; over a copy in C
//! order otherwise. What a field compresses to depends on its shape and values alone, never on its layout.

use super::{DType, Element, FieldView, FieldViewMut, MAX_DIMS, Region, Shape};
use crate::error::{Error, Result};
use ndarray::{Array, ArrayD, ArrayView, ArrayViewMut, Dimension, IxDyn};
use std::borrow::Cow;

/// The shape of an array's sizes, and its strides where its elements fill their memory, with no axis reversed.
fn layout(dims: &[usize], strides: &[isize]) -> Result<(Shape, Option<[usize; MAX_DIMS]>)> {
    let shape = Shape::new(dims)?;
    let mut out = [0; MAX_DIMS];
    for ((slot, &n), &stride) in out.iter_mut().zip(dims).zip(strides) {
        // The stride of an axis of size 1 is never used, and may be anything.
        let stride = if n == 1 { 1 } else { stride };
        match usize::try_from(stride) {
            Ok(stride) => *slot = stride,
            Err(_) => return Ok((shape, None)),
        }
    }
    Ok((shape, Some(out)))
}

fn not_in_place(shape: &Shape, strides: &[isize], instead: &str) -> Error {
    Error::invalid(format!(
        "the array of shape {shape} with strides {strides:?} has gaps or a reversed axis; expected one that fills its \
         memory, in any order of axes; {instead}"
    ))
}

impl<'a> FieldView<'a> {
    /// The field of an array, over its memory: in C order, Fortran order, or any other order of axes.
    ///
    /// # Errors
    /// `InvalidArgument` where the array has no or too many axes, no elements, gaps or a reversed axis.
    /// [`ArrayField`] takes gaps and reversed axes, too, and [`FieldView::part`] cuts a box out of a field.
    pub fn from_array<T: Element, D: Dimension>(array: ArrayView<'a, T, D>) -> Result<Self> {
        let (shape, strides) = layout(array.shape(), array.strides())?;
        match (strides, array.to_slice_memory_order()) {
            (Some(strides), Some(values)) => Ok(Self { values: T::values(values), shape, strides }),
            _ => Err(not_in_place(&shape, array.strides(), "ArrayField copies such arrays")),
        }
    }

    /// A box of the field, over the same memory: for example a subdomain without its halo.
    ///
    /// # Errors
    /// `InvalidArgument` where the box is not inside the field.
    pub fn part(&self, region: &Region) -> Result<Self> {
        region.check(&self.shape)?;
        let first: usize = region.start.iter().zip(&self.strides).map(|(start, stride)| start * stride).sum();
        let values = match self.values {
            super::Values::F32(values) => super::Values::F32(&values[first..]),
            super::Values::F64(values) => super::Values::F64(&values[first..]),
        };
        Ok(Self { values, shape: Shape::new(&region.count)?, strides: self.strides })
    }
}

impl<'a> FieldViewMut<'a> {
    /// The field of an array to write to, over its memory: in C order, Fortran order, or any other order of axes.
    ///
    /// # Errors
    /// `InvalidArgument` where the array has no or too many axes, no elements, gaps or a reversed axis.
    /// [`Codec::decompress_into_array`](crate::Codec::decompress_into_array) writes to such arrays, too.
    pub fn from_array<T: Element, D: Dimension>(array: ArrayViewMut<'a, T, D>) -> Result<Self> {
        let (shape, strides) = layout(array.shape(), array.strides())?;
        let given = array.strides().to_vec();
        match (strides, array.into_slice_memory_order()) {
            (Some(strides), Some(values)) => Ok(Self { values: T::values_mut(values), shape, strides }),
            _ => Err(not_in_place(&shape, &given, "Codec::decompress_into_array writes to such arrays")),
        }
    }
}

impl<'a, T: Element, D: Dimension> TryFrom<ArrayView<'a, T, D>> for FieldView<'a> {
    type Error = Error;

    /// As [`FieldView::from_array`].
    fn try_from(array: ArrayView<'a, T, D>) -> Result<Self> {
        Self::from_array(array)
    }
}

impl<'a, T: Element, D: Dimension> TryFrom<&'a Array<T, D>> for FieldView<'a> {
    type Error = Error;

    /// As [`FieldView::from_array`].
    fn try_from(array: &'a Array<T, D>) -> Result<Self> {
        Self::from_array(array.view())
    }
}

impl<'a, T: Element, D: Dimension> TryFrom<ArrayViewMut<'a, T, D>> for FieldViewMut<'a> {
    type Error = Error;

    /// As [`FieldViewMut::from_array`].
    fn try_from(array: ArrayViewMut<'a, T, D>) -> Result<Self> {
        Self::from_array(array)
    }
}

impl<'a, T: Element, D: Dimension> TryFrom<&'a mut Array<T, D>> for FieldViewMut<'a> {
    type Error = Error;

    /// As [`FieldViewMut::from_array`].
    fn try_from(array: &'a mut Array<T, D>) -> Result<Self> {
        Self::from_array(array.view_mut())
    }
}

/// The field of an array of any layout: strided, transposed or reversed. Borrows the array's memory where it is filled
/// without gaps and no axis is reversed, and holds a copy in C order otherwise.
///
/// ```
/// use fieldpress::ArrayField;
/// use ndarray::{Array3, s};
///
/// let u = Array3::<f32>::zeros((4, 66, 66));
/// let whole = ArrayField::new(u.t())?; // Fortran order: borrowed
/// let inner = ArrayField::new(u.slice(s![.., 1..65, 1..65]))?; // without its halo: copied
/// assert!(!whole.is_copied() && inner.is_copied());
/// assert_eq!(inner.view().shape().dims(), [4, 64, 64]);
/// # Ok::<(), fieldpress::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ArrayField<'a, T: Element> {
    values: Cow<'a, [T]>,
    shape: Shape,
    strides: [usize; MAX_DIMS],
}

impl<'a, T: Element> ArrayField<'a, T> {
    /// The field of `array`.
    ///
    /// # Errors
    /// `InvalidArgument` where the array has no or too many axes, or no elements.
    pub fn new<D: Dimension>(array: ArrayView<'a, T, D>) -> Result<Self> {
        let (shape, strides) = layout(array.shape(), array.strides())?;
        Ok(match (strides, array.to_slice_memory_order()) {
            (Some(strides), Some(values)) => Self { values: Cow::Borrowed(values), shape, strides },
            _ => {
                let values = Cow::Owned(array.iter().copied().collect());
                Self { values, strides: shape.contiguous_strides(), shape }
            }
        })
    }

    /// The field.
    pub fn view(&self) -> FieldView<'_> {
        FieldView { values: T::values(&self.values), shape: self.shape, strides: self.strides }
    }

    /// Whether the values had to be copied.
    pub fn is_copied(&self) -> bool {
        matches!(self.values, Cow::Owned(_))
    }
}

/// A decoded field: an array of the type that was compressed.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    /// f32 values.
    F32(ArrayD<f32>),
    /// f64 values.
    F64(ArrayD<f64>),
}

impl Decoded {
    /// The sizes of its axes, slowest first.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F32(array) => array.shape(),
            Self::F64(array) => array.shape(),
        }
    }

    /// The type of its values.
    pub fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
        }
    }

    /// The array of a field of f32.
    ///
    /// # Errors
    /// `InvalidArgument` where the field's values are f64.
    pub fn into_f32(self) -> Result<ArrayD<f32>> {
        match self {
            Self::F32(array) => Ok(array),
            Self::F64(_) => Err(Error::invalid("the field's values are f64; expected f32 (into_f64 takes both)")),
        }
    }

    /// The array in f64, whichever type the field's values have.
    pub fn into_f64(self) -> ArrayD<f64> {
        match self {
            Self::F32(array) => array.mapv(f64::from),
            Self::F64(array) => array,
        }
    }
}

/// An array of zeros in C order.
///
/// # Errors
/// `InvalidArgument` where there is no memory for it.
pub(crate) fn zeros<T: Element>(shape: &Shape) -> Result<ArrayD<T>> {
    let mut values = Vec::new();
    let room = values.try_reserve_exact(shape.len());
    room.map_err(|_| Error::invalid(format!("there is no memory for a field of {shape} values")))?;
    values.resize(shape.len(), T::from_f64(0.0));
    ArrayD::from_shape_vec(IxDyn(shape.dims()), values).map_err(|error| Error::internal(error.to_string()))
}

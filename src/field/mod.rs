//! Fields: an n-d array of f32 or f64 in the caller's memory, with its shape and strides.
//!
//! In: the caller's slice. Out: a checked view that the codec gathers from, or scatters to, chunk by chunk. Nothing
//! here copies a whole field.

mod array;
mod axes;
mod mask;
mod region;
mod rows;
mod sentinels;
mod shape;
mod stats;

pub(crate) use array::zeros;
pub use array::{ArrayField, Decoded};
pub use axes::Axes;
pub(crate) use mask::{FEW_SPECIALS, MaskModel, Specials, fill_holes};
pub use region::Region;
pub(crate) use rows::{for_each_row, for_each_run, gather};
pub(crate) use sentinels::MAX_SENTINELS;
pub use sentinels::SentinelSearch;
pub use shape::{MAX_DIMS, Shape};
pub(crate) use stats::{FieldStats, Normalisation, f32_suffices};

use crate::error::{Error, Result};

/// The type of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl DType {
    /// Bytes of one value.
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// `"f32"` or `"f64"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for DType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "f32" | "float32" | "float" => Ok(Self::F32),
            "f64" | "float64" | "double" => Ok(Self::F64),
            _ => Err(Error::invalid(format!("type '{text}' is not known; expected f32 or f64"))),
        }
    }
}

/// A value type that a field can have: f32 or f64. Sealed.
pub trait Element: Copy + PartialEq + PartialOrd + Send + Sync + std::fmt::Debug + private::Sealed + 'static {
    /// The matching [`DType`].
    const DTYPE: DType;
    /// Exact for both types.
    fn to_f64(self) -> f64;
    /// Rounds to nearest for f32.
    fn from_f64(value: f64) -> Self;
    /// The bit pattern, widened.
    fn to_bits_u64(self) -> u64;
    /// The value of a bit pattern (the low 32 bits for f32).
    fn from_bits_u64(bits: u64) -> Self;
    #[doc(hidden)]
    fn values(slice: &[Self]) -> Values<'_>;
    #[doc(hidden)]
    fn values_mut(slice: &mut [Self]) -> ValuesMut<'_>;
}

mod private {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

macro_rules! element {
    ($type:ty, $bits:ty, $variant:ident) => {
        impl Element for $type {
            const DTYPE: DType = DType::$variant;
            #[inline]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline]
            fn from_f64(value: f64) -> Self {
                value as $type
            }
            #[inline]
            fn to_bits_u64(self) -> u64 {
                u64::from(self.to_bits())
            }
            #[inline]
            fn from_bits_u64(bits: u64) -> Self {
                <$type>::from_bits(bits as $bits)
            }
            fn values(slice: &[Self]) -> Values<'_> {
                Values::$variant(slice)
            }
            fn values_mut(slice: &mut [Self]) -> ValuesMut<'_> {
                ValuesMut::$variant(slice)
            }
        }
    };
}
element!(f32, u32, F32);
element!(f64, u64, F64);

/// A slice of values of either type.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// f32 values.
    F32(&'a [f32]),
    /// f64 values.
    F64(&'a [f64]),
}

/// A mutable slice of values of either type.
#[derive(Debug)]
pub enum ValuesMut<'a> {
    /// f32 values.
    F32(&'a mut [f32]),
    /// f64 values.
    F64(&'a mut [f64]),
}

/// A read-only field: values, shape (C order, slowest axis first) and strides in elements.
#[derive(Clone, Copy, Debug)]
pub struct FieldView<'a> {
    pub(crate) values: Values<'a>,
    pub(crate) shape: Shape,
    pub(crate) strides: [usize; MAX_DIMS],
}

/// A field to write to: values, shape and strides in elements.
#[derive(Debug)]
pub struct FieldViewMut<'a> {
    pub(crate) values: ValuesMut<'a>,
    pub(crate) shape: Shape,
    pub(crate) strides: [usize; MAX_DIMS],
}

fn check_strides(len: usize, shape: &Shape, strides: &[usize]) -> Result<[usize; MAX_DIMS]> {
    if strides.len() != shape.ndim() {
        return Err(Error::invalid(format!("{} strides given for {} dimensions", strides.len(), shape.ndim())));
    }
    let mut last = 0usize;
    let mut out = [0; MAX_DIMS];
    for (axis, (&n, &stride)) in shape.dims().iter().zip(strides).enumerate() {
        last = (n - 1)
            .checked_mul(stride)
            .and_then(|offset| last.checked_add(offset))
            .ok_or_else(|| Error::invalid("the strides reach beyond the address space"))?;
        out[axis] = stride;
    }
    if last >= len {
        return Err(Error::invalid(format!(
            "the array has {len} elements, but shape {shape} with strides {strides:?} reaches element {last}"
        )));
    }
    Ok(out)
}

impl<'a> FieldView<'a> {
    /// A contiguous C-order field.
    ///
    /// # Errors
    /// `InvalidArgument` where the shape has no or too many dimensions, a zero, or not `values.len()` elements.
    pub fn new<T: Element>(values: &'a [T], dims: &[usize]) -> Result<Self> {
        let shape = Shape::new(dims)?;
        if shape.len() != values.len() {
            return Err(Error::invalid(format!(
                "the array has {} elements, but shape {shape} has {}",
                values.len(),
                shape.len()
            )));
        }
        Ok(Self { values: T::values(values), strides: shape.contiguous_strides(), shape })
    }

    /// A field inside a larger array, for example without its halo cells. `strides` are in elements and `values` starts
    /// at the field's first element.
    ///
    /// # Errors
    /// `InvalidArgument` where the last element would lie beyond `values`.
    pub fn strided<T: Element>(values: &'a [T], dims: &[usize], strides: &[usize]) -> Result<Self> {
        let shape = Shape::new(dims)?;
        let strides = check_strides(values.len(), &shape, strides)?;
        Ok(Self { values: T::values(values), shape, strides })
    }

    /// The field's shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The type of its values.
    pub fn dtype(&self) -> DType {
        match self.values {
            Values::F32(_) => DType::F32,
            Values::F64(_) => DType::F64,
        }
    }

    /// Bytes of its values, without gaps.
    pub fn byte_len(&self) -> usize {
        self.shape.len() * self.dtype().size()
    }
}

impl<'a> FieldViewMut<'a> {
    /// A contiguous C-order field to write to.
    ///
    /// # Errors
    /// As [`FieldView::new`].
    pub fn new<T: Element>(values: &'a mut [T], dims: &[usize]) -> Result<Self> {
        let shape = Shape::new(dims)?;
        if shape.len() != values.len() {
            return Err(Error::invalid(format!(
                "the array has {} elements, but shape {shape} has {}",
                values.len(),
                shape.len()
            )));
        }
        let strides = shape.contiguous_strides();
        Ok(Self { values: T::values_mut(values), shape, strides })
    }

    /// A field inside a larger array, to write to; elements between are left as they are.
    ///
    /// # Errors
    /// As [`FieldView::strided`], and where strides make elements overlap.
    pub fn strided<T: Element>(values: &'a mut [T], dims: &[usize], strides: &[usize]) -> Result<Self> {
        let shape = Shape::new(dims)?;
        let checked = check_strides(values.len(), &shape, strides)?;
        // Sorted by stride, each axis must step beyond all that the finer ones span.
        let mut axes: Vec<usize> = (0..shape.ndim()).filter(|&axis| shape.dims()[axis] > 1).collect();
        axes.sort_by_key(|&axis| checked[axis]);
        let mut span = 1usize;
        for axis in axes {
            if checked[axis] < span {
                return Err(Error::invalid(format!("strides {strides:?} make elements of shape {shape} overlap")));
            }
            span += checked[axis] * (shape.dims()[axis] - 1);
        }
        Ok(Self { values: T::values_mut(values), shape, strides: checked })
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The type of its values.
    pub fn dtype(&self) -> DType {
        match self.values {
            ValuesMut::F32(_) => DType::F32,
            ValuesMut::F64(_) => DType::F64,
        }
    }
}

//! Shapes: one to five dimensions, slowest first.

use crate::error::{Error, Result};
use std::fmt;

/// The most dimensions a field can have.
pub const MAX_DIMS: usize = 5;

/// The sizes of a field's axes in C order (slowest first), each at least 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    dims: [usize; MAX_DIMS],
    ndim: usize,
}

impl Shape {
    /// A shape of 1 to [`MAX_DIMS`] axes.
    ///
    /// # Errors
    /// `InvalidArgument` for another number of axes, a size of zero, or more elements than memory can address.
    pub fn new(dims: &[usize]) -> Result<Self> {
        if dims.is_empty() || dims.len() > MAX_DIMS {
            return Err(Error::invalid(format!("{} dimensions given; expected 1 to {MAX_DIMS}", dims.len())));
        }
        let mut out = [1; MAX_DIMS];
        let mut len = 8usize; // bytes of the widest element, so that byte counts cannot overflow either
        for (slot, &n) in out.iter_mut().zip(dims) {
            if n == 0 {
                return Err(Error::invalid(format!("dimensions {dims:?} contain a zero")));
            }
            *slot = n;
            len = len
                .checked_mul(n)
                .filter(|&bytes| bytes <= isize::MAX as usize)
                .ok_or_else(|| Error::invalid(format!("dimensions {dims:?} have too many elements")))?;
        }
        Ok(Self { dims: out, ndim: dims.len() })
    }

    /// The sizes, slowest axis first.
    pub fn dims(&self) -> &[usize] {
        &self.dims[..self.ndim]
    }

    /// The number of axes.
    pub fn ndim(&self) -> usize {
        self.ndim
    }

    /// The number of elements, at least 1.
    #[allow(clippy::len_without_is_empty)] // a shape is never empty
    pub fn len(&self) -> usize {
        self.dims().iter().product()
    }

    /// Strides in elements of a contiguous C-order array of this shape.
    pub fn contiguous_strides(&self) -> [usize; MAX_DIMS] {
        let mut strides = [0; MAX_DIMS];
        let mut stride = 1;
        for axis in (0..self.ndim).rev() {
            strides[axis] = stride;
            stride *= self.dims[axis];
        }
        strides
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (axis, n) in self.dims().iter().enumerate() {
            write!(f, "{}{n}", if axis == 0 { "" } else { "x" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shape({self})")
    }
}

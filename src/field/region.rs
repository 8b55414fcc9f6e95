//! Boxes inside a field.

use super::Shape;
use crate::error::{Error, Result};

/// A box: the first index and the count along each axis of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// First index along each axis.
    pub start: Vec<usize>,
    /// Number of indices along each axis, at least 1.
    pub count: Vec<usize>,
}

impl Region {
    /// The whole of `shape`.
    pub fn whole(shape: &Shape) -> Self {
        Self { start: vec![0; shape.ndim()], count: shape.dims().to_vec() }
    }

    /// Checks that the box lies inside `shape`.
    ///
    /// # Errors
    /// `InvalidArgument` that names the axis at fault.
    pub fn check(&self, shape: &Shape) -> Result<()> {
        if self.start.len() != shape.ndim() || self.count.len() != shape.ndim() {
            return Err(Error::invalid(format!(
                "the box has {} starts and {} counts; the field {shape} has {} axes",
                self.start.len(),
                self.count.len(),
                shape.ndim()
            )));
        }
        for (axis, &n) in shape.dims().iter().enumerate() {
            let (start, count) = (self.start[axis], self.count[axis]);
            if count == 0 || start.checked_add(count).is_none_or(|end| end > n) {
                return Err(Error::invalid(format!(
                    "the box's axis {axis} (start {start}, count {count}) is not inside the field's {n}"
                )));
            }
        }
        Ok(())
    }
}

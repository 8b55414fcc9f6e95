//! What of a stream is wanted: a box, and a spatial resolution.

use super::report::StreamInfo;
use crate::error::{Error, Result};
use crate::field::{Axes, Region, Shape};
use crate::window::Cut;

/// The spatial resolution of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Every point.
    #[default]
    Full,
    /// Half the points along rows and columns, and along planes where frames are volumes.
    Half,
    /// A quarter of the points along them.
    Quarter,
}

impl Scale {
    /// 1, 2 or 4.
    pub const fn factor(self) -> usize {
        match self {
            Self::Full => 1,
            Self::Half => 2,
            Self::Quarter => 4,
        }
    }

    /// The scale of a factor.
    ///
    /// # Errors
    /// `InvalidArgument` where it is not 1, 2 or 4.
    pub fn from_factor(factor: usize) -> Result<Self> {
        match factor {
            1 => Ok(Self::Full),
            2 => Ok(Self::Half),
            4 => Ok(Self::Quarter),
            _ => Err(Error::invalid(format!("scale {factor} is not known; expected 1, 2 or 4"))),
        }
    }
}

/// What to decode.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The spatial resolution.
    pub scale: Scale,
    /// A box in full-resolution indices; `None`: the whole field.
    pub region: Option<Region>,
}

impl Request {
    /// The shape of the output for a stream: the box's counts; along planes, rows and columns at a reduced scale `f`, the
    /// scaled grid's points `floor(start/f) .. ceil((start + count)/f)`.
    ///
    /// # Errors
    /// `InvalidArgument` where the box is not inside the field.
    pub fn output_shape(&self, info: &StreamInfo) -> Result<Shape> {
        Shape::new(&self.scaled(&info.shape, info.axes)?)
    }

    pub(super) fn scaled(&self, shape: &Shape, axes: Option<Axes>) -> Result<Vec<usize>> {
        let whole = Region::whole(shape);
        let region = self.region.as_ref().unwrap_or(&whole);
        region.check(shape)?;
        let [_, within @ ..] = Cut::axes(shape, axes)?;
        Ok((0..shape.ndim())
            .map(|axis| {
                let (start, count) = (region.start[axis], region.count[axis]);
                let factor = if within.contains(&Some(axis)) { self.scale.factor() } else { 1 };
                (start + count).div_ceil(factor) - start / factor
            })
            .collect())
    }
}

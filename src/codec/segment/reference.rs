//! The reference frame: the frame before a field, from which its first windows are predicted where one stream follows
//! another in time.

use crate::error::{Error, Result};
use crate::field::{Axes, DType, Element, FieldView, MAX_DIMS, Normalisation, Shape, Values, for_each_run};
use crate::predict::fm::DRIFT_GAIN;
use crate::residual::real::Real;
use crate::window::{Cut, Segment};

/// The last frame before a field in time, as a reader has it: decoded, not the original.
#[derive(Clone, Copy)]
pub struct ReferenceFrame<'a> {
    /// Its values: the field's shape but for one frame, the field's type.
    pub frame: FieldView<'a>,
    /// RMSE margin for floating-point differences between devices, in the field's units: `Report::drift` of the stream
    /// that it was decoded from. Not needed when decompressing.
    pub drift: f64,
}

/// A [`ReferenceFrame`] that fits the field.
#[derive(Debug)]
pub(crate) struct Reference {
    values: Vec<f64>,
    strides: [usize; MAX_DIMS],
    axes: [Option<usize>; 4],
    /// The checksum of its values, little-endian, in C order.
    crc: u32,
    /// Root mean square error that its device drift may add to predictions from it, in the field's units.
    pub(crate) drift: f64,
}

/// In place of a frame's checksum: it is not checked, since other devices may have other values.
const ANY: u32 = 0;

/// Drift of predictions from a frame over the frame's own: weights of predictions are near 1, and 2 at most.
const WEIGHT_GAIN: f64 = 1.25;

impl Reference {
    /// Takes a frame in.
    ///
    /// # Errors
    /// `InvalidArgument` where the field has no axis of frames, or the frame does not fit the field.
    pub(crate) fn new(before: &ReferenceFrame<'_>, shape: &Shape, dtype: DType, axes: Option<Axes>) -> Result<Self> {
        let axes = Cut::axes(shape, axes)?;
        let Some(frames) = axes[0] else {
            return Err(Error::invalid(format!(
                "a field of shape {shape} has no axis of frames: nothing comes before it"
            )));
        };
        let mut dims = shape.dims().to_vec();
        dims[frames] = 1;
        let wanted = Shape::new(&dims)?;
        let given = before.frame.shape();
        if given.dims() != dims || before.frame.dtype() != dtype {
            return Err(Error::invalid(format!(
                "the frame before has shape {given} of {}; expected {wanted} of {}",
                before.frame.dtype().name(),
                dtype.name()
            )));
        }
        let (values, crc) = match before.frame.values {
            Values::F32(values) => collect(&before.frame, values),
            Values::F64(values) => collect(&before.frame, values),
        };
        let drift = before.drift.max(0.0) * WEIGHT_GAIN;
        Ok(Self { values, strides: wanted.contiguous_strides(), axes, crc, drift })
    }

    /// Its name in the stream that follows: its checksum, or [`ANY`] where other devices may have other values.
    pub(crate) fn name(&self) -> u32 {
        if self.drift > 0.0 { ANY } else { self.crc }
    }

    /// Checks that it is the frame that a stream names.
    ///
    /// # Errors
    /// `InvalidArgument` where it is another.
    pub(crate) fn check(&self, name: u32) -> Result<()> {
        if name == ANY || name == self.crc {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the stream follows a frame with checksum {name:08x}, but the frame given has {:08x}",
            self.crc
        )))
    }

    /// The part of it that lies before a segment, in working units; `None` where other frames of the field do. What is
    /// far outside of the field's range, or no number, is no reference: the mean stands there.
    pub(crate) fn frame<R: Real>(&self, segment: &Segment, normalisation: &Normalisation) -> Option<Vec<R>> {
        if self.axes[0].is_some_and(|axis| segment.origin[axis] > 0) {
            return None;
        }
        let along = self.axes.map(|axis| axis.map_or(0, |axis| self.strides[axis]));
        let start: usize = segment.origin.iter().zip(&self.strides).map(|(o, s)| o * s).sum();
        let range = normalisation.max - normalisation.min;
        let (low, high) = (normalisation.min - range, normalisation.max + range);
        let inverse = 1.0 / normalisation.scale();
        let mut out = Vec::with_capacity(segment.h * segment.w);
        for y in 0..segment.h {
            for x in 0..segment.w {
                let value = self.values[start + y * along[2] + x * along[3]];
                let usable = value >= low && value <= high;
                out.push(if usable {
                    R::from_f64((value - normalisation.reference_mean) * inverse)
                } else {
                    R::default()
                });
            }
        }
        Some(out)
    }
}

/// Values in C order, and their checksum.
fn collect<T: Element>(field: &FieldView<'_>, values: &[T]) -> (Vec<f64>, u32) {
    let mut out = Vec::with_capacity(field.shape().len());
    let mut hasher = crc32fast::Hasher::new();
    for_each_run(field.shape(), &field.strides, 0, field.shape().len(), |_, start, count, stride| {
        for k in 0..count {
            let value = values[start + k * stride];
            hasher.update(&value.to_bits_u64().to_le_bytes()[..T::DTYPE.size()]);
            out.push(value.to_f64());
        }
    });
    (out, hasher.finalize())
}

/// Root mean square error that device drift may add where the model's outputs are snapped to a grid of `grid`, in the
/// same unit.
pub(crate) fn drift_of_grid(grid: f32) -> f64 {
    f64::from(grid) * DRIFT_GAIN
}

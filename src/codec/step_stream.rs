//! Windows of time steps: a field that arrives one step at a time, compressed a window at once.
//!
//! In: one time step per call, in the caller's memory. Out: a stream whenever a window is full, and one of a short
//! window when asked. Steps are copied, since the caller's array holds the next step by then; that copy is the only
//! one.

use super::codec::{Codec, MAX_OVERHEAD};
use super::compress::axes_fit;
use super::report::Report;
use crate::bound::Bound;
use crate::error::{Error, Result};
use crate::field::{DType, Element, FieldView, MAX_DIMS, Shape, Values, gather};
use crate::options::Options;
use std::sync::Arc;

/// Time steps of a window, unless told otherwise.
pub const DEFAULT_WINDOW: usize = 8;

/// The steps of a window so far.
enum Steps {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// Collects time steps of one field and compresses them a window at a time. Each stream has the dimensions
/// `[steps, step...]` with time slowest, decodes without its neighbours, and keeps the bound over its window.
///
/// Where a step is a volume, which axes are frames, planes, rows and columns is tried for each window, unless the codec's
/// options name them.
pub struct StepStream {
    codec: Arc<Codec>,
    options: Options,
    step: Shape,
    window: usize,
    bound: Bound,
    steps: Steps,
}

impl StepStream {
    /// A stream of steps of `shape` and `dtype`, in windows of `window` steps (0: [`DEFAULT_WINDOW`]), under `bound`.
    ///
    /// # Errors
    /// `InvalidArgument` where a step has more dimensions than leave room for time, where a window has more elements
    /// than memory can address, and for axes that do not fit.
    pub fn new(codec: Arc<Codec>, shape: &Shape, dtype: DType, window: usize, bound: Bound) -> Result<Self> {
        let window = if window == 0 { DEFAULT_WINDOW } else { window };
        if shape.ndim() == MAX_DIMS {
            return Err(Error::invalid(format!(
                "a time step of shape {shape} leaves no room for time; expected at most {} dimensions",
                MAX_DIMS - 1
            )));
        }
        let whole = windowed(shape, window)?;
        let mut options = codec.options().clone();
        if options.axes.is_none() && whole.ndim() > 3 && matches!(bound, Bound::BlockL2(_)) {
            options.axes = Some([0, whole.ndim() - 2, whole.ndim() - 1].into());
        }
        crate::window::Cut::axes(&whole, options.axes)?;
        axes_fit(options.axes, bound)?;
        let steps = match dtype {
            DType::F32 => Steps::F32(Vec::new()),
            DType::F64 => Steps::F64(Vec::new()),
        };
        Ok(Self { codec, options, step: *shape, window, bound, steps })
    }

    /// Steps of a full window.
    pub fn window(&self) -> usize {
        self.window
    }

    /// Steps that wait for their window to fill.
    pub fn waiting(&self) -> usize {
        let values = match &self.steps {
            Steps::F32(values) => values.len(),
            Steps::F64(values) => values.len(),
        };
        values / self.step.len()
    }

    /// The most bytes that [`StepStream::push`] or [`StepStream::flush`] can return.
    pub fn compress_bound(&self) -> usize {
        self.window * self.step.len() * self.dtype().size() + MAX_OVERHEAD
    }

    /// Takes one time step, and returns its window's stream if that is now full.
    ///
    /// # Errors
    /// `InvalidArgument` for a step of another shape or type, which is not taken, and where the window is full because
    /// its compression failed; as [`Codec::compress`], after which the window is kept for [`StepStream::flush`].
    pub fn push(&mut self, step: &FieldView<'_>) -> Result<Option<(Vec<u8>, Report)>> {
        if *step.shape() != self.step || step.dtype() != self.dtype() {
            return Err(Error::invalid(format!(
                "the time step has shape {} and type {}; expected {} and {}",
                step.shape(),
                step.dtype().name(),
                self.step,
                self.dtype().name()
            )));
        }
        if self.waiting() == self.window {
            return Err(Error::invalid(format!(
                "the window of {} steps is full and has not been compressed; flush it first",
                self.window
            )));
        }
        let room = self.window * self.step.len();
        match (&mut self.steps, step.values) {
            (Steps::F32(steps), Values::F32(values)) => take(values, step, steps, room),
            (Steps::F64(steps), Values::F64(values)) => take(values, step, steps, room),
            _ => return Err(Error::internal("a step's type was checked, and is another")),
        }
        if self.waiting() < self.window { Ok(None) } else { self.flush() }
    }

    /// Compresses the steps that wait, however few; nothing where none do.
    ///
    /// # Errors
    /// As [`Codec::compress`]; the steps are kept.
    pub fn flush(&mut self) -> Result<Option<(Vec<u8>, Report)>> {
        let waiting = self.waiting();
        if waiting == 0 {
            return Ok(None);
        }
        let shape = windowed(&self.step, waiting)?;
        let field = match &self.steps {
            Steps::F32(values) => FieldView::new(values, shape.dims())?,
            Steps::F64(values) => FieldView::new(values, shape.dims())?,
        };
        let done = self.codec.compress_with(&self.options, &field, self.bound, None)?;
        self.clear();
        Ok(Some(done))
    }

    /// Drops the steps that wait; their memory is used again.
    pub fn clear(&mut self) {
        match &mut self.steps {
            Steps::F32(values) => values.clear(),
            Steps::F64(values) => values.clear(),
        }
    }

    fn dtype(&self) -> DType {
        match self.steps {
            Steps::F32(_) => DType::F32,
            Steps::F64(_) => DType::F64,
        }
    }
}

/// The shape of `steps` time steps.
fn windowed(step: &Shape, steps: usize) -> Result<Shape> {
    let dims: Vec<usize> = std::iter::once(steps).chain(step.dims().iter().copied()).collect();
    Shape::new(&dims)
}

/// Appends a step to a window that will have `room` values.
fn take<T: Element>(values: &[T], step: &FieldView<'_>, steps: &mut Vec<T>, room: usize) {
    steps.reserve_exact(room - steps.len());
    gather(values, step, steps);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Request;
    use crate::field::FieldViewMut;

    fn step(t: usize) -> Vec<f32> {
        (0..40 * 48).map(|i| (i as f32 * 0.013 + t as f32 * 0.4).sin()).collect()
    }

    fn stream(codec: &Arc<Codec>, window: usize) -> StepStream {
        StepStream::new(codec.clone(), &Shape::new(&[40, 48]).unwrap(), DType::F32, window, Bound::Abs(1e-3)).unwrap()
    }

    #[test]
    fn windows_equal_whole_fields() {
        let codec = Arc::new(Codec::new("threads=1;fm=off".parse().unwrap()).unwrap());
        let mut steps = stream(&codec, 4);
        let mut streams = Vec::new();
        for t in 0..11 {
            let values = step(t);
            let done = steps.push(&FieldView::new(&values, &[40, 48]).unwrap()).unwrap();
            assert_eq!(done.is_some(), t % 4 == 3);
            streams.extend(done);
        }
        assert_eq!(steps.waiting(), 3);
        streams.extend(steps.flush().unwrap());
        assert!(steps.flush().unwrap().is_none());
        let mut t = 0;
        for (bytes, _) in streams {
            let count = 4.min(11 - t);
            let whole: Vec<f32> = (t..t + count).flat_map(step).collect();
            let field = FieldView::new(&whole, &[count, 40, 48]).unwrap();
            assert_eq!(bytes, codec.compress(&field, Bound::Abs(1e-3)).unwrap().0);
            t += count;
        }
        assert_eq!(t, 11);
    }

    #[test]
    fn strided_steps_are_gathered() {
        let codec = Arc::new(Codec::new("threads=1;fm=off".parse().unwrap()).unwrap());
        let values = step(0);
        // The transposed interior, so that no axis is contiguous.
        let view = FieldView::strided(&values[49..], &[30, 20], &[1, 48]).unwrap();
        let mut steps = StepStream::new(codec.clone(), view.shape(), DType::F32, 1, Bound::Lossless).unwrap();
        let (bytes, _) = steps.push(&view).unwrap().unwrap();
        let mut out = vec![0f32; 600];
        let mut target = FieldViewMut::new(&mut out, &[1, 30, 20]).unwrap();
        codec.decompress(&bytes, &Request::default(), &mut target).unwrap();
        for y in 0..30 {
            for x in 0..20 {
                assert_eq!(out[y * 20 + x], values[49 + y + x * 48]);
            }
        }
    }

    #[test]
    fn the_axes_of_volumes_are_those_of_whole_fields() {
        let codec = Arc::new(Codec::new("threads=1;fm=off".parse().unwrap()).unwrap());
        let volume = |t: usize| (0..8 * 20 * 24).map(|i| (i as f64 * 0.01 + t as f64 * 0.1).cos()).collect::<Vec<_>>();
        let shape = Shape::new(&[8, 20, 24]).unwrap();
        let mut steps = StepStream::new(codec.clone(), &shape, DType::F64, 2, Bound::Nrmse(1e-3)).unwrap();
        assert!(steps.push(&FieldView::new(&volume(0), shape.dims()).unwrap()).unwrap().is_none());
        let (bytes, _) = steps.push(&FieldView::new(&volume(1), shape.dims()).unwrap()).unwrap().unwrap();
        let whole = [volume(0), volume(1)].concat();
        let field = FieldView::new(&whole, &[2, 8, 20, 24]).unwrap();
        assert_eq!(bytes, codec.compress(&field, Bound::Nrmse(1e-3)).unwrap().0);
        let mut steps = StepStream::new(codec, &shape, DType::F64, 1, Bound::BlockL2(1e-3)).unwrap();
        let (bytes, _) = steps.push(&FieldView::new(&volume(0), shape.dims()).unwrap()).unwrap().unwrap();
        assert_eq!(crate::codec::inspect(&bytes).unwrap().axes, Some([0, 2, 3].into()));
    }

    #[test]
    fn other_steps_are_refused_and_not_taken() {
        let codec = Arc::new(Codec::new("threads=1;fm=off".parse().unwrap()).unwrap());
        let mut steps = stream(&codec, 2);
        let values = step(0);
        assert!(steps.push(&FieldView::new(&values, &[48, 40]).unwrap()).is_err());
        let wide = vec![0f64; 40 * 48];
        assert!(steps.push(&FieldView::new(&wide, &[40, 48]).unwrap()).is_err());
        assert_eq!(steps.waiting(), 0);
        let five = Shape::new(&[2, 2, 2, 2, 2]).unwrap();
        assert!(StepStream::new(codec, &five, DType::F32, 2, Bound::Lossless).is_err());
    }
}

//! One segment: up to [`SEGMENT_FRAMES`] frames of one tile of one series, coded without regard to any other segment.
//!
//! In: normalised frames. Out: byte strings, one for each kind of content, over which the segment's windows follow each
//! other with their adaptive state; and back.

use super::side::SideModel;
use crate::entropy::{BitCoder, Cost, Decoder, Encoder};
use crate::error::{Error, Result};
use crate::predict::hierarchical::{self, Hierarchy, Interpolator, Model};
use crate::predict::{CodedWindow, Contexts, Reconstruction, Step, squared_error, transform};
use crate::residual::basis::Basis;
use crate::residual::contexts::ContextModel;
use crate::residual::kernels::Kernel;
use crate::residual::layout::{Layout, Magnitudes};

/// The most frames of a segment: what must be read to reach any one frame.
pub(crate) const SEGMENT_FRAMES: usize = 128;

/// The way windows of a segment are predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Eigenframes of each window by itself.
    Transform = 0,
    /// Eigenframes, the first ones predicted from the previous window.
    Previous = 1,
    /// Key frames and middles.
    Hierarchical = 2,
}

/// Everything a segment's decoder must know before its first window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Method {
    pub(crate) way: Way,
    /// Frames of a full window.
    pub(crate) window: usize,
    /// Entries of a PCA basis of `window` frames; `None`: the cosine basis.
    pub(crate) basis: Option<Vec<i16>>,
    /// Whether contexts are mixed.
    pub(crate) mixing: bool,
    /// The hierarchical way's factor from layer to layer, in 1/32 above 1.
    pub(crate) layer_factor: u8,
    /// The step that the first window's is coded against.
    pub(crate) step: Step,
}

impl Method {
    /// The counts of frames of the windows that `frames` frames are cut into.
    pub(crate) fn windows(&self, frames: usize) -> Vec<usize> {
        let mut out = Vec::new();
        let mut left = frames;
        // The hierarchical way's first window has its key frame besides.
        if self.way == Way::Hierarchical && left > 0 {
            let first = (self.window + 1).min(left);
            out.push(first);
            left -= first;
        }
        while left > 0 {
            out.push(self.window.min(left));
            left -= self.window.min(left);
        }
        out
    }
}

/// State that runs through a segment's windows, the same on both sides.
pub(crate) struct SegmentState<'a, R: Kernel> {
    layout: &'a Layout,
    method: &'a Method,
    model: Model<'a>,
    bases: [Option<Basis>; 2],
    previous: Option<Reconstruction<R>>,
    contexts: ContextModel,
    side: SideModel,
    magnitudes: [Magnitudes; 2],
    scratch: Vec<R>,
}

impl<'a, R: Kernel> SegmentState<'a, R> {
    pub(crate) fn new(layout: &'a Layout, method: &'a Method, model: Model<'a>) -> Result<Self> {
        Ok(Self {
            layout,
            method,
            model,
            bases: [None, None],
            previous: None,
            contexts: ContextModel::new(method.mixing),
            side: SideModel::new(method.step),
            magnitudes: Default::default(),
            scratch: Vec::new(),
        })
    }

    fn basis(&self, count: usize) -> Result<Basis> {
        match &self.method.basis {
            Some(stored) if count == self.method.window => Basis::from_stored(stored, count),
            _ => Ok(Basis::cosine(count)),
        }
    }

    fn uses_previous(&self) -> bool {
        self.method.way != Way::Transform && self.previous.is_some()
    }

    fn hierarchy(&self) -> Hierarchy<'_, R> {
        Hierarchy {
            layout: self.layout,
            model: self.model,
            layer_factor: 1.0 + f64::from(self.method.layer_factor) / 32.0,
            previous: self.previous.as_ref(),
        }
    }

    fn plane_contexts(&self, count: usize) -> Contexts {
        let previous = self.previous.as_ref().map_or(0, |p| p.count);
        match self.method.way {
            Way::Hierarchical => hierarchical::contexts(count, previous),
            _ => transform::contexts(count, previous),
        }
    }

    /// Planes with weights, and planes that may carry a model flag.
    fn side_sizes(&self, count: usize) -> (usize, usize) {
        match self.method.way {
            Way::Hierarchical => (hierarchical::predicted_planes(count, self.previous.is_some()), count),
            _ => (transform::predicted_planes(count, self.uses_previous()), 0),
        }
    }

    /// Codes a window's side information and indices with the running state, which moves on.
    pub(crate) fn code<C: BitCoder>(
        &mut self,
        side: &mut C,
        coefficients: &mut C,
        coded: &mut CodedWindow<R>,
        finest: usize,
    ) -> Result<()> {
        let (predicted, flags) = self.side_sizes(coded.count);
        self.side.code(side, self.layout, predicted, flags, coded)?;
        let contexts = self.plane_contexts(coded.count);
        let [last, next] = &mut self.magnitudes;
        let last = self.previous.is_some().then_some(&*last);
        self.contexts.code(coefficients, self.layout, &mut coded.indices, &contexts, last, next, finest)?;
        self.magnitudes.swap(0, 1);
        Ok(())
    }

    /// Decodes what [`SegmentState::code`] left, and makes it the previous window.
    pub(crate) fn reconstruct(&mut self, coded: &CodedWindow<R>, low: usize) -> Result<&Reconstruction<R>> {
        let mut out = Reconstruction::default();
        let mut scratch = std::mem::take(&mut self.scratch);
        match self.method.way {
            Way::Hierarchical => self.hierarchy().reconstruct(coded, low, &mut scratch, &mut out)?,
            _ => {
                let basis = self.basis(coded.count)?;
                let previous = self.previous.as_ref().filter(|_| self.uses_previous());
                let previous_basis = previous.map(|p| self.basis(p.count)).transpose()?;
                let previous = previous.zip(previous_basis.as_ref());
                transform::reconstruct(coded, &basis, previous, self.layout, low, &mut scratch, &mut out);
            }
        }
        self.scratch = scratch;
        Ok(self.previous.insert(out))
    }
}

/// A window ready to be encoded at one step after another.
enum Prepared<R> {
    Transform(transform::Analysed<R>),
    Frames,
}

/// One trial: what would be coded, and the squared error of what a decoder would get, in working units.
pub(crate) struct Trial<R: Kernel> {
    pub(crate) coded: CodedWindow<R>,
    pub(crate) squared_error: f64,
}

impl<R: Kernel> SegmentState<'_, R> {
    fn prepare(&mut self, frames: &[R], count: usize) -> Result<Prepared<R>> {
        if self.method.way == Way::Hierarchical {
            return Ok(Prepared::Frames);
        }
        let basis = self.basis(count)?;
        let mut scratch = std::mem::take(&mut self.scratch);
        let previous = self.previous.as_ref().filter(|_| self.uses_previous());
        let previous_basis = previous.map(|p| self.basis(p.count)).transpose()?;
        let analysed =
            transform::analyse(frames, count, &basis, previous.zip(previous_basis.as_ref()), self.layout, &mut scratch);
        self.scratch = scratch;
        Ok(Prepared::Transform(analysed))
    }

    fn trial(&mut self, frames: &[R], prepared: &Prepared<R>, count: usize, step: Step) -> Result<Option<Trial<R>>> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut out = Reconstruction::default();
        let coded = match prepared {
            Prepared::Frames => self.hierarchy().encode(frames, count, step, &mut scratch, &mut out)?,
            Prepared::Transform(analysed) => {
                let coded = transform::quantise(analysed, step);
                if let Some(coded) = &coded {
                    let basis = self.basis(count)?;
                    let previous = self.previous.as_ref().filter(|_| self.uses_previous());
                    let previous_basis = previous.map(|p| self.basis(p.count)).transpose()?;
                    transform::reconstruct(
                        coded,
                        &basis,
                        previous.zip(previous_basis.as_ref()),
                        self.layout,
                        0,
                        &mut scratch,
                        &mut out,
                    );
                }
                coded
            }
        };
        self.scratch = scratch;
        Ok(coded.map(|coded| Trial { coded, squared_error: squared_error(frames, &out.frames) }))
    }
}

#[cfg(test)]
mod experiments {
    use super::*;

    fn read(path: &str) -> (Vec<f32>, Vec<usize>) {
        let (file, dims) = path.split_once(':').unwrap();
        let dims: Vec<usize> = dims.split('x').map(|d| d.parse().unwrap()).collect();
        let mut bytes = std::fs::read(file).unwrap();
        let n: usize = dims.iter().product::<usize>() * 4;
        let start = if file.ends_with(".npy") { bytes.len() - n } else { 0 };
        bytes.drain(..start);
        bytes.truncate(n);
        (bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(), dims)
    }

    fn encode(frames: &[f32], dims: &[usize], method: &Method, model: Model<'_>, step: Step) -> Option<(usize, f64)> {
        let layout = Layout::new(dims[1], dims[2]);
        let n = layout.len();
        let mut state = SegmentState::<f32>::new(&layout, method, model).unwrap();
        let mut side = Encoder::new(Vec::new());
        let mut coefficients = Encoder::new(Vec::new());
        let mut error = 0.0;
        let mut t = 0;
        for count in method.windows(dims[0]) {
            let window = &frames[t * n..][..count * n];
            let prepared = state.prepare(window, count).unwrap();
            let mut trial = state.trial(window, &prepared, count, step).unwrap()?;
            state.code(&mut side, &mut coefficients, &mut trial.coded, 1).unwrap();
            state.reconstruct(&trial.coded, 0).unwrap();
            error += trial.squared_error;
            t += count;
        }
        let (side, coefficients) = (side.finish().len(), coefficients.finish().len());
        let basis = method.basis.as_ref().map_or(0, |b| b.len() * 3 / 2);
        Some((side + coefficients + basis + 60, (error / frames.len() as f64).sqrt()))
    }

    /// FP_DATA="file:dims file:dims", FP_NRMSE="1e-2,4e-3,1e-3"
    #[test]
    #[ignore]
    fn ratios() {
        let targets: Vec<f64> =
            std::env::var("FP_NRMSE").unwrap_or("1e-2,4e-3,1e-3".into()).split(',').map(|v| v.parse().unwrap()).collect();
        for path in std::env::var("FP_DATA").unwrap().split_whitespace() {
            let (mut frames, dims) = read(path);
            let (lo, hi) = frames.iter().fold((f32::MAX, f32::MIN), |(lo, hi), &v| (lo.min(v), hi.max(v)));
            let mean = frames.iter().map(|&v| f64::from(v)).sum::<f64>() / frames.len() as f64;
            for v in &mut frames {
                *v = (f64::from(*v) - mean) as f32 / (hi - lo);
            }
            println!("{path}");
            for &target in &targets {
                let mut line = format!("  {target:8.0e}");
                for (name, way, window, mixing) in [
                    ("t8", Way::Transform, 8, true),
                    ("p8f", Way::Previous, 8, false),
                    ("p8", Way::Previous, 8, true),
                    ("p16", Way::Previous, 16, true),
                    ("p32", Way::Previous, 32, true),
                    ("h4", Way::Hierarchical, 4, true),
                    ("h8", Way::Hierarchical, 8, true),
                    ("h16", Way::Hierarchical, 16, true),
                ] {
                    let method =
                        Method { way, window, basis: None, mixing, layer_factor: 5, step: Step::at_most(target) };
                    let mut step = target * 3.0;
                    let mut found = (0, 0.0);
                    for _ in 0..5 {
                        found = encode(&frames, &dims, &method, Model::Off, Step::at_most(step)).unwrap();
                        if (found.1 / target - 1.0).abs() < 0.004 {
                            break;
                        }
                        step *= (target / found.1).powf(1.25);
                    }
                    line += &format!("  {name} {:.2}", frames.len() as f64 * 4.0 / found.0 as f64 );
                    if (found.1 / target - 1.0).abs() > 0.01 {
                        line += &format!("(e {:.3})", found.1 / target);
                    }
                }
                println!("{line}");
            }
        }
    }
}

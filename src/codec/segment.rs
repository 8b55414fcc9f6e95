//! The state that runs through one segment's windows, the same on both sides: the method, the previous window, and the
//! adaptive models.

use super::side::SideModel;
use crate::entropy::BitCoder;
use crate::error::Result;
use crate::predict::hierarchical::{self, Hierarchy, ModelUse};
use crate::predict::{CodedWindow, Contexts, Reconstruction, Step, transform};
use crate::residual::basis::Basis;
use crate::residual::contexts::ContextModel;
use crate::residual::kernels::Kernel;
use crate::residual::layout::{Layout, Magnitudes};

/// The way windows of a segment are predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Eigenframes of each window by itself.
    Transform = 0,
    /// Eigenframes, the first ones predicted from the previous window.
    Previous = 1,
    /// Key frames and middles.
    Hierarchical = 2,
    /// The autoencoder's reconstruction, corrected by eigenframes of what it leaves.
    Latents = 3,
}

impl Way {
    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Previous => "previous",
            Self::Hierarchical => "hierarchical",
            Self::Latents => "latents",
        }
    }
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
    /// Whether any window needs the foundation model.
    pub(crate) uses_model: bool,
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

/// See the module's description.
pub(crate) struct SegmentState<'a, R: Kernel> {
    pub(crate) layout: &'a Layout,
    pub(crate) method: &'a Method,
    model: ModelUse<'a>,
    full_basis: Option<Basis>,
    previous: Option<Reconstruction<R>>,
    contexts: ContextModel,
    side: SideModel,
    magnitudes: [Magnitudes; 2],
    scratch: Vec<R>,
}

/// A window ready to be encoded at one step after another.
pub(crate) enum Prepared<R> {
    Transform(transform::Analysed<R>),
    Frames,
}

impl<'a, R: Kernel> SegmentState<'a, R> {
    /// The state before the first window.
    ///
    /// # Errors
    /// `Corrupt` where the method's basis is none.
    pub(crate) fn new(layout: &'a Layout, method: &'a Method, model: ModelUse<'a>) -> Result<Self> {
        let full_basis = method.basis.as_ref().map(|stored| Basis::from_stored(stored, method.window)).transpose()?;
        Ok(Self {
            layout,
            method,
            model,
            full_basis,
            previous: None,
            contexts: ContextModel::new(method.mixing),
            side: SideModel::new(method.step),
            magnitudes: Default::default(),
            scratch: Vec::new(),
        })
    }

    #[cfg(test)]
    pub(crate) fn contexts_mut(&mut self) -> &mut ContextModel {
        &mut self.contexts
    }

    fn basis(&self, count: usize) -> Basis {
        match &self.full_basis {
            Some(basis) if count == basis.size => basis.clone(),
            _ => Basis::cosine(count),
        }
    }

    /// The previous window with its basis, where eigenframes are predicted from it.
    fn predictor(&self) -> Option<(&Reconstruction<R>, Basis)> {
        let previous = self.previous.as_ref().filter(|_| self.method.way == Way::Previous)?;
        Some((previous, self.basis(previous.count)))
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
            Way::Hierarchical => (
                hierarchical::predicted_planes(count, self.previous.is_some()),
                if self.method.uses_model { count } else { 0 },
            ),
            _ => (transform::predicted_planes(count, self.predictor().is_some()), 0),
        }
    }

    /// Codes a window's side information and indices with the running state. Bands finer than `finest` are left out (1:
    /// none are).
    ///
    /// # Errors
    /// `Corrupt` when decoding.
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

    /// Decodes the window `coded`; `low` > 0 stops at the low-pass corner after that many splits.
    ///
    /// # Errors
    /// `Corrupt`, or what the model says.
    pub(crate) fn reconstruct(&mut self, coded: &CodedWindow<R>, low: usize) -> Result<Reconstruction<R>> {
        let mut out = Reconstruction::default();
        let mut scratch = std::mem::take(&mut self.scratch);
        match self.method.way {
            Way::Hierarchical => self.hierarchy().reconstruct(coded, low, &mut scratch, &mut out)?,
            _ => {
                let previous = self.predictor();
                let previous = previous.as_ref().map(|(window, basis)| (*window, basis));
                transform::reconstruct(
                    coded,
                    &self.basis(coded.count),
                    previous,
                    self.layout,
                    low,
                    &mut scratch,
                    &mut out,
                );
            }
        }
        self.scratch = scratch;
        Ok(out)
    }

    /// Makes a decoded window the previous one, for the next.
    pub(crate) fn advance(&mut self, decoded: Reconstruction<R>) {
        self.previous = Some(decoded);
    }

    /// What does not depend on the step, of the window `frames [count][h][w]`.
    pub(crate) fn prepare(&mut self, frames: &[R], count: usize) -> Prepared<R> {
        if self.method.way == Way::Hierarchical {
            return Prepared::Frames;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let previous = self.predictor();
        let previous = previous.as_ref().map(|(window, basis)| (*window, basis));
        let analysed = transform::analyse(frames, count, &self.basis(count), previous, self.layout, &mut scratch);
        self.scratch = scratch;
        Prepared::Transform(analysed)
    }

    /// Encodes a window at `step`, and gives what its decoder will get. `None` where an index would be too large.
    ///
    /// # Errors
    /// What the model says.
    pub(crate) fn encode(
        &mut self,
        frames: &[R],
        prepared: &Prepared<R>,
        count: usize,
        step: Step,
    ) -> Result<Option<(CodedWindow<R>, Reconstruction<R>)>> {
        match prepared {
            Prepared::Frames => {
                let mut scratch = std::mem::take(&mut self.scratch);
                let mut out = Reconstruction::default();
                let coded = self.hierarchy().encode(frames, count, step, &mut scratch, &mut out)?;
                self.scratch = scratch;
                Ok(coded.map(|coded| (coded, out)))
            }
            Prepared::Transform(analysed) => match transform::quantise(analysed, step) {
                Some(coded) => {
                    let out = self.reconstruct(&coded, 0)?;
                    Ok(Some((coded, out)))
                }
                None => Ok(None),
            },
        }
    }

    /// As [`SegmentState::encode`], but only for its error, and makes the window the previous one. Where eigenframes are
    /// coded the error is that of the coefficients, which `scale` turns into the frames'; the first window measures it.
    ///
    /// # Errors
    /// What the model says.
    pub(crate) fn dry_run(
        &mut self,
        frames: &[R],
        prepared: &Prepared<R>,
        count: usize,
        step: Step,
        scale: &mut Option<f64>,
        error: impl Fn(&[R]) -> f64,
    ) -> Result<Option<f64>> {
        if let (Prepared::Transform(analysed), Some(scale)) = (prepared, &*scale) {
            let mut out = Reconstruction::default();
            let previous = self.predictor();
            let previous = previous.as_ref().map(|(window, basis)| (*window, basis));
            let found = transform::dry_run(analysed, step, previous, self.layout, &mut out);
            self.advance(out);
            return Ok(found.map(|found| found * scale));
        }
        let Some((coded, decoded)) = self.encode(frames, prepared, count, step)? else {
            return Ok(None);
        };
        let exact = error(&decoded.frames);
        if let Prepared::Transform(analysed) = prepared {
            let mut out = Reconstruction::default();
            let near = transform::dry_run(analysed, coded.step, None, self.layout, &mut out);
            *scale = near.filter(|near| *near > 0.0 && exact > 0.0).map(|near| exact / near);
        }
        self.advance(decoded);
        Ok(Some(exact))
    }
}

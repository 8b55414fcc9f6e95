//! The state that runs through one segment's windows, the same on both sides: the header, the previous window, and the
//! adaptive models.

use super::side_info::SideInfoModel;
use crate::entropy::{BitCoder, TokenCoder};
use crate::error::Result;
use crate::predict::hierarchical::{self, Hierarchy, ModelUse, Run};
use crate::predict::transform::Predictors;
use crate::predict::{CodedWindow, Contexts, Output, Reconstruction, Scratch, Step, Synthesis, transform};
use crate::residual::bands::Planes;
use crate::residual::basis::Basis;
use crate::residual::contexts::{ContextModel, Mixing};
use crate::residual::kernels::Kernel;
use crate::residual::layout::{Layout, Magnitudes};
use crate::residual::tabled::{Coders, TableModel};
use crate::residual::wavelet::forward;
use crate::stream::{IndexCoder, PredictionMode, SegmentHeader};
use std::borrow::Cow;

/// See the module's description.
pub(crate) struct SegmentState<'a, R: Kernel> {
    pub(crate) layout: &'a Layout,
    pub(crate) header: &'a SegmentHeader,
    model: ModelUse<'a>,
    full_basis: Basis,
    previous: Option<Reconstruction<R>>,
    /// Whether the segment starts from a reference frame.
    follows: bool,
    /// Whether `previous` is a window of this segment, with magnitudes.
    begun: bool,
    /// The count of frames of the window that the mode `previous` has predictors for.
    predictors_for: Option<usize>,
    /// The entropy coders' models, made where they are needed.
    contexts: Option<ContextModel>,
    tables: Option<TableModel>,
    side_info: SideInfoModel,
    /// The model's corrections in the window that was encoded last.
    corrections: Vec<Option<Vec<R>>>,
    buffers: Buffers<R>,
}

/// What a segment's windows are worked on in. Handed from one pass over a segment to the next: memory that was touched
/// before is cheaper than new.
#[derive(Debug, Default)]
pub(crate) struct Buffers<R: Kernel> {
    /// Windows that are no longer needed.
    spare: Vec<Reconstruction<R>>,
    predictors: Predictors<R>,
    magnitudes: [Magnitudes; 2],
    scratch: Scratch<R>,
    pub(crate) coded: CodedWindow<R>,
}

/// A window ready to be encoded at one step after another.
#[derive(Default)]
pub(crate) enum Prepared<R> {
    Transform(transform::Analysed<R>),
    #[default]
    Frames,
}

impl<'a, R: Kernel> SegmentState<'a, R> {
    /// The state before the first window.
    ///
    /// # Errors
    /// `Corrupt` where the header's basis is none.
    pub(crate) fn new(layout: &'a Layout, header: &'a SegmentHeader, model: ModelUse<'a>) -> Result<Self> {
        Ok(Self {
            layout,
            header,
            model,
            full_basis: header.full_basis(layout.depth)?,
            previous: None,
            follows: false,
            begun: false,
            predictors_for: None,
            contexts: None,
            tables: None,
            side_info: SideInfoModel::new(header.step),
            corrections: Vec::new(),
            buffers: Buffers::default(),
        })
    }

    /// Works in these buffers.
    pub(crate) fn within(mut self, buffers: Buffers<R>) -> Self {
        self.buffers = buffers;
        self
    }

    /// The buffers, for the next pass over a segment; `coded` are a window's.
    pub(crate) fn into_buffers(mut self, coded: CodedWindow<R>) -> Buffers<R> {
        self.buffers.spare.extend(self.previous);
        self.buffers.coded = coded;
        self.buffers
    }

    /// Starts from a reference frame, in working units, where there is one.
    pub(crate) fn after(mut self, reference: Option<&[R]>) -> Self {
        self.follows = reference.is_some();
        self.previous = reference.map(|frame| {
            let mut planes = frame.to_vec();
            forward(&mut planes, self.layout.h, self.layout.w, self.layout.levels, &mut self.buffers.scratch.lines);
            Reconstruction { count: 1, planes, frames: frame.to_vec() }
        });
        self
    }

    /// The counts of planes of the windows that a segment of `planes` planes is cut into.
    pub(crate) fn windows(&self, planes: usize) -> Vec<usize> {
        self.header.windows(planes, self.layout.depth, self.follows)
    }

    #[cfg(test)]
    pub(crate) fn contexts_mut(&mut self) -> &mut ContextModel {
        self.contexts.as_mut().expect("a window was coded")
    }

    /// Whether windows are predicted from a decoded one before.
    fn predicts(&self) -> bool {
        self.header.mode == PredictionMode::Previous && self.previous.is_some()
    }

    /// Makes the predictors of a window of `count` frames, once for each window.
    fn make_predictors(&mut self, count: usize) {
        if let (true, Some(previous)) = (self.predicts(), &self.previous)
            && self.predictors_for != Some(count)
        {
            let basis = self.full_basis.of(previous.count);
            self.buffers.predictors.of_decoded(previous, &basis, count, self.layout.len());
            self.predictors_for = Some(count);
        }
    }

    /// The basis of a window of `count` frames.
    pub(crate) fn basis(&self, count: usize) -> Cow<'_, Basis> {
        self.full_basis.of(count)
    }

    fn hierarchy(&self) -> Hierarchy<'_, R> {
        Hierarchy {
            layout: self.layout,
            model: self.model,
            layer_factor: self.header.layer_factor(),
            previous: self.previous.as_ref(),
        }
    }

    fn plane_contexts(&self, count: usize) -> Contexts {
        let previous = self.previous.as_ref().map_or(0, |p| p.count);
        match self.header.mode {
            PredictionMode::Hierarchical => hierarchical::contexts(count, previous),
            _ => transform::contexts(count, previous, self.layout.depth),
        }
    }

    /// Planes with weights, and planes that may carry a model flag.
    fn side_info_sizes(&self, count: usize) -> (usize, usize) {
        match self.header.mode {
            PredictionMode::Hierarchical => (
                hierarchical::predicted_planes(count, self.previous.is_some()),
                if self.header.uses_model { count } else { 0 },
            ),
            _ => (transform::predicted_planes(count, self.predicts()), 0),
        }
    }

    /// Codes a window's side information with the running state.
    ///
    /// # Errors
    /// `Corrupt` when decoding.
    pub(crate) fn code_side<C: BitCoder>(&mut self, side: &mut C, coded: &mut CodedWindow<R>) -> Result<()> {
        let (predicted, flags) = self.side_info_sizes(coded.count);
        self.side_info.code(side, self.layout, predicted, flags, coded)
    }

    /// Codes a window's indices bit by bit, with the running state.
    ///
    /// # Errors
    /// `Corrupt` when decoding.
    pub(crate) fn code<C: BitCoder>(&mut self, coefficients: &mut C, coded: &mut CodedWindow<R>) -> Result<()> {
        let _span = tracing::debug_span!("entropy coding").entered();
        let contexts = self.plane_contexts(coded.count);
        let [last, next] = &mut self.buffers.magnitudes;
        let last = self.begun.then_some(&*last);
        let planes = Planes { layout: self.layout, contexts: &contexts, previous: last, finest: 1 };
        let mixing = if self.header.coder == IndexCoder::Mixed { Mixing::On } else { Mixing::Off };
        let model = self.contexts.get_or_insert_with(|| ContextModel::new(mixing));
        model.code(coefficients, &mut coded.indices, &planes, next)
    }

    /// Codes a window's indices by tables, with the running state.
    ///
    /// # Errors
    /// `Corrupt` when decoding.
    pub(crate) fn code_by_tables<F: BitCoder, C: TokenCoder>(
        &mut self,
        coders: Coders<'_, F, C>,
        coded: &mut CodedWindow<R>,
    ) -> Result<()> {
        let _span = tracing::debug_span!("entropy coding").entered();
        let contexts = self.plane_contexts(coded.count);
        let [last, next] = &mut self.buffers.magnitudes;
        let last = self.begun.then_some(&*last);
        let planes = Planes { layout: self.layout, contexts: &contexts, previous: last, finest: 1 };
        self.tables.get_or_insert_with(TableModel::new).code(coders, &mut coded.indices, &planes, next)
    }

    /// Decodes the window `coded` as far as `synthesis` says, or further where later frames need it.
    ///
    /// # Errors
    /// `Corrupt`, or what the model says.
    pub(crate) fn reconstruct(&mut self, coded: &CodedWindow<R>, synthesis: Synthesis) -> Result<Reconstruction<R>> {
        self.make_predictors(coded.count);
        let mut out = self.buffers.spare.pop().unwrap_or_default();
        let mut scratch = std::mem::take(&mut self.buffers.scratch);
        let output = Output { scratch: &mut scratch, decoded: &mut out };
        match self.header.mode {
            PredictionMode::Hierarchical => self.hierarchy().reconstruct(coded, synthesis, output)?,
            _ => {
                let basis = self.full_basis.of(coded.count);
                let predictors = self.predicts().then_some(&self.buffers.predictors);
                transform::reconstruct(coded, &basis, predictors, self.layout, synthesis, output);
            }
        }
        self.buffers.scratch = scratch;
        Ok(out)
    }

    /// Makes a decoded window the previous one, for the next.
    pub(crate) fn advance(&mut self, decoded: Reconstruction<R>) {
        self.buffers.spare.extend(self.previous.replace(decoded));
        self.buffers.magnitudes.swap(0, 1);
        self.begun = true;
        self.predictors_for = None;
    }

    /// Takes back the buffers of a decoded window that is not needed.
    pub(crate) fn discard(&mut self, decoded: Reconstruction<R>) {
        self.buffers.spare.push(decoded);
    }

    /// What does not depend on the step, of the window `frames [count][h][w]`; `buffers` are those of an earlier
    /// window.
    pub(crate) fn prepare(&mut self, frames: &[R], count: usize, buffers: Prepared<R>) -> Prepared<R> {
        if self.header.mode == PredictionMode::Hierarchical {
            return Prepared::Frames;
        }
        self.make_predictors(count);
        let mut analysed = match buffers {
            Prepared::Transform(analysed) => analysed,
            Prepared::Frames => Default::default(),
        };
        let predictors = self.predicts().then_some(&self.buffers.predictors);
        let basis = self.full_basis.of(count);
        let frames = &frames[..count * self.layout.len()];
        transform::analyse(frames, &basis, predictors, self.layout, &mut self.buffers.scratch.lines, &mut analysed);
        Prepared::Transform(analysed)
    }

    /// Encodes a window at `step` into `coded`; gives the squared error of its coefficients, and what its decoder will
    /// get. `None` where an index would be too large.
    ///
    /// # Errors
    /// What the model says.
    pub(crate) fn encode(
        &mut self,
        frames: &[R],
        prepared: &Prepared<R>,
        count: usize,
        step: Step,
        coded: &mut CodedWindow<R>,
    ) -> Result<Option<(f64, Reconstruction<R>)>> {
        let frames = &frames[..count * self.layout.len()];
        match prepared {
            Prepared::Frames => {
                let mut scratch = std::mem::take(&mut self.buffers.scratch);
                let mut out = self.buffers.spare.pop().unwrap_or_default();
                let mut corrections = std::mem::take(&mut self.corrections);
                let output = Output { scratch: &mut scratch, decoded: &mut out };
                let done = self.hierarchy().encode(frames, step, Run::Final(&mut corrections), coded, output)?;
                (self.buffers.scratch, self.corrections) = (scratch, corrections);
                Ok(done.map(|error| (error, out)))
            }
            Prepared::Transform(analysed) => match transform::quantise(analysed, step, self.layout, coded) {
                Some(error) => Ok(Some((error, self.reconstruct(coded, Synthesis::Frames)?))),
                None => Ok(None),
            },
        }
    }

    /// The squared error of coefficients that encoding a window of frames that depend on each other would come to, near
    /// that of the frames, for less work: without synthesis, and with the model's corrections of the last encoding, if
    /// any. Also the planes that a decoder would have. `None` where an index would be too large.
    ///
    /// # Errors
    /// What the model says.
    pub(crate) fn estimate(
        &mut self,
        frames: &[R],
        count: usize,
        step: Step,
        coded: &mut CodedWindow<R>,
    ) -> Result<Option<(f64, Reconstruction<R>)>> {
        let frames = &frames[..count * self.layout.len()];
        let mut scratch = std::mem::take(&mut self.buffers.scratch);
        let mut out = self.buffers.spare.pop().unwrap_or_default();
        let mut corrections = std::mem::take(&mut self.corrections);
        let output = Output { scratch: &mut scratch, decoded: &mut out };
        let error = self.hierarchy().encode(frames, step, Run::Estimate(&mut corrections), coded, output)?;
        (self.buffers.scratch, self.corrections) = (scratch, corrections);
        Ok(error.map(|error| (error, out)))
    }
}

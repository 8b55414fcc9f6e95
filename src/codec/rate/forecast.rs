//! What a segment's windows will cost in error at steps near a given one, told before they are coded: from the spectra of their
//! coefficients, or where all frames depend on each other from a run that leaves out the synthesis and the model.

use super::step::STEP_POWER;
use crate::codec::segment::frames::Frames;
use crate::codec::segment::state::SegmentState;
use crate::error::Result;
use crate::predict::hierarchical::ModelUse;
use crate::predict::transform::{Analysed, Predictors, analyse, quantise, reconstruct};
use crate::predict::{CodedWindow, Reconstruction, Scratch, Step};
use crate::residual::kernels::Kernel;
use crate::residual::layout::Layout;
use crate::residual::spectrum::Spectrum;
use crate::residual::wavelet::forward;
use crate::stream::{PredictionMode, SegmentHeader};

/// How thinly windows are looked at where the first alone is.
pub(crate) const ONE: usize = usize::MAX;

/// A window's squared error as a function of the step.
#[derive(Clone, Debug)]
enum Curve {
    /// From a spectrum, times what the error was over the spectrum's at one step (it knows nothing of masks, or of indices that
    /// are set to zero for their rate).
    Spectrum(Spectrum, f64),
    /// Known at one step.
    Point { step: f64, error: f64 },
}

impl Curve {
    fn error(&self, at: f64) -> f64 {
        match self {
            Self::Spectrum(spectrum, factor) => factor * spectrum.error(at),
            Self::Point { step, error } => error * (at / step).powf(STEP_POWER),
        }
    }
}

/// See the module's description.
#[derive(Clone, Debug)]
pub(crate) struct Forecast {
    curves: Vec<Curve>,
    /// For each window its curve, and its share of that curve's frames.
    of: Vec<(usize, f64)>,
    /// What errors are over those of the curves.
    over: f64,
}

impl Forecast {
    fn new() -> Self {
        Self { curves: Vec::new(), of: Vec::new(), over: 1.0 }
    }

    /// A forecast for `frames` frames coded with `method` at about `step`; `load` gives the frames asked for. One in `stride`
    /// windows is looked at, and where frames depend on each other all. `None` where the step is too fine.
    ///
    /// # Errors
    /// What `load` says.
    pub(crate) fn of<R: Kernel>(
        frames: usize,
        layout: &Layout,
        header: &SegmentHeader,
        step: f64,
        stride: usize,
        before: Option<&[R]>,
        load: impl FnMut(usize, usize, &mut Frames<R>) -> Result<()>,
    ) -> Result<Option<Self>> {
        match header.mode {
            PredictionMode::Hierarchical => Self::of_run(frames, layout, header, step, before, load),
            _ => Self::of_spectra(frames, layout, header, step, stride, before, load),
        }
    }

    fn of_spectra<R: Kernel>(
        frames: usize,
        layout: &Layout,
        header: &SegmentHeader,
        step: f64,
        stride: usize,
        before: Option<&[R]>,
        mut load: impl FnMut(usize, usize, &mut Frames<R>) -> Result<()>,
    ) -> Result<Option<Self>> {
        let basis = header.full_basis()?;
        let windows = header.windows(frames);
        let n = layout.len();
        let step = Step::at_most(step);
        let mut out = Self::new();
        let mut analysed = Analysed::default();
        let (mut predictors, mut decoded) = (Predictors::default(), Reconstruction::default());
        let (mut coded, mut scratch) = (CodedWindow::default(), Scratch::default());
        let mut window = Frames::<R>::default();
        let mut first = 0;
        // The window whose decoded planes are at hand.
        let mut known = None;
        for (index, &count) in windows.iter().enumerate() {
            // The first is predicted from little or nothing and speaks for no other.
            if index > 0 && (stride == ONE || (index - 1) % stride != 0) {
                let (curve, _) = out.of[index - 1];
                out.of.push((curve, count as f64 / header.window as f64));
                first += count;
                continue;
            }
            let predicted = header.mode == PredictionMode::Previous && (index > 0 || before.is_some());
            if let (0, Some(frame)) = (index, before) {
                decoded = Reconstruction { count: 1, planes: frame.to_vec(), frames: Vec::new() };
                forward(&mut decoded.planes, layout.h, layout.w, layout.levels, &mut scratch.lines);
                predictors.of_decoded(&decoded, &basis.of(1), count, n);
            } else if predicted {
                let before = windows[index - 1];
                if known != Some(index - 1) {
                    load(first - before, before, &mut window)?;
                    let basis = basis.of(before);
                    analyse(&window.frames, before, &basis, None, layout, &mut scratch.lines, &mut analysed);
                    if quantise(&analysed, step, layout, &mut coded).is_none() {
                        return Ok(None);
                    }
                    reconstruct(&coded, &basis, None, layout, false, &mut scratch, &mut decoded);
                }
                predictors.of_decoded(&decoded, &basis.of(before), count, n);
            }
            load(first, count, &mut window)?;
            let (basis, predictors) = (basis.of(count), predicted.then_some(&predictors));
            analyse(&window.frames, count, &basis, predictors, layout, &mut scratch.lines, &mut analysed);
            let Some(error) = quantise(&analysed, step, layout, &mut coded) else {
                return Ok(None);
            };
            let spectrum = Spectrum::of(analysed.residual());
            let told = spectrum.error(step.value());
            let factor = if error > 0.0 && told > 0.0 { error / told } else { 1.0 };
            out.of.push((out.curves.len(), 1.0));
            out.curves.push(Curve::Spectrum(spectrum, factor * window.valid_share()));
            if header.mode == PredictionMode::Previous && index % stride == 0 && index + 1 < windows.len() {
                reconstruct(&coded, &basis, predictors, layout, false, &mut scratch, &mut decoded);
                known = Some(index);
            }
            first += count;
        }
        Ok(Some(out))
    }

    fn of_run<R: Kernel>(
        frames: usize,
        layout: &Layout,
        header: &SegmentHeader,
        step: f64,
        before: Option<&[R]>,
        mut load: impl FnMut(usize, usize, &mut Frames<R>) -> Result<()>,
    ) -> Result<Option<Self>> {
        let header = SegmentHeader { uses_model: false, ..header.clone() };
        let mut state = SegmentState::<R>::new(layout, &header, ModelUse::Off)?.after(before);
        let mut out = Self::new();
        let mut window = Frames::<R>::default();
        let mut coded = CodedWindow::default();
        let step = Step::at_most(step);
        let mut first = 0;
        for count in header.windows(frames) {
            load(first, count, &mut window)?;
            let found = state.estimate(&window.frames, count, step, &mut coded)?;
            let Some((error, decoded)) = found else {
                return Ok(None);
            };
            state.advance(decoded);
            out.of.push((out.curves.len(), 1.0));
            out.curves.push(Curve::Point { step: step.value(), error: error * window.valid_share() });
            first += count;
        }
        Ok(Some(out))
    }

    /// The same with all errors times `factor`.
    pub(crate) fn times(mut self, factor: f64) -> Self {
        self.over *= factor;
        self
    }

    /// How far, in octaves, it reaches from the step that it was made with: far where only predictions depend on that.
    pub(crate) fn reach(&self) -> f64 {
        if self.curves.iter().all(|curve| matches!(curve, Curve::Spectrum(..))) { 0.4 } else { 0.1 }
    }

    /// How many windows the segment has.
    pub(crate) fn windows(&self) -> usize {
        self.of.len()
    }

    /// The squared error of a window at a step.
    pub(crate) fn window(&self, index: usize, step: f64) -> f64 {
        let (curve, share) = self.of[index];
        self.curves[curve].error(step) * share * self.over
    }

    /// What a window's squared error is over that of its spectrum.
    pub(crate) fn over_spectrum(&self, index: usize) -> f64 {
        match &self.curves[self.of[index].0] {
            Curve::Spectrum(_, factor) => factor * self.over,
            Curve::Point { .. } => 1.0,
        }
    }

    /// The squared error of all windows at a step.
    pub(crate) fn total(&self, step: f64) -> f64 {
        let mut shares = vec![0.0; self.curves.len()];
        for &(curve, share) in &self.of {
            shares[curve] += share;
        }
        self.curves.iter().zip(shares).map(|(curve, share)| share * curve.error(step)).sum::<f64>() * self.over
    }
}

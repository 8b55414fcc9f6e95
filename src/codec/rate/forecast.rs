//! The errors of a segment at steps near a given one, predicted before it is coded: from the spectra of its windows'
//! coefficients, or where all frames depend on each other from a run that leaves out the synthesis and the model.

use super::step::STEP_POWER;
use crate::codec::segment::frames::Frames;
use crate::codec::segment::state::SegmentState;
use crate::error::Result;
use crate::predict::hierarchical::ModelUse;
use crate::predict::transform::{Analysed, Predictors, analyse, quantise, reconstruct};
use crate::predict::{CodedWindow, Output, Reconstruction, Scratch, Step, Synthesis};
use crate::residual::kernels::Kernel;
use crate::residual::layout::Layout;
use crate::residual::spectrum::Spectrum;
use crate::residual::wavelet::forward;
use crate::stream::{PredictionMode, SegmentHeader};

/// Which windows of a segment are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    /// The first.
    First,
    /// One in so many of those after the first, and the first.
    OneIn(usize),
}

impl Looked {
    /// Whether the window `index` is looked at. The first is predicted from little or nothing and speaks for no other.
    fn takes(self, index: usize) -> bool {
        match self {
            _ if index == 0 => true,
            Self::First => false,
            Self::OneIn(stride) => (index - 1).is_multiple_of(stride),
        }
    }
}

/// A window's squared error as a function of the step.
#[derive(Clone, Debug)]
enum Curve {
    /// From a spectrum, times what the error was over the spectrum's at one step (it knows nothing of masks, or of
    /// indices that are set to zero for their rate).
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

/// The frames of a segment, and how they are coded.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a, R> {
    pub(crate) frames: usize,
    pub(crate) layout: &'a Layout,
    pub(crate) header: &'a SegmentHeader,
    /// The reference frame, in working units, where the segment follows one.
    pub(crate) reference: Option<&'a [R]>,
}

/// See the module's description. Errors are squared, summed over valid points, in working units.
#[derive(Clone, Debug)]
pub(crate) struct Forecast {
    curves: Vec<Curve>,
    /// For each window its curve, and its share of that curve's frames.
    of: Vec<(usize, f64)>,
    /// Errors over those of the curves.
    over: f64,
    /// The share of the error that enhancement leaves; 1 where frames are not enhanced.
    enhancement_ratio: f64,
}

impl Forecast {
    fn new() -> Self {
        Self { curves: Vec::new(), of: Vec::new(), over: 1.0, enhancement_ratio: 1.0 }
    }

    /// A forecast for a subject that is coded at about `step`; `load` gives the frames asked for. Where frames depend
    /// on each other, all windows are looked at. `None` where the step is too fine.
    ///
    /// # Errors
    /// What `load` says.
    pub(crate) fn of<R: Kernel>(
        subject: Subject<'_, R>,
        step: f64,
        looked: Looked,
        load: impl FnMut(usize, usize, &mut Frames<R>) -> Result<()>,
    ) -> Result<Option<Self>> {
        match subject.header.mode {
            PredictionMode::Hierarchical => Self::of_run(subject, step, load),
            _ => Self::of_spectra(subject, step, looked, load),
        }
    }

    fn of_spectra<R: Kernel>(
        subject: Subject<'_, R>,
        step: f64,
        looked: Looked,
        mut load: impl FnMut(usize, usize, &mut Frames<R>) -> Result<()>,
    ) -> Result<Option<Self>> {
        let Subject { frames, layout, header, reference } = subject;
        let basis = header.full_basis()?;
        let predicts = header.mode == PredictionMode::Previous;
        let reference = reference.filter(|_| predicts);
        let windows = header.windows(frames, reference.is_some());
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
            if !looked.takes(index) {
                let (curve, _) = out.of[index - 1];
                out.of.push((curve, count as f64 / header.window as f64));
                first += count;
                continue;
            }
            let predicted = predicts && (index > 0 || reference.is_some());
            if let (0, Some(frame)) = (index, reference) {
                decoded = Reconstruction { count: 1, planes: frame.to_vec(), frames: Vec::new() };
                forward(&mut decoded.planes, layout.h, layout.w, layout.levels, &mut scratch.lines);
                predictors.of_decoded(&decoded, &basis.of(1), count, n);
            } else if predicted {
                let before = windows[index - 1];
                if known != Some(index - 1) {
                    load(first - before, before, &mut window)?;
                    let basis = basis.of(before);
                    analyse(&window.frames, &basis, None, layout, &mut scratch.lines, &mut analysed);
                    if quantise(&analysed, step, layout, &mut coded).is_none() {
                        return Ok(None);
                    }
                    reconstruct(
                        &coded,
                        &basis,
                        None,
                        layout,
                        Synthesis::Planes,
                        Output { scratch: &mut scratch, decoded: &mut decoded },
                    );
                }
                predictors.of_decoded(&decoded, &basis.of(before), count, n);
            }
            load(first, count, &mut window)?;
            let (basis, predictors) = (basis.of(count), predicted.then_some(&predictors));
            analyse(&window.frames, &basis, predictors, layout, &mut scratch.lines, &mut analysed);
            let Some(error) = quantise(&analysed, step, layout, &mut coded) else {
                return Ok(None);
            };
            let spectrum = Spectrum::of(analysed.residual());
            let estimated = spectrum.error(step.value());
            let factor = if error > 0.0 && estimated > 0.0 { error / estimated } else { 1.0 };
            out.of.push((out.curves.len(), 1.0));
            out.curves.push(Curve::Spectrum(spectrum, factor * window.valid_share()));
            if predicts && looked.takes(index + 1) && index + 1 < windows.len() {
                reconstruct(
                    &coded,
                    &basis,
                    predictors,
                    layout,
                    Synthesis::Planes,
                    Output { scratch: &mut scratch, decoded: &mut decoded },
                );
                known = Some(index);
            }
            first += count;
        }
        Ok(Some(out))
    }

    fn of_run<R: Kernel>(
        subject: Subject<'_, R>,
        step: f64,
        mut load: impl FnMut(usize, usize, &mut Frames<R>) -> Result<()>,
    ) -> Result<Option<Self>> {
        let header = SegmentHeader { uses_model: false, ..subject.header.clone() };
        let mut state = SegmentState::<R>::new(subject.layout, &header, ModelUse::Off)?.after(subject.reference);
        let mut out = Self::new();
        let mut window = Frames::<R>::default();
        let mut coded = CodedWindow::default();
        let step = Step::at_most(step);
        let mut first = 0;
        for count in state.windows(subject.frames) {
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

    /// A forecast of windows whose errors are powers of the step: `errors` are those at a step of 1.
    #[cfg(test)]
    pub(crate) fn synthetic(errors: &[f64]) -> Self {
        let curves = errors.iter().map(|&error| Curve::Point { step: 1.0, error }).collect();
        Self { curves, of: (0..errors.len()).map(|window| (window, 1.0)).collect(), ..Self::new() }
    }

    /// The same with all errors times `factor`.
    pub(crate) fn times(mut self, factor: f64) -> Self {
        self.over *= factor;
        self
    }

    /// The same for frames that are enhanced, which leaves this share of the error.
    pub(crate) fn enhanced(mut self, ratio: f64) -> Self {
        self.enhancement_ratio = ratio;
        self
    }

    /// The share of the error that enhancement leaves; 1 where frames are not enhanced.
    pub(crate) fn enhancement_ratio(&self) -> f64 {
        self.enhancement_ratio
    }

    /// How far, in octaves, it reaches from the step that it was made with: far where only predictions depend on that.
    pub(crate) fn reach(&self) -> f64 {
        if self.curves.iter().all(|curve| matches!(curve, Curve::Spectrum(..))) { 0.4 } else { 0.1 }
    }

    /// How many windows the segment has.
    pub(crate) fn windows(&self) -> usize {
        self.of.len()
    }

    /// The error of a window at a step, before enhancement.
    pub(crate) fn window(&self, index: usize, step: f64) -> f64 {
        let (curve, share) = self.of[index];
        self.curves[curve].error(step) * share * self.over
    }

    /// A window's error over that of its spectrum.
    pub(crate) fn over_spectrum(&self, index: usize) -> f64 {
        match &self.curves[self.of[index].0] {
            Curve::Spectrum(_, factor) => factor * self.over,
            Curve::Point { .. } => 1.0,
        }
    }

    /// The error of all windows at a step, before enhancement.
    pub(crate) fn total(&self, step: f64) -> f64 {
        let mut shares = vec![0.0; self.curves.len()];
        for &(curve, share) in &self.of {
            shares[curve] += share;
        }
        self.curves.iter().zip(shares).map(|(curve, share)| share * curve.error(step)).sum::<f64>() * self.over
    }

    /// The error of all windows at a step that a reader gets.
    pub(crate) fn total_enhanced(&self, step: f64) -> f64 {
        self.total(step) * self.enhancement_ratio
    }
}

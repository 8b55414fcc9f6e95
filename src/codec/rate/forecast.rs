//! The errors of a segment at steps near a given one, predicted before it is coded: from the spectra of its windows'
//! coefficients, or where all frames depend on each other from a run that leaves out the synthesis and the model.

use super::step::{STEP_POWER, Spent};
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

/// A window, and the curves of those before and after it that were looked at; both its own where it was.
#[derive(Clone, Copy, Debug)]
struct Window {
    frames: f64,
    before: usize,
    after: usize,
    /// How far it lies from the one to the other.
    part: f64,
    /// Its error over what these tell.
    over: f64,
}

/// An error may be so many times what curves tell, either way, and still follow them.
const FOLLOWS: f64 = 8.0;
/// What windows that were coded come to over their forecasts says as much of the others.
const CREDIBLE: f64 = 2.0;

/// See the module's description. Errors are squared, summed over valid points, in working units.
#[derive(Clone, Debug)]
pub(crate) struct Forecast {
    /// With the frames that each is for.
    curves: Vec<(Curve, f64)>,
    windows: Vec<Window>,
    /// Errors over those of the curves.
    over: f64,
    /// The share of the error that enhancement leaves; 1 where frames are not enhanced.
    enhancement_ratio: f64,
}

impl Forecast {
    fn new() -> Self {
        Self { curves: Vec::new(), windows: Vec::new(), over: 1.0, enhancement_ratio: 1.0 }
    }

    /// Adds a window of so many frames; its curve where it was looked at.
    fn push(&mut self, frames: usize, curve: Option<Curve>) {
        let frames = frames as f64;
        let Some(curve) = curve else {
            let last = self.curves.len() - 1;
            self.windows.push(Window { frames, before: last, after: last, part: 0.0, over: 1.0 });
            return;
        };
        let own = self.curves.len();
        // Those not looked at since the last that was lie between the two.
        let between = self.windows.iter().rev().take_while(|window| window.part == 0.0 && window.before + 1 == own);
        let between = between.count();
        let from = self.windows.len() - between;
        for (k, window) in self.windows[from..].iter_mut().enumerate() {
            (window.after, window.part) = (own, k as f64 / between as f64);
        }
        self.curves.push((curve, frames));
        self.windows.push(Window { frames, before: own, after: own, part: 0.0, over: 1.0 });
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
        let basis = header.full_basis(layout.depth)?;
        let predicts = header.mode == PredictionMode::Previous;
        let reference = reference.filter(|_| predicts);
        let windows = header.windows(frames, layout.depth, reference.is_some());
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
                out.push(count, None);
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
            out.push(count, Some(Curve::Spectrum(spectrum, factor * window.valid_share())));
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
            out.push(count, Some(Curve::Point { step: step.value(), error: error * window.valid_share() }));
            first += count;
        }
        Ok(Some(out))
    }

    /// A forecast of windows whose errors are powers of the step: `errors` are those at a step of 1.
    #[cfg(test)]
    pub(crate) fn synthetic(errors: &[f64]) -> Self {
        let mut out = Self::new();
        errors.iter().for_each(|&error| out.push(1, Some(Curve::Point { step: 1.0, error })));
        out
    }

    /// The same with all errors times `factor`.
    pub(crate) fn times(mut self, factor: f64) -> Self {
        self.over *= factor;
        self
    }

    /// The same, corrected by what the first windows, or all of them, came to.
    pub(crate) fn learnt(mut self, spent: &[Spent]) -> Self {
        let all: f64 = spent.iter().map(|spent| spent.error).sum();
        let predicted: f64 = spent.iter().enumerate().map(|(index, spent)| self.window(index, spent.step)).sum();
        let over = if predicted > 0.0 { (all / predicted).clamp(1.0 / CREDIBLE, CREDIBLE) } else { 1.0 };
        for (index, &Spent { step, error }) in spent.iter().enumerate() {
            let over = error / self.window(index, step);
            let window = &mut self.windows[index];
            if (1.0 / FOLLOWS..=FOLLOWS).contains(&over) {
                window.over *= over;
            } else {
                let own = self.curves.len();
                (window.before, window.after, window.part, window.over) = (own, own, 0.0, 1.0);
                self.curves.push((Curve::Point { step, error: error / self.over }, window.frames));
            }
        }
        self.windows.iter_mut().skip(spent.len()).for_each(|window| window.over *= over);
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
        if self.curves.iter().all(|(curve, _)| matches!(curve, Curve::Spectrum(..))) { 0.4 } else { 0.1 }
    }

    /// How many windows the segment has.
    pub(crate) fn windows(&self) -> usize {
        self.windows.len()
    }

    /// The error of a window at a step, before enhancement.
    pub(crate) fn window(&self, index: usize, step: f64) -> f64 {
        self.between(&self.windows[index], |curve| self.curves[curve].0.error(step)) * self.over
    }

    /// The error of a window, given those of curves: from one that was looked at to the next it changes by a power of
    /// the same for each window between them.
    fn between(&self, window: &Window, errors: impl Fn(usize) -> f64) -> f64 {
        let [a, b] = [window.before, window.after].map(|curve| errors(curve) / self.curves[curve].1);
        let part = window.part;
        let of_frame = if part == 0.0 {
            a
        } else if a > 0.0 && b > 0.0 {
            a * (b / a).powf(part)
        } else {
            a + part * (b - a)
        };
        of_frame * window.frames * window.over
    }

    /// A window's error over that of its spectrum.
    pub(crate) fn over_spectrum(&self, index: usize) -> f64 {
        let window = &self.windows[index];
        match &self.curves[window.before].0 {
            Curve::Spectrum(_, factor) => factor * window.over * self.over,
            Curve::Point { .. } => 1.0,
        }
    }

    /// The error of all windows at a step, before enhancement.
    pub(crate) fn total(&self, step: f64) -> f64 {
        let errors: Vec<f64> = self.curves.iter().map(|(curve, _)| curve.error(step)).collect();
        self.windows.iter().map(|window| self.between(window, |curve| errors[curve])).sum::<f64>() * self.over
    }

    /// The error of all windows at a step that a reader gets.
    pub(crate) fn total_enhanced(&self, step: f64) -> f64 {
        self.total(step) * self.enhancement_ratio
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_between_those_looked_at_follow_both() {
        let point = |error: f64| Some(Curve::Point { step: 1.0, error });
        let mut forecast = Forecast::new();
        // Frames grow twice as loud from window to window; the last one is short.
        for (frames, curve) in [(8, point(8.0)), (8, None), (8, None), (8, point(64.0)), (8, None), (4, None)] {
            forecast.push(frames, curve);
        }
        let errors: Vec<f64> = (0..forecast.windows()).map(|index| forecast.window(index, 1.0)).collect();
        let wanted = [8.0, 16.0, 32.0, 64.0, 64.0, 32.0];
        assert!(errors.iter().zip(wanted).all(|(a, b)| (a / b - 1.0).abs() < 1e-12), "{errors:?}");
        assert!((forecast.total(1.0) - wanted.iter().sum::<f64>()).abs() < 1e-9);
    }

    #[test]
    fn a_window_without_error_is_no_factor() {
        let mut forecast = Forecast::new();
        for error in [Some(0.0), None, Some(6.0)] {
            forecast.push(1, error.map(|error| Curve::Point { step: 1.0, error }));
        }
        assert_eq!([0, 1, 2].map(|index| forecast.window(index, 1.0)), [0.0, 3.0, 6.0]);
    }

    #[test]
    fn forecasts_learn_what_windows_came_to() {
        let forecast = Forecast::synthetic(&[1.0, 1.0, 1.0, 2.0]).times(2.0);
        // Half as much as was thought, and a burst.
        let spent = [1.0, 90.0].map(|error| Spent { step: 1.0, error });
        let learnt = forecast.learnt(&spent);
        let errors: Vec<f64> = (0..4).map(|index| learnt.window(index, 1.0)).collect();
        assert!(errors.iter().zip([1.0, 90.0, 4.0, 8.0]).all(|(a, b)| (a / b - 1.0).abs() < 1e-12), "{errors:?}");
        assert!((learnt.total(1.0) - 103.0).abs() < 1e-9);
        // What was right stays.
        let same = [1.0, 90.0, 4.0, 8.0].map(|error| Spent { step: 1.0, error });
        assert!((learnt.learnt(&same).total(1.0) - 103.0).abs() < 1e-9);
    }
}

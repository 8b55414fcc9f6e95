//! A survey of all segments of a field: how the error of each grows with the step, as a few of its frames tell. It says
//! which segments speak for the field, the probes, and what those that are not looked at more closely add.

use crate::codec::segment::context::FieldContext;
use crate::codec::segment::frames::Frames;
use crate::codec::tools::Tools;
use crate::error::Result;
use crate::field::Element;
use crate::predict::transform::{Analysed, analyse};
use crate::residual::basis::Basis;
use crate::residual::kernels::Kernel;
use crate::residual::layout::Layout;
use crate::residual::spectrum::Spectrum;
use crate::window::Source;

/// One pair of neighbouring frames is looked at for so many.
const FRAMES: usize = 16;
/// Octaves of steps below the expected one, and all that curves have points at.
const BELOW: i32 = 3;
const OCTAVES: usize = 16;
/// The error of a segment of which nothing is seen, over its points and the squared step: about a thousandth of what a
/// busy segment makes.
const UNSEEN: f64 = 1e-4;

/// Squared errors at steps an octave apart.
#[derive(Clone, Debug)]
struct Curve {
    /// The octave of the first.
    first: i32,
    errors: [f64; OCTAVES],
}

impl Curve {
    /// None, with points around a step.
    fn around(step: f64) -> Self {
        Self { first: step.log2().floor() as i32 - BELOW, errors: [0.0; OCTAVES] }
    }

    /// Adds a spectrum, `times` over.
    fn add(&mut self, spectrum: &Spectrum, times: f64) {
        let found = spectrum.errors_at_octaves(self.first..self.first + OCTAVES as i32);
        self.errors.iter_mut().zip(found).for_each(|(sum, error)| *sum += times * error);
    }

    /// The error at a step: errors grow as a power of the step from each to the next, and with its square below the
    /// first.
    fn error(&self, step: f64) -> f64 {
        let place = step.log2() - f64::from(self.first);
        if place <= 0.0 {
            return self.errors[0] * (2.0 * place).exp2();
        }
        let below = (place as usize).min(OCTAVES - 2);
        let part = (place - below as f64).min(1.0);
        let [a, b] = [self.errors[below], self.errors[below + 1]];
        if a > 0.0 { a * (b / a).powf(part) } else { b * part }
    }
}

/// See the module's description. Errors are squared, summed over valid points, in working units.
#[derive(Debug)]
pub(crate) struct Survey {
    curves: Vec<Curve>,
    /// Points of each segment.
    points: Vec<usize>,
    total: Curve,
    all: usize,
}

impl Survey {
    /// Looks at all segments, which are to be coded at about `step`.
    ///
    /// # Errors
    /// `Corrupt` never: that of the codec's threads.
    pub(crate) fn of<'a, T: Element + 'a, R: Kernel>(
        source: impl Fn(usize) -> Source<'a, T> + Sync + Send,
        segments: usize,
        context: &FieldContext<'_>,
        step: f64,
        tools: &Tools<'_>,
    ) -> Result<Self> {
        let _span = tracing::debug_span!("survey").entered();
        let found = tools.map(0..segments, |index| {
            let source = source(index);
            let points = source.segment.points();
            Ok((curve::<T, R>(&source, context, step), points))
        })?;
        let (curves, points): (Vec<Curve>, Vec<usize>) = found.into_iter().unzip();
        Ok(Self::sum(curves, points, step))
    }

    fn sum(curves: Vec<Curve>, points: Vec<usize>, step: f64) -> Self {
        let mut total = Curve::around(step);
        for curve in &curves {
            total.errors.iter_mut().zip(curve.errors).for_each(|(sum, error)| *sum += error);
        }
        let all = points.iter().sum();
        Self { curves, points, total, all }
    }

    /// The error of a segment at a step.
    fn error(&self, segment: usize, step: f64) -> f64 {
        self.curves[segment].error(step) + UNSEEN * step * step * self.points[segment] as f64
    }

    /// The error of all segments at a step.
    pub(crate) fn total(&self, step: f64) -> f64 {
        self.total.error(step) + UNSEEN * step * step * self.all as f64
    }

    /// `wanted` places evenly along the sum of all segments' errors at a step: the segments that they fall into, each
    /// with the share of the places. Where all are alike, these are spread evenly, and the last one is among them.
    fn places(&self, step: f64, wanted: usize) -> Vec<(usize, f64)> {
        let errors: Vec<f64> = (0..self.curves.len()).map(|segment| self.error(segment, step)).collect();
        let all: f64 = errors.iter().sum();
        let mut out: Vec<(usize, f64)> = Vec::with_capacity(wanted);
        let (mut sum, mut segment) = (errors[0], 0);
        for place in 1..=wanted {
            // A little before the end of a part, so that rounding does not lead to the segment behind it.
            let until = all * (place as f64 - 1e-3) / wanted as f64;
            while sum < until && segment + 1 < errors.len() {
                segment += 1;
                sum += errors[segment];
            }
            match out.last_mut() {
                Some((last, share)) if *last == segment => *share += 1.0 / wanted as f64,
                _ => out.push((segment, 1.0 / wanted as f64)),
            }
        }
        out
    }
}

/// The curve of one segment.
fn curve<T: Element, R: Kernel>(source: &Source<'_, T>, context: &FieldContext<'_>, step: f64) -> Curve {
    let segment = source.segment;
    let layout = Layout::new(segment.h, segment.w);
    let (parts, pair) = ((segment.count / FRAMES).max(1), segment.count.min(2));
    let basis = Basis::cosine(pair);
    let mut frames = Frames::<R>::default();
    let (mut analysed, mut lines) = (Analysed::default(), Vec::new());
    let mut out = Curve::around(step);
    for part in 0..parts {
        let [from, until] = [part, part + 1].map(|part| part * segment.count / parts);
        let first = (from + (until - from - pair) / 2).min(segment.count - pair);
        frames.load(source, context, first, pair);
        analyse(&frames.frames, &basis, None, &layout, &mut lines, &mut analysed);
        let times = (until - from) as f64 / pair as f64 * frames.valid_share();
        out.add(&Spectrum::of(analysed.residual()), times);
    }
    out
}

/// Segments that are looked at closely, and what they stand for.
#[derive(Debug)]
pub(crate) struct Probes {
    /// Their numbers, which rise.
    pub(crate) segments: Vec<usize>,
    /// The shares in which the others resemble each.
    shares: Vec<f64>,
    /// `None` where every segment is a probe.
    survey: Option<Survey>,
}

impl Probes {
    /// All of a field's segments.
    pub(crate) fn all(segments: usize) -> Self {
        Self { segments: (0..segments).collect(), shares: Vec::new(), survey: None }
    }

    /// About `wanted` of the segments of a survey, those with more error at a step being likelier to be among them.
    pub(crate) fn of(survey: Survey, step: f64, wanted: usize) -> Self {
        let (segments, shares) = survey.places(step, wanted).into_iter().unzip();
        Self { segments, shares, survey: Some(survey) }
    }

    /// The error of all segments at a step, given those of the probes: what the survey tells, times what they are over
    /// what it tells of them.
    pub(crate) fn total(&self, step: f64, errors: impl Iterator<Item = f64>) -> f64 {
        let Some(survey) = &self.survey else {
            return errors.sum();
        };
        survey.total(step) * self.over(survey, step, errors)
    }

    fn over(&self, survey: &Survey, step: f64, errors: impl Iterator<Item = f64>) -> f64 {
        let probes = self.segments.iter().zip(&self.shares);
        probes.zip(errors).map(|((&segment, share), error)| share * error / survey.error(segment, step)).sum()
    }

    /// The error of each segment at a step, given those of the probes.
    pub(crate) fn each(&self, step: f64, errors: &[f64]) -> Vec<f64> {
        let Some(survey) = &self.survey else {
            return errors.to_vec();
        };
        let over = self.over(survey, step, errors.iter().copied());
        let mut out: Vec<f64> = (0..survey.curves.len()).map(|segment| over * survey.error(segment, step)).collect();
        self.segments.iter().zip(errors).for_each(|(&segment, &error)| out[segment] = error);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A survey of segments of 100 points whose errors at a step of 1 are given, and grow with its square.
    fn survey(errors: &[f64]) -> Survey {
        let curve = |error: &f64| {
            let mut curve = Curve::around(1.0);
            for (k, slot) in curve.errors.iter_mut().enumerate() {
                *slot = error * f64::powi(4.0, k as i32 - BELOW);
            }
            curve
        };
        Survey::sum(errors.iter().map(curve).collect(), vec![100; errors.len()], 1.0)
    }

    #[test]
    fn curves_are_powers_between_their_points() {
        let one = survey(&[3.0]);
        for step in [0.01, 0.1, 0.125, 1.0, 1.5, 7.0, 2000.0] {
            let wanted = (3.0 + UNSEEN * 100.0) * step * step;
            assert!((one.total(step) / wanted - 1.0).abs() < 1e-9, "{step}: {} for {wanted}", one.total(step));
        }
    }

    #[test]
    fn probes_are_spread_by_error() {
        let even = Probes::of(survey(&[1.0; 100]), 1.0, 8);
        assert_eq!(even.segments, [12, 24, 37, 49, 62, 74, 87, 99]);
        // Quiet segments before lively ones; one that holds nearly all.
        let mut half = [1e-4; 100];
        half[50..].fill(1.0);
        let half = Probes::of(survey(&half), 1.0, 8);
        assert!(half.segments.iter().filter(|&&segment| segment >= 50).count() >= 7, "{half:?}");
        let mut giant = [1e-4; 100];
        giant[37] = 10.0;
        let giant = Probes::of(survey(&giant), 1.0, 8);
        assert!(giant.segments.contains(&37) && giant.segments.len() <= 3, "{:?}", giant.segments);
    }

    /// What is not looked at closely is in proportion to what is.
    #[test]
    fn probes_stand_for_all() {
        let errors: Vec<f64> = (0..200).map(|k| f64::powi(1.05, k)).collect();
        let probes = Probes::of(survey(&errors), 1.0, 8);
        let close: Vec<f64> = probes.segments.iter().map(|&segment| 1.3 * errors[segment]).collect();
        let (total, all) = (probes.total(1.0, close.iter().copied()), 1.3 * errors.iter().sum::<f64>());
        assert!((total / all - 1.0).abs() < 0.02, "{total} of {all}");
        let each = probes.each(1.0, &close);
        assert!((each.iter().sum::<f64>() / all - 1.0).abs() < 0.02);
        assert!(each.iter().zip(&errors).all(|(a, b)| (a / b / 1.3 - 1.0).abs() < 0.1));
        // Where all are probes there is nothing to infer.
        let all = Probes::all(3);
        assert_eq!((all.total(2.0, [1.0, 2.0, 4.0].into_iter()), all.each(2.0, &[1.0, 2.0, 4.0]).len()), (7.0, 3));
    }
}

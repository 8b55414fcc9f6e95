//! The mode `hierarchical`: a key frame, then the window's last frame, then the middle frame of every gap from the
//! decoded frames on both sides, layer by layer, in a closed loop.
//!
//! The middle is predicted by the polynomial through the references (the average of two; cubic where the frames beyond
//! them are known as well), and where it helps by the foundation model's interpolator on top. Both predictions are
//! weighted band by band (see [`super::weights`]). Lower layers serve no other frames and are quantised more coarsely.

use super::interpolator::References;
use super::weights::{apply, fit};
use super::{CodedWindow, Contexts, Output, Reconstruction, Scratch, Step, Synthesis};
use crate::error::{Error, Result};
use crate::options::FmMode;
use crate::residual::bands::{PlaneContext, Resembles};
use crate::residual::kernels::Kernel;
use crate::residual::layout::Layout;
use crate::residual::quantise::ROUNDING;
use crate::residual::real::Real;
use crate::residual::wavelet::{forward, inverse};

/// The foundation model's interpolator: from references and the quantiser step to the correction of the polynomial,
/// snapped to a grid. False where there is nothing to correct.
pub(crate) type Interpolator<'a> = dyn Fn(References<'_>, f64, &mut Vec<f32>) -> Result<bool> + Sync + 'a;

/// How a frame is predicted. Times are relative to the window; the previous window's frames are negative.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// From nothing.
    Key,
    /// From earlier frames: the last known one, and an older one.
    Ahead { last: isize, older: Option<isize> },
    /// From both sides.
    Middle { lo: isize, hi: isize, lo2: Option<isize>, hi2: Option<isize> },
}

/// One frame of the schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Node {
    t: usize,
    kind: Kind,
    layer: usize,
}

/// The order in which a window's frames are coded, after a window of `previous` frames (0: none).
fn schedule(count: usize, previous: usize) -> Vec<Node> {
    let mut nodes = Vec::with_capacity(count);
    let mut known: Vec<isize> = (1..=previous as isize).map(|t| -t).collect();
    let end = count as isize - 1;
    let start = if previous == 0 {
        nodes.push(Node { t: 0, kind: Kind::Key, layer: 0 });
        known.push(0);
        0
    } else {
        -1
    };
    if end > start {
        let older = (previous > 1).then_some(-(previous as isize));
        nodes.push(Node { t: end as usize, kind: Kind::Ahead { last: start, older }, layer: 0 });
        known.push(end);
    }
    let mut gaps = vec![(start, end)];
    let mut layer = 1;
    while !gaps.is_empty() {
        let mut next = Vec::new();
        let mut found = Vec::new();
        for (lo, hi) in gaps {
            let length = hi - lo;
            if length < 2 {
                continue;
            }
            // A gap that is no power of two gets its largest power of two first, so that most middles are exact.
            let mut half = 1;
            while half * 2 < length {
                half *= 2;
            }
            let mid = lo + half;
            let even = half * 2 == length;
            let is_known = |t: &isize| even && known.contains(t);
            nodes.push(Node {
                t: mid as usize,
                kind: Kind::Middle {
                    lo,
                    hi,
                    lo2: Some(lo - 2 * half).filter(is_known),
                    hi2: Some(hi + 2 * half).filter(is_known),
                },
                layer,
            });
            found.push(mid);
            next.push((lo, mid));
            next.push((mid, hi));
        }
        known.extend(found);
        gaps = next;
        layer += 1;
    }
    nodes
}

/// Contexts of the planes in coding order: each resembles the nearest frames coded before it.
pub(crate) fn contexts(count: usize, previous: usize) -> Contexts {
    let nodes = schedule(count, previous);
    nodes
        .iter()
        .enumerate()
        .map(|(i, node)| {
            let mut earlier: Vec<(usize, usize)> = nodes[..i]
                .iter()
                .enumerate()
                .map(|(j, other)| (other.t.abs_diff(node.t) + 4 * (node.layer - other.layer), j))
                .collect();
            earlier.sort_unstable();
            let mut found = earlier.iter().map(|&(_, j)| Resembles::Current(j));
            let previous = if previous > 0 { Resembles::Previous(i.min(previous - 1)) } else { Resembles::None };
            let near = found.next().unwrap_or(previous);
            PlaneContext { near, far: found.next().unwrap_or(previous), class: node.layer }
        })
        .collect()
}

/// Use of the model in a window.
#[derive(Clone, Copy)]
pub(crate) enum ModelUse<'a> {
    /// Not used.
    Off,
    /// Used where it makes a frame's residual cheaper.
    Auto(&'a Interpolator<'a>),
    /// Used wherever it can be.
    Always(&'a Interpolator<'a>),
}

impl<'a> ModelUse<'a> {
    /// An encoder's use of an interpolator in a mode.
    pub(crate) fn of(mode: FmMode, interpolator: &'a Interpolator<'a>) -> Self {
        match mode {
            FmMode::Off => Self::Off,
            FmMode::Auto => Self::Auto(interpolator),
            FmMode::On => Self::Always(interpolator),
        }
    }
}

/// The purpose of an encoding.
pub(crate) enum Run<'a, R> {
    /// To be written: the model is run, and its corrections are left here, by place in the schedule.
    Final(&'a mut Vec<Option<Vec<R>>>),
    /// To learn its error: corrections of an earlier run serve, and frames are not synthesised.
    Estimate(&'a mut Vec<Option<Vec<R>>>),
}

/// The common part of both directions.
pub(crate) struct Hierarchy<'a, R> {
    pub(crate) layout: &'a Layout,
    pub(crate) model: ModelUse<'a>,
    /// Each layer's step is this factor times the one above it.
    pub(crate) layer_factor: f64,
    /// The window before, if any; its planes are frames in order of time.
    pub(crate) previous: Option<&'a Reconstruction<R>>,
}

/// The references of a frame in the wavelet domain: the base prediction, and a second predictor.
struct Prediction<R> {
    base: Vec<R>,
    second: Option<Vec<R>>,
}

impl<R: Kernel> Prediction<R> {
    /// `plane += sign · prediction`, with weights for each band.
    fn apply(&self, plane: &mut [R], sign: f64, weights: &[[i8; 2]], layout: &Layout) {
        apply(plane, sign, weights, &self.base, self.second.as_deref(), layout);
    }
}

impl<R: Kernel> Hierarchy<'_, R> {
    fn plane<'b>(&'b self, t: isize, out: &'b Reconstruction<R>) -> &'b [R] {
        let n = self.layout.len();
        match (usize::try_from(t), self.previous) {
            (Ok(t), _) => &out.planes[t * n..][..n],
            (Err(_), Some(previous)) => &previous.planes[(previous.count as isize + t) as usize * n..][..n],
            (Err(_), None) => unreachable!("a schedule without a previous window names none of its frames"),
        }
    }

    fn frame<'b>(&'b self, t: isize, out: &'b Reconstruction<R>) -> &'b [R] {
        let n = self.layout.len();
        match (usize::try_from(t), self.previous) {
            (Ok(t), _) => &out.frames[t * n..][..n],
            (Err(_), Some(previous)) => &previous.frames[(previous.count as isize + t) as usize * n..][..n],
            (Err(_), None) => unreachable!("a schedule without a previous window names none of its frames"),
        }
    }

    fn step(&self, step: Step, layer: usize) -> f64 {
        step.value() * self.layer_factor.powi(layer.min(6) as i32)
    }

    /// The weighted sum of decoded planes that predicts `kind`.
    fn base(&self, kind: Kind, out: &Reconstruction<R>) -> Option<Prediction<R>> {
        let n = self.layout.len();
        let sum = |terms: &[(isize, f64)]| {
            let mut base = vec![R::default(); n];
            for &(t, weight) in terms {
                R::axpy(R::from_f64(weight), self.plane(t, out), &mut base);
            }
            base
        };
        match kind {
            Kind::Key => None,
            Kind::Ahead { last, older } => {
                let second = older.map(|t| self.plane(t, out).to_vec());
                Some(Prediction { base: self.plane(last, out).to_vec(), second })
            }
            Kind::Middle { lo, hi, lo2, hi2 } => {
                let base = match (lo2, hi2) {
                    (Some(lo2), Some(hi2)) => {
                        sum(&[(lo, 9.0 / 16.0), (hi, 9.0 / 16.0), (lo2, -1.0 / 16.0), (hi2, -1.0 / 16.0)])
                    }
                    (Some(lo2), None) => sum(&[(lo, 0.75), (hi, 0.375), (lo2, -0.125)]),
                    (None, Some(hi2)) => sum(&[(lo, 0.375), (hi, 0.75), (hi2, -0.125)]),
                    (None, None) => {
                        let mut half = 1;
                        while half * 2 < hi - lo {
                            half *= 2;
                        }
                        let weight = half as f64 / (hi - lo) as f64;
                        sum(&[(lo, 1.0 - weight), (hi, weight)])
                    }
                };
                Some(Prediction { base, second: None })
            }
        }
    }

    /// The model's correction for `kind` as a plane; `None` where it has none.
    fn correction(
        &self,
        kind: Kind,
        step: f64,
        out: &Reconstruction<R>,
        scratch: &mut Scratch<R>,
    ) -> Result<Option<Vec<R>>> {
        let (Kind::Middle { lo, hi, lo2, hi2 }, ModelUse::Auto(model) | ModelUse::Always(model)) = (kind, self.model)
        else {
            return Err(Error::internal("a window wants a model that was not opened"));
        };
        let narrow = |t: isize| -> Vec<f32> { self.frame(t, out).iter().map(|v| v.to_f64() as f32).collect() };
        let (a, b) = (narrow(lo), narrow(hi));
        let (a2, b2) = (lo2.map(narrow), hi2.map(narrow));
        let mut correction = Vec::new();
        let references = References { a: &a, b: &b, a2: a2.as_deref(), b2: b2.as_deref() };
        Ok(model(references, step, &mut correction)?.then(|| {
            let mut plane: Vec<R> = correction.iter().map(|&v| R::from_f64(f64::from(v))).collect();
            forward(&mut plane, self.layout.h, self.layout.w, self.layout.levels, &mut scratch.lines);
            plane
        }))
    }

    /// Frames whose middle the model can predict: equal distances to both sides.
    fn model_fits(&self, kind: Kind, t: usize) -> bool {
        match kind {
            Kind::Middle { lo, hi, .. } => t as isize - lo == hi - t as isize,
            _ => false,
        }
    }

    /// Encodes the window of `frames [count][h][w]` at `step` into `coded`, and decodes it to `output`. Gives the
    /// squared error of the coefficients, which is near that of the frames; `None` where an index would be too large.
    ///
    /// # Errors
    /// Those of the model.
    pub(crate) fn encode(
        &self,
        frames: &[R],
        step: Step,
        run: Run<'_, R>,
        coded: &mut CodedWindow<R>,
        output: Output<'_, R>,
    ) -> Result<Option<f64>> {
        let _span = tracing::debug_span!("closed loop").entered();
        let Output { scratch, decoded: out } = output;
        let n = self.layout.len();
        let count = frames.len() / n;
        let bands = self.layout.bands.len();
        let nodes = schedule(count, self.previous.map_or(0, |p| p.count));
        (coded.count, coded.step) = (count, step);
        coded.indices.resize(count * n, R::Index::default());
        coded.fm.clear();
        coded.fm.resize(count, false);
        coded.weights.clear();
        let (corrections, synthesis) = match run {
            Run::Final(corrections) => {
                corrections.clear();
                corrections.resize(count, None);
                (corrections, Synthesis::Frames)
            }
            Run::Estimate(corrections) => (corrections, Synthesis::Planes),
        };
        let runs_model = synthesis == Synthesis::Frames && !matches!(self.model, ModelUse::Off);
        make_room(out, count, n, synthesis);
        let mut residual = vec![R::default(); n];
        let mut values = vec![R::default(); n];
        let mut error = 0.0;
        for (i, node) in nodes.iter().enumerate() {
            let value = self.step(step, node.layer);
            residual.copy_from_slice(&frames[node.t * n..][..n]);
            forward(&mut residual, self.layout.h, self.layout.w, self.layout.levels, &mut scratch.lines);
            let mut prediction = self.base(node.kind, out);
            if let Some(found) = &mut prediction {
                if runs_model && self.model_fits(node.kind, node.t) {
                    corrections[i] = self.correction(node.kind, value, out, scratch)?;
                }
                let correction = corrections.get(i).and_then(Option::as_deref);
                let weights = self.fit_weights(&residual, found, correction, value, &mut values);
                coded.fm[i] = weights.takes_correction;
                found.apply(&mut residual, -1.0, &weights.weights, self.layout);
                coded.weights.extend(weights.weights);
            }
            let indices = &mut coded.indices[i * n..][..n];
            let Some(mut tally) = R::quantise(&residual, R::from_f64(value), R::from_f64(ROUNDING), indices) else {
                return Ok(None);
            };
            R::refine(&residual, R::from_f64(value), self.layout, indices, &mut tally);
            // The closed loop needs centroids before all of the window's indices are known: the first frame's serve.
            if i == 0 {
                coded.centroids = tally.centroids();
            }
            error += tally.error(coded.centroids) * value * value;
            R::dequantise(indices, R::from_f64(value), coded.centroids, &mut values);
            if let Some(found) = &prediction {
                let weights = &coded.weights[coded.weights.len() - bands..];
                found.apply(&mut values, 1.0, weights, self.layout);
            }
            self.keep(node.t, &values, synthesis, scratch, out);
        }
        Ok(Some(error))
    }

    /// Fits a prediction's weights to a plane. A correction by the model becomes its second predictor where it makes
    /// the plane cheaper at the step `value`, or always where the model is always used. `values` is overwritten.
    fn fit_weights(
        &self,
        target: &[R],
        prediction: &mut Prediction<R>,
        correction: Option<&[R]>,
        value: f64,
        values: &mut [R],
    ) -> Weights {
        let Some(correction) = correction else {
            let weights = fit(target, &prediction.base, prediction.second.as_deref(), self.layout);
            return Weights { weights, takes_correction: false };
        };
        let with = fit(target, &prediction.base, Some(correction), self.layout);
        if !matches!(self.model, ModelUse::Always(_)) {
            let without = fit(target, &prediction.base, None, self.layout);
            let mut cost = |weights: &[[i8; 2]], second: Option<&[R]>| {
                values.copy_from_slice(target);
                apply(values, -1.0, weights, &prediction.base, second, self.layout);
                R::bits(values, R::from_f64(1.0 / value))
            };
            if cost(&with, Some(correction)) * 1.005 >= cost(&without, None) {
                return Weights { weights: without, takes_correction: false };
            }
        }
        prediction.second = Some(correction.to_vec());
        Weights { weights: with, takes_correction: true }
    }

    /// Decodes a window's planes, and its frames where `synthesis` or the model asks for them.
    ///
    /// # Errors
    /// `Corrupt`, or those of the model.
    pub(crate) fn reconstruct(
        &self,
        coded: &CodedWindow<R>,
        synthesis: Synthesis,
        output: Output<'_, R>,
    ) -> Result<()> {
        let _span = tracing::debug_span!("synthesise").entered();
        let Output { scratch, decoded: out } = output;
        let n = self.layout.len();
        let bands = self.layout.bands.len();
        let synthesis = if matches!(self.model, ModelUse::Off) { synthesis } else { Synthesis::Frames };
        make_room(out, coded.count, n, synthesis);
        let mut values = vec![R::default(); n];
        let mut weights = coded.weights.chunks_exact(bands);
        for (i, node) in schedule(coded.count, self.previous.map_or(0, |p| p.count)).iter().enumerate() {
            let value = self.step(coded.step, node.layer);
            let use_model = coded.fm.get(i).copied().unwrap_or(false);
            if use_model && !self.model_fits(node.kind, node.t) {
                return Err(Error::corrupt("a window names the model for a frame that it cannot predict"));
            }
            let mut prediction = self.base(node.kind, out);
            if let (Some(found), true) = (&mut prediction, use_model) {
                found.second = self.correction(node.kind, value, out, scratch)?;
            }
            let indices = &coded.indices[i * n..][..n];
            R::dequantise(indices, R::from_f64(value), coded.centroids, &mut values);
            if let Some(found) = &prediction {
                let weights =
                    weights.next().ok_or_else(|| Error::corrupt("a window has too few prediction weights"))?;
                found.apply(&mut values, 1.0, weights, self.layout);
            }
            self.keep(node.t, &values, synthesis, scratch, out);
        }
        Ok(())
    }

    /// Keeps a decoded plane, and synthesises its frame where that is wanted.
    fn keep(
        &self,
        t: usize,
        values: &[R],
        synthesis: Synthesis,
        scratch: &mut Scratch<R>,
        out: &mut Reconstruction<R>,
    ) {
        let n = self.layout.len();
        out.planes[t * n..][..n].copy_from_slice(values);
        if synthesis == Synthesis::Frames {
            let frame = &mut out.frames[t * n..][..n];
            frame.copy_from_slice(values);
            inverse(frame, self.layout.h, self.layout.w, self.layout.levels, &mut scratch.lines);
        }
    }
}

/// Weights of a plane's prediction in each band.
struct Weights {
    weights: Vec<[i8; 2]>,
    /// Whether the second predictor is the model's correction.
    takes_correction: bool,
}

/// How many planes of a window carry prediction weights.
pub(crate) fn predicted_planes(count: usize, has_previous: bool) -> usize {
    if has_previous { count } else { count - 1 }
}

/// Makes room for a window; every frame of it is written later.
fn make_room<R: Real>(out: &mut Reconstruction<R>, count: usize, n: usize, synthesis: Synthesis) {
    out.count = count;
    out.planes.resize(count * n, R::default());
    out.frames.resize(if synthesis == Synthesis::Frames { count * n } else { 0 }, R::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_names_every_frame_once_and_only_known_references() {
        for count in 1..=33 {
            for previous in [0, 1, 8, 16] {
                let nodes = schedule(count, previous);
                let mut known: Vec<isize> = (1..=previous as isize).map(|t| -t).collect();
                for node in &nodes {
                    let references: Vec<isize> = match node.kind {
                        Kind::Key => vec![],
                        Kind::Ahead { last, older } => [Some(last), older].into_iter().flatten().collect(),
                        Kind::Middle { lo, hi, lo2, hi2 } => {
                            [Some(lo), Some(hi), lo2, hi2].into_iter().flatten().collect()
                        }
                    };
                    assert!(references.iter().all(|t| known.contains(t)), "{count} after {previous}: {node:?}");
                    assert!(!known.contains(&(node.t as isize)));
                    known.push(node.t as isize);
                }
                assert_eq!(nodes.len(), count);
                let predicted = nodes.iter().filter(|n| n.kind != Kind::Key).count();
                assert_eq!(predicted, predicted_planes(count, previous > 0));
            }
        }
    }
}

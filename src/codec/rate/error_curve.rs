//! How a field's error grows with the quantiser's step, forecast from some of its segments: for sharing an error budget
//! among fields that are coded apart.

use super::forecast::{Forecast, Looked, Subject};
use super::survey::{Probes, Survey};
use crate::bound::Bound;
use crate::codec::codec::Codec;
use crate::codec::plan::candidate::{FAST_CONTEXTS, untried};
use crate::codec::segment::context::FieldContext;
use crate::codec::segment::frames::Frames;
use crate::codec::tools::Tools;
use crate::error::Result;
use crate::field::{Axes, Element, FieldStats, FieldView, Normalisation, Values, f32_suffices};
use crate::residual::kernels::Kernel;
use crate::window::{Cut, Source};

/// Segments that speak for the field, and one in so many of their windows that is looked at.
const PROBES: usize = 8;
const WINDOW_STRIDE: usize = 4;
/// A uniform quantiser's squared error over its squared step, where the step is too fine for the coder to say.
const FINE: f64 = 1.0 / 12.0;

/// Estimated sums of squared errors over the field's valid points, in squared units, for each of `steps`, which rise,
/// in units; one is `unit` in the field's.
pub(crate) fn error_curve(
    field: &FieldView<'_>,
    codec: &Codec,
    axes: Option<Axes>,
    unit: f64,
    steps: &[f64],
) -> Result<Vec<f64>> {
    let steps = Steps { unit, all: steps };
    match field.values {
        Values::F32(values) => curve(field, values, codec, axes, steps),
        Values::F64(values) => curve(field, values, codec, axes, steps),
    }
}

/// Steps that rise, in units; one is `unit` in the field's.
#[derive(Clone, Copy)]
struct Steps<'a> {
    unit: f64,
    all: &'a [f64],
}

fn curve<T: Element>(
    field: &FieldView<'_>,
    values: &[T],
    codec: &Codec,
    axes: Option<Axes>,
    steps: Steps<'_>,
) -> Result<Vec<f64>> {
    let stats = FieldStats::of(field, codec.options.fill_value, &codec.options.sentinels);
    let (Some(normalisation), Some(specials), None) = (Normalisation::of(&stats), &stats.specials, stats.uniform)
    else {
        return Ok(vec![0.0; steps.all.len()]);
    };
    let context = FieldContext {
        normalisation: &normalisation,
        specials,
        clamped: true,
        bound: Bound::Abs(1.0),
        range: stats.range(),
        package: None,
        reference: None,
        progress: None,
        memo: None,
    };
    let cut = Cut::new(field.shape(), axes, codec.options.segment)?;
    let tools = Tools { options: &codec.options, package: None, workers: &codec.workers, keeps_mean: false };
    let finest = steps.all.first().copied().unwrap_or(1.0);
    let sums = if f32_suffices(stats.range(), finest * steps.unit) {
        forecast::<T, f32>(field, values, &cut, &context, steps, &tools)?
    } else {
        forecast::<T, f64>(field, values, &cut, &context, steps, &tools)?
    };
    // No error is larger than that of the mean, and none shrinks as the step grows.
    let mut most = 0.0f64;
    Ok(sums
        .into_iter()
        .map(|sum| {
            most = most.max(sum);
            most
        })
        .collect())
}

/// Squared errors of all segments, in squared units, forecast from the spectra of those that speak for the field.
fn forecast<T: Element, R: Kernel>(
    field: &FieldView<'_>,
    values: &[T],
    cut: &Cut,
    context: &FieldContext<'_>,
    steps: Steps<'_>,
    tools: &Tools<'_>,
) -> Result<Vec<f64>> {
    let count = cut.segments.len();
    let scale = context.normalisation.scale() / steps.unit;
    let middle = steps.all[steps.all.len() / 2] / scale;
    let source = |index: usize| {
        let (segment, along) = (&cut.segments[index], cut.strides(&field.strides));
        Source { values, segment, placement: segment.place(&field.strides, along) }
    };
    let probes = if count <= PROBES {
        Probes::all(count)
    } else {
        Probes::of(Survey::of::<T, R>(source, count, context, middle, tools)?, middle, PROBES)
    };
    let parts = tools.map(0..probes.segments.len(), |k| {
        let source = source(probes.segments[k]);
        let segment = source.segment;
        let load = |first: usize, count: usize, frames: &mut Frames<R>| {
            frames.load(&source, context, first, count);
            Ok(())
        };
        let points = segment.points();
        let (layout, header) = (segment.layout(), untried(segment, FAST_CONTEXTS));
        let subject = Subject { frames: segment.count, layout: &layout, header: &header, reference: None };
        let forecast = Forecast::of(subject, middle, Looked::OneIn(WINDOW_STRIDE), load)?;
        let error = |step: &f64| match &forecast {
            Some(forecast) => forecast.total(step / scale),
            None => (step / scale).powi(2) * FINE * points as f64,
        };
        Ok(steps.all.iter().map(error).collect::<Vec<f64>>())
    })?;
    let total = |(k, step): (usize, &f64)| probes.total(step / scale, parts.iter().map(|errors| errors[k]));
    Ok(steps.all.iter().enumerate().map(|step| total(step) * scale * scale).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn curves_rise_and_end_at_the_variance() {
        let values: Vec<f64> = (0..32 * 32 * 8)
            .map(|i| 3.0 * ((i % 32) as f64 * 0.3).sin() * ((i / 32 % 32) as f64 * 0.2).cos() + (i / 1024) as f64)
            .collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        let codec = Codec::new(Options { threads: Some(1), ..Default::default() }).unwrap();
        let field = FieldView::new(&values, &[8, 32, 32]).unwrap();
        let steps = [1e-3, 1e-2, 0.1, 1.0, 1e6];
        let curve = error_curve(&field, &codec, None, 1.0, &steps).unwrap();
        assert!(curve.windows(2).all(|pair| pair[0] <= pair[1]), "{curve:?}");
        assert!(curve[0] <= values.len() as f64 * 1e-6, "{curve:?}");
        // The wavelet is only nearly orthonormal, least so on frames as small as these.
        assert!((curve[4] / variance - 1.0).abs() < 0.25, "{curve:?} {variance}");
    }

    /// One segment of a hundred that holds all the error is not overlooked, wherever it is.
    #[test]
    fn curves_know_of_every_segment() {
        let codec = Codec::new(Options { threads: Some(1), ..Default::default() }).unwrap();
        let curves = [3, 50, 97].map(|lively| {
            let values: Vec<f32> = (0..100 * 4 * 16 * 16)
                .map(|i: usize| {
                    let noise = (i as u32).wrapping_mul(0x9e37_79b9) >> 16;
                    let amplitude = if i / 1024 == lively { 1.0 } else { 1e-3 };
                    amplitude * (noise as f32 / 65536.0 - 0.5)
                })
                .collect();
            let field = FieldView::new(&values, &[100, 4, 16, 16]).unwrap();
            error_curve(&field, &codec, None, 1.0, &[1e-3, 1e-2, 0.1]).unwrap()
        });
        for curve in &curves {
            for (a, b) in curve.iter().zip(&curves[0]) {
                assert!((a / b - 1.0).abs() < 0.2, "{curves:?}");
            }
        }
        // Nearly all is noise of the lively segment: a twelfth of the squared step at each of its points.
        assert!((0.04..0.1).contains(&(curves[0][2] / 1024.0 / 0.01)), "{curves:?}");
    }
}

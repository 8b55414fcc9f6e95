//! One field at one target: every compressor at equal error, then their times, in turns.

use crate::peers::{Method, Search, methods};
use crate::reference::Reference;
use crate::sample::Sample;
use crate::search::{CLOSE, TOLERANCE, search_within};
use anyhow::{Context, Result};
use cpu_time::ProcessTime;
use std::path::Path;

/// What one compressor did with one field at one target.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// The field's name.
    pub field: String,
    /// Bytes of the uncompressed field.
    pub input_bytes: usize,
    /// The compressor.
    pub codec: &'static str,
    /// Its mode: the best of those it has.
    pub mode: &'static str,
    /// The mode's parameter.
    pub parameter: f64,
    /// The NRMSE that was asked for.
    pub target: f64,
    /// The NRMSE of what was decompressed.
    pub nrmse: f64,
    /// Its largest absolute error over the field's range.
    pub max_error: f64,
    /// Bytes of the stream.
    pub stream_bytes: usize,
    /// Seconds of processor time to compress; the median of the runs.
    pub compress_seconds: f64,
    /// Seconds of processor time to decompress; the median of the runs.
    pub decompress_seconds: f64,
    /// Share of the stream's chunks that used the foundation model.
    pub fm_share: Option<f64>,
}

impl Measurement {
    /// Uncompressed over compressed bytes.
    pub fn ratio(&self) -> f64 {
        self.input_bytes as f64 / self.stream_bytes as f64
    }

    /// Uncompressed MB (10^6 bytes) compressed in a second.
    pub fn compress_speed(&self) -> f64 {
        self.input_bytes as f64 / 1e6 / self.compress_seconds
    }

    /// Uncompressed MB (10^6 bytes) restored in a second.
    pub fn decompress_speed(&self) -> f64 {
        self.input_bytes as f64 / 1e6 / self.decompress_seconds
    }
}

/// A method with the parameter that meets the target.
struct Tuned<T: Sample> {
    method: Box<dyn Method<T>>,
    parameter: f64,
    bytes: usize,
}

/// Which compressors to run, and how often each is timed.
pub struct Plan<'a> {
    /// Names as in [`crate::peers::CODECS`].
    pub codecs: &'a [&'static str],
    /// Timed runs of each; the median counts.
    pub repeats: usize,
    /// Modes and parameters found earlier: tried before a search, and taken where they still meet the target.
    pub known: &'a [Known],
    /// The model package of [`crate::peers::Fieldpress::TUNED`].
    pub tuned: Option<&'a Path>,
}

/// The mode and parameter that met a target in an earlier run.
#[derive(Clone)]
pub struct Known {
    /// The field's name.
    pub field: String,
    /// The NRMSE that was asked for.
    pub target: f64,
    /// The compressor.
    pub codec: String,
    /// Its mode.
    pub mode: String,
    /// The mode's parameter.
    pub parameter: f64,
}

/// Compresses and restores once; `out` is the reconstruction.
fn round_trip<T: Sample>(
    method: &dyn Method<T>,
    field: &Reference<'_, T>,
    parameter: f64,
    out: &mut [T],
) -> Result<Vec<u8>> {
    let values = method.prepare(field, parameter);
    let stream = method.compress(field, &values, parameter)?;
    method.decompress(field, &stream, out)?;
    method.restore(out, parameter);
    Ok(stream)
}

/// The codec in the mode and with the parameter that an earlier run found, where that still meets the target.
fn tuned_before<T: Sample>(
    codec: &str,
    field: &Reference<'_, T>,
    target: f64,
    plan: &Plan<'_>,
    out: &mut [T],
) -> Option<Tuned<T>> {
    let known = plan.known.iter().find(|k| k.codec == codec && k.field == field.name && k.target == target)?;
    let method = methods::<T>(codec, plan.tuned).into_iter().find(|method| method.mode() == known.mode)?;
    if matches!(method.search(field, target), Search::Direct) {
        return None;
    }
    let bytes = round_trip(&*method, field, known.parameter, out).ok()?.len();
    let off = (field.error(out).nrmse / target - 1.0).abs();
    (off <= TOLERANCE).then_some(Tuned { method, parameter: known.parameter, bytes })
}

/// The codec's best mode at `target`.
fn tune<T: Sample>(
    codec: &str,
    field: &Reference<'_, T>,
    target: f64,
    plan: &Plan<'_>,
    out: &mut [T],
) -> Result<Tuned<T>> {
    let mut best: Option<Tuned<T>> = None;
    let mut failure = None;
    for method in methods::<T>(codec, plan.tuned) {
        let trial = |parameter| {
            let stream = round_trip(&*method, field, parameter, out)?;
            Ok((field.error(out).nrmse, stream.len()))
        };
        let found = match method.search(field, target) {
            Search::Direct => search_within(TOLERANCE, target, target, trial),
            Search::Bisect { start } => search_within(CLOSE, start, target, trial),
        }
        .map(|trial| (trial.parameter, trial.bytes));
        match found {
            Ok((parameter, bytes)) if best.as_ref().is_none_or(|best| bytes < best.bytes) => {
                best = Some(Tuned { method, parameter, bytes });
            }
            Ok(_) => {}
            Err(error) => failure = Some(error),
        }
    }
    best.ok_or_else(|| failure.unwrap_or_else(|| anyhow::anyhow!("the compressor is not known")))
        .with_context(|| format!("{codec} on {} at NRMSE {target}", field.name))
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// All compressors of `plan` on `field` at `target`. Compressors that fail are named in the second list.
pub fn compare<T: Sample>(
    field: &Reference<'_, T>,
    target: f64,
    plan: &Plan<'_>,
) -> (Vec<Measurement>, Vec<anyhow::Error>) {
    let mut out = vec![T::default(); field.values.len()];
    let mut failures = Vec::new();
    let mut tuned = Vec::new();
    for codec in plan.codecs {
        let before = tuned_before(codec, field, target, plan, &mut out);
        match before.map_or_else(|| tune(codec, field, target, plan, &mut out), Ok) {
            Ok(found) => tuned.push(found),
            Err(error) => failures.push(error),
        }
    }
    // In turns, so that a busy minute of the machine falls on all of them.
    let mut times: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); tuned.len()];
    let mut last: Vec<Option<Measurement>> = vec![None; tuned.len()];
    for _ in 0..plan.repeats.max(1) {
        for (i, Tuned { method, parameter, .. }) in tuned.iter().enumerate() {
            match timed(&**method, field, *parameter, target, &mut out) {
                Ok(measurement) => {
                    times[i].0.push(measurement.compress_seconds);
                    times[i].1.push(measurement.decompress_seconds);
                    last[i] = Some(measurement);
                }
                Err(error) => failures.push(error),
            }
        }
    }
    let measurements = last.into_iter().zip(times).filter_map(|(measurement, (compress, decompress))| {
        let measurement = measurement?;
        Some(Measurement { compress_seconds: median(compress), decompress_seconds: median(decompress), ..measurement })
    });
    (measurements.collect(), failures)
}

/// One timed run at the final parameter, and what its output is like.
fn timed<T: Sample>(
    method: &dyn Method<T>,
    field: &Reference<'_, T>,
    parameter: f64,
    target: f64,
    out: &mut [T],
) -> Result<Measurement> {
    let values = method.prepare(field, parameter);
    let start = ProcessTime::now();
    let stream = method.compress(field, &values, parameter)?;
    let compress_seconds = start.elapsed().as_secs_f64();
    let start = ProcessTime::now();
    method.decompress(field, &stream, out)?;
    let decompress_seconds = start.elapsed().as_secs_f64();
    method.restore(out, parameter);
    let error = field.error(out);
    Ok(Measurement {
        field: field.name.clone(),
        input_bytes: field.bytes(),
        codec: method.codec(),
        mode: method.mode(),
        parameter,
        target,
        nrmse: error.nrmse,
        max_error: error.max_abs / field.range,
        stream_bytes: stream.len(),
        compress_seconds,
        decompress_seconds,
        fm_share: method.fm_share(&stream),
    })
}

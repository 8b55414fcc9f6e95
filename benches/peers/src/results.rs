//! Results as CSV, table and means.

use crate::compare::{Known, Measurement};
use crate::peers::{CODECS, Fieldpress};
use crate::search::TOLERANCE;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::Path;

/// The target at which speeds are compared.
pub const SPEED_TARGET: f64 = 4e-3;

const CSV_NOTE: &str = "\
# nrmse: root mean square error / (max - min), both over the valid points. Every compressor's own parameter was searched until\n\
# its nrmse was within 1 % of target_nrmse (column on_target); the best of its modes counts. fieldpress is given the target as\n\
# its bound (parameter says so), and a looser one only where it stayed more than 1 % below. Where the field has holes (NaN, Inf, fill value), peers got it with the holes filled smoothly, which is their best\n\
# case; fieldpress got it as it is and restores the holes bit for bit.\n\
# Speeds are uncompressed MB (10^6 bytes) over processor time of the process, median of the runs, one thread; *_vs_sperr is the\n\
# same over SPERR's on this field and target, in this run.\n";

fn same_point<'a>(all: &'a [Measurement], m: &Measurement, codec: &str) -> Option<&'a Measurement> {
    all.iter().find(|o| o.codec == codec && o.field == m.field && o.target == m.target)
}

/// The whole CSV.
pub fn csv(all: &[Measurement]) -> String {
    let mut text = CSV_NOTE.to_owned();
    text.push_str(
        "field,target_nrmse,codec,mode,parameter,nrmse,on_target,max_error_over_range,input_bytes,stream_bytes,ratio,\
         compress_mb_s,decompress_mb_s,compress_vs_sperr,decompress_vs_sperr,fm_share\n",
    );
    for m in all {
        let sperr = same_point(all, m, "SPERR");
        let relative =
            |speed: fn(&Measurement) -> f64| sperr.map_or(String::new(), |s| format!("{:.3}", speed(m) / speed(s)));
        let _ = writeln!(
            text,
            "{},{:e},{},{},{:.6e},{:.4e},{},{:.3e},{},{},{:.2},{:.2},{:.2},{},{},{}",
            m.field,
            m.target,
            m.codec,
            m.mode,
            m.parameter,
            m.nrmse,
            if (m.nrmse / m.target - 1.0).abs() <= TOLERANCE { "yes" } else { "no" },
            m.max_error,
            m.input_bytes,
            m.stream_bytes,
            m.ratio(),
            m.compress_speed(),
            m.decompress_speed(),
            relative(Measurement::compress_speed),
            relative(Measurement::decompress_speed),
            m.fm_share.map_or(String::new(), |share| format!("{share:.3}")),
        );
    }
    text
}

/// Writes the CSV, so far or whole.
pub fn write_csv(path: &Path, all: &[Measurement]) -> Result<()> {
    std::fs::write(path, csv(all)).with_context(|| format!("cannot write {}", path.display()))
}

/// The modes and parameters in a CSV that [`write_csv`] wrote.
pub fn read_known(path: &Path) -> Result<Vec<Known>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let rows = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.map(|row| {
        let broken = || format!("{}: the row '{row}' is not one of this tool's", path.display());
        let [field, target, codec, mode, parameter] =
            row.split(',').take(5).collect::<Vec<_>>().try_into().ok().with_context(broken)?;
        Ok(Known {
            field: field.to_owned(),
            target: target.parse().with_context(broken)?,
            codec: codec.to_owned(),
            mode: mode.to_owned(),
            parameter: parameter.parse().with_context(broken)?,
        })
    })
    .collect()
}

/// Codecs that occur, in the order of results.
pub fn codecs_in(all: &[Measurement]) -> Vec<&'static str> {
    CODECS.into_iter().filter(|codec| all.iter().any(|m| m.codec == *codec)).collect()
}

/// (field, target) pairs in order of appearance.
pub fn points(all: &[Measurement]) -> Vec<(&str, f64)> {
    let mut points: Vec<(&str, f64)> = Vec::new();
    for m in all {
        if !points.contains(&(m.field.as_str(), m.target)) {
            points.push((&m.field, m.target));
        }
    }
    points
}

fn find<'a>(all: &'a [Measurement], codec: &str, (field, target): (&str, f64)) -> Option<&'a Measurement> {
    all.iter().find(|m| m.codec == codec && m.field == field && m.target == target)
}

fn three_digits(x: f64) -> String {
    let decimals = (2 - x.log10().floor() as i32).clamp(0, 3) as usize;
    format!("{x:.decimals$}")
}

/// One row for each point, one column for each codec, of `value`.
fn table(all: &[Measurement], points: &[(&str, f64)], value: impl Fn(&Measurement) -> Option<String>) -> String {
    let codecs = codecs_in(all);
    let mut text =
        format!("| field | NRMSE | {} |\n| --- | --- |{}\n", codecs.join(" | "), " --- |".repeat(codecs.len()));
    for &point in points {
        let _ = write!(text, "| {} | {:e} |", point.0, point.1);
        for codec in &codecs {
            let cell = find(all, codec, point).and_then(&value);
            let _ = write!(text, " {} |", cell.as_deref().unwrap_or("–"));
        }
        text.push('\n');
    }
    text
}

/// Geometric mean and smallest of `ours / theirs` over the points that have both.
fn gain(all: &[Measurement], points: &[(&str, f64)], ours: &str, theirs: &str) -> Option<(f64, f64, usize)> {
    let gains: Vec<f64> = points
        .iter()
        .filter_map(|&point| Some(find(all, ours, point)?.ratio() / find(all, theirs, point)?.ratio()))
        .collect();
    let mean = (gains.iter().map(|g| g.ln()).sum::<f64>() / gains.len() as f64).exp();
    let least = gains.iter().copied().min_by(f64::total_cmp)?;
    Some((mean, least, gains.len()))
}

/// The section on ratios over the peers' at the `counted` points; empty where one side did not run.
fn gains(all: &[Measurement], counted: &[(&str, f64)]) -> String {
    let mut rows = String::new();
    for ours in [Fieldpress::FAST, Fieldpress::NO_MODEL, Fieldpress::NORMAL, Fieldpress::HIGH] {
        for peer in ["SPERR", "SZ3", "ZFP"] {
            if let Some((mean, least, points)) = gain(all, counted, ours, peer) {
                let _ = writeln!(rows, "| {ours} | {peer} | {points} | {mean:.3} | {least:.3} |");
            }
        }
    }
    if rows.is_empty() {
        return rows;
    }
    let mut names: Vec<&str> = counted.iter().map(|(field, _)| *field).collect();
    names.dedup();
    format!(
        "\n## fieldpress over the peers\n\nRatio over the peer's at the same point, over {}.\n\n\
         | | peer | points | geometric mean | smallest |\n| --- | --- | --- | --- | --- |\n{rows}",
        names.join(", ")
    )
}

/// The report: ratios, gains over the peers on the points whose field `counts`, and speeds.
pub fn summary(title: &str, all: &[Measurement], counts: impl Fn(&str) -> bool) -> String {
    let every = points(all);
    let counted: Vec<(&str, f64)> = every.iter().copied().filter(|(field, _)| counts(field)).collect();
    let mut text = format!("# {title}\n\n## Ratio at equal NRMSE\n\n");
    text += &table(all, &every, |m| {
        let mark = if (m.nrmse / m.target - 1.0).abs() <= TOLERANCE { "" } else { " (off)" };
        Some(three_digits(m.ratio()) + mark)
    });
    if all.iter().any(|m| (m.nrmse / m.target - 1.0).abs() > TOLERANCE) {
        text += "\n(off): the compressor's error could not be brought within 1 % of the target; the nearest below counts.\n";
    }
    text += &gains(all, &counted);
    let speed_points: Vec<(&str, f64)> = every.iter().copied().filter(|&(_, target)| target == SPEED_TARGET).collect();
    if !speed_points.is_empty() && all.iter().any(|m| m.codec == "SPERR") {
        text += "\n## Throughput over SPERR's, one thread\n\nCompression / decompression.\n\n";
        text += &table(all, &speed_points, |m| {
            let sperr = same_point(all, m, "SPERR")?;
            let compress = m.compress_speed() / sperr.compress_speed();
            let decompress = m.decompress_speed() / sperr.decompress_speed();
            Some(format!("{} / {}", three_digits(compress), three_digits(decompress)))
        });
    }
    if all.iter().any(|m| m.fm_share.is_some()) {
        text += "\n## Share of chunks that used the foundation model\n\n";
        text += &table(all, &every, |m| Some(format!("{:.2}", m.fm_share?)));
    }
    text
}

//! The commands on archives: show, extract, check, repair.

use crate::args::{self, ExtractArgs, ExtractTo, PlotArgs, RepairArgs, Steps, VerifyArgs};
use crate::commands;
use crate::described::{self, Described};
use crate::failure::Failure;
use crate::frame::Frame;
use crate::header;
use crate::netcdf_out;
use crate::picture::{self, Caption};
use crate::progress::Progress;
use crate::report;
use crate::source::Field;
use crate::target;
use fieldpress::archive::{Attribute, Reader, Selection, VerifyDepth, is_archive, repair, verify};
use fieldpress::{ErrorKind, Options};
use serde_json::{Map, Value, json};
use std::ops::Range;
use std::path::Path;

pub fn open(path: &str, options: Options) -> Result<Reader, Failure> {
    Reader::open_with(path.as_ref(), options).map_err(|error| match error.kind() {
        ErrorKind::Corrupt => Failure::input(format!("{error}; fieldpress repair may save the rest")),
        ErrorKind::Io => Failure::input(error.message()),
        _ => error.into(),
    })
}

fn attributes_json(attributes: &[(String, Attribute)]) -> Value {
    let value = |value: &Attribute| match value {
        Attribute::Text(text) => json!(text),
        Attribute::Integers(values) => json!(values),
        Attribute::Reals(values) => json!(values),
    };
    Value::Object(attributes.iter().map(|(name, attribute)| (name.clone(), value(attribute))).collect())
}

pub fn info(path: &str, as_json: bool) -> Result<(), Failure> {
    let reader = open(path, Options::default())?;
    let steps = reader.steps();
    let times = [reader.time(0)?, reader.time(steps - 1)?];
    let mut variables = Vec::new();
    for (number, variable) in reader.definitions().variables.iter().enumerate() {
        let (mut chunks, mut input, mut stream, mut worst, mut bound) = (0, 0, 0, 0.0f64, None);
        let (mut there, mut most) = (0, 0);
        for commit in reader.commits() {
            if let Some(info) = reader.commit_info(number, commit.start)? {
                chunks += info.chunks;
                input += info.input_bytes;
                stream += info.stream_bytes;
                worst = worst.max(info.nrmse);
                there += commit.end - commit.start;
                most = most.max(info.chunks);
                bound = Some(info.bound.to_string());
            }
        }
        let mut object = Map::new();
        object.insert("name".into(), json!(variable.name));
        object.insert("dims".into(), json!(variable.shape.dims()));
        object.insert("type".into(), json!(variable.dtype.name()));
        object.insert("steps".into(), json!(there));
        object.insert("chunks".into(), json!(chunks));
        object.insert("most_chunks".into(), json!(most));
        object.insert("input_bytes".into(), json!(input));
        object.insert("stream_bytes".into(), json!(stream));
        object.insert("bound".into(), json!(bound));
        object.insert("largest_nrmse".into(), json!(worst));
        object.insert("attributes".into(), attributes_json(&variable.attributes));
        variables.push(object);
    }
    let bytes = std::fs::metadata(path).map_err(|error| Failure::reading(path, error))?.len();
    if as_json {
        let mut object = Map::new();
        object.insert("archive_bytes".into(), json!(bytes));
        object.insert("steps".into(), json!(steps));
        object.insert("commits".into(), json!(reader.commits().len()));
        object.insert("first_time".into(), json!(times[0]));
        object.insert("last_time".into(), json!(times[1]));
        object.insert("newest_is_damaged".into(), json!(reader.newest_is_damaged()));
        object.insert("front_is_damaged".into(), json!(reader.front_is_damaged()));
        let model = reader.embedded_model().map(|(name, hash)| json!({ "name": name, "sha256": hash }));
        object.insert("model".into(), json!(model));
        object.insert("attributes".into(), attributes_json(&reader.definitions().attributes));
        object.insert("variables".into(), Value::Array(variables.into_iter().map(Value::Object).collect()));
        return report::print_json(object);
    }
    let held: Vec<String> = variables.iter().map(held).collect();
    report::print_text(&header::text(path, &reader, &held, &facts(&reader, bytes)))
}

fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// What an archive has of a variable, in a few words.
fn held(object: &Map<String, Value>) -> String {
    let number = |key: &str| object[key].as_u64().unwrap_or(0);
    let ratio = number("input_bytes") as f64 / number("stream_bytes").max(1) as f64;
    format!(
        "{}, up to {}, ratio {ratio:.2}, bound {}, NRMSE at most {:.4e}",
        count(number("steps"), "step"),
        count(number("most_chunks"), "chunk"),
        object["bound"].as_str().unwrap_or("none"),
        object["largest_nrmse"].as_f64().unwrap_or(0.0)
    )
}

/// What there is to say of an archive as a file.
fn facts(reader: &Reader, bytes: u64) -> Vec<String> {
    let (steps, commits) = (count(reader.steps(), "step"), count(reader.commits().len() as u64, "commit"));
    let mut out = vec![format!("{bytes} bytes, {steps} in {commits}")];
    if let Some((name, hash)) = reader.embedded_model() {
        out.push(format!("model: carries '{name}', SHA-256 {hash}"));
    }
    if reader.newest_is_damaged() {
        out.push("damage: a newer commit cannot be read; fieldpress repair may save it".into());
    }
    if reader.front_is_damaged() {
        out.push("damage: one of two copies of the superblock; the next commit writes it anew".into());
    }
    out
}

/// The steps that the arguments name.
pub fn steps(args: &Steps, reader: &Reader) -> Result<Range<u64>, Failure> {
    let all = reader.steps();
    let (first, end) = match (args.step, &args.steps) {
        (Some(step), _) => (step, step.saturating_add(1)),
        (None, Some(range)) => (range.0, range.1),
        (None, None) => (0, all),
    };
    if first >= end || end > all {
        return Err(Failure::usage(format!("steps {first} to {end} (excluded) are wanted; the archive has {all}")));
    }
    Ok(first..end)
}

/// The number of the variable of this name, or of the only one.
pub fn only_variable(reader: &Reader, name: Option<&str>) -> Result<usize, Failure> {
    let definitions = reader.definitions();
    match (name, &definitions.variables[..]) {
        (Some(name), _) => Ok(definitions.number(name)?),
        (None, [_]) => Ok(0),
        (None, variables) => {
            let names: Vec<&str> = variables.iter().map(|variable| variable.name.as_str()).collect();
            Err(Failure::usage(format!("one variable is wanted: choose with --variable {}", names.join("|"))))
        }
    }
}

pub fn extract(args: &ExtractArgs) -> Result<(), Failure> {
    let reader = open(&args.input, args.running.options()?)?;
    let steps = steps(&args.steps, &reader)?;
    let region = args.part.region();
    let definitions = reader.definitions();
    let numbers = match args.variable.as_slice() {
        [] => (0..definitions.variables.len()).collect(),
        names => names.iter().map(|name| definitions.number(name)).collect::<Result<Vec<_>, _>>()?,
    };
    let to = args.to.unwrap_or_else(|| ExtractTo::of(&args.output));
    let _progress = Progress::start(&format!("extracting {}", args.input));
    if to == ExtractTo::Netcdf {
        return netcdf_out::write(&reader, &numbers, steps, region.as_ref(), args.missing, &args.output);
    }
    let [number] = numbers[..] else {
        let names: Vec<&str> = definitions.variables.iter().map(|variable| variable.name.as_str()).collect();
        return Err(Failure::usage(format!(
            "one variable goes into a raw or .npy file: choose with --variable {}, or use --to netcdf",
            names.join("|")
        )));
    };
    let missing = args.missing.or_else(|| definitions.variables[number].fill_value());
    let selection = Selection { steps, region, missing };
    let mut field = Field::new(selection.output_shape(reader.variable(number)?)?, reader.variable(number)?.dtype)?;
    reader.read(number, &selection, &mut field.view_mut()?)?;
    target::write_as(&args.output, &field, to == ExtractTo::Npy)
}

/// Draws one step of a variable, or a frame of it.
pub fn plot(args: &PlotArgs) -> Result<(), Failure> {
    commands::png_only(&args.output)?;
    if !is_archive(args.original.as_ref()) {
        return Err(Failure::usage(format!("{} needs its stream to be drawn with", args.original)));
    }
    let reader = open(&args.original, args.running.options()?)?;
    let definitions = reader.definitions();
    let number = only_variable(&reader, args.variable.as_deref())?;
    let last = reader.steps().saturating_sub(1);
    let step = args.step.unwrap_or(last);
    if step > last {
        return Err(Failure::usage(format!("--step {step}: the archive has the steps 0 to {last}")));
    }
    let info = reader.variable(number)?;
    let commit = reader.commit_info(number, step)?;
    let commit = commit.ok_or_else(|| Failure::input(format!("{} was not written in step {step}", info.name)))?;
    let region = commands::frame_region(&info.shape, args.frame)?;
    // NaN is no data.
    let missing = info.fill_value().or(Some(f64::NAN));
    let selection = Selection { region: Some(region), missing, ..Selection::step(step) };
    let mut field = Field::new(selection.output_shape(info)?, info.dtype)?;
    reader.read(number, &selection, &mut field.view_mut()?)?;

    let (rows, columns) = commands::frame_size(&info.shape);
    let described = Described::of_archive(&reader, number);
    let units = described::text(&definitions.names().time, "units");
    let frame = if info.shape.ndim() > 2 { format!(", frame {}", args.frame) } else { String::new() };
    let mut detail = format!("time {} {units}", reader.time(step)?).trim_end().to_owned();
    if !described.axes_text().is_empty() {
        detail = format!("{detail}, {}", described.axes_text());
    }
    let caption = Caption {
        name: format!("{}: {}, step {step}{frame}", commands::short_name(&args.original), info.name),
        bound: commit.bound.to_string(),
        ratio: commit.input_bytes as f64 / commit.stream_bytes.max(1) as f64,
        nrmse: commit.nrmse,
        detail,
    };
    let mut masked: Vec<f64> =
        args::options([args.fill_value.as_ref()])?.fill_value.or(info.fill_value()).into_iter().collect();
    // What an archive's variable has of them is not stored.
    masked.extend(field.data.sentinels());
    let values = picture::values(&field.data, 0..rows * columns, &masked);
    let png = picture::draw(None, &values, &Frame::new(rows, columns, &described), &caption)?;
    target::write(&args.output, |writer| writer.write_all(&png))
}

/// Checks an archive by itself; there is no original.
pub fn check(args: &VerifyArgs) -> Result<(), Failure> {
    let reader = open(&args.original, args.running.options()?)?;
    let verified = {
        let _progress = Progress::start(&format!("verifying {}", args.original));
        verify(&reader, if args.decode { VerifyDepth::Decode } else { VerifyDepth::Checksums })?
    };
    if args.json {
        let damage = verified.damage.iter().map(|damage| {
            json!({
                "first_step": damage.steps.start,
                "last_step": damage.steps.end - 1,
                "variable": damage.variable,
                "error": damage.error.message(),
            })
        });
        let mut object = Map::new();
        object.insert("steps".into(), json!(verified.steps));
        object.insert("chunks".into(), json!(verified.chunks));
        object.insert("stream_bytes".into(), json!(verified.stream_bytes));
        object.insert("decoded".into(), json!(args.decode));
        object.insert("sound".into(), json!(verified.damage.is_empty()));
        object.insert("damage".into(), damage.collect());
        report::print_json(object)?;
    } else {
        let what = if args.decode { "decoded" } else { "checksums tested" };
        let mut lines = vec![(
            "archive",
            format!("{} steps, {} chunks, {} bytes, {what}", verified.steps, verified.chunks, verified.stream_bytes),
        )];
        for damage in &verified.damage {
            lines.push(("damage", loss_line(&damage.steps, damage.variable.as_deref(), damage.error.message())));
        }
        lines.push(("sound", if verified.damage.is_empty() { "yes" } else { "NO" }.into()));
        report::print_lines(&lines)?;
    }
    match verified.damage.len() {
        0 => Ok(()),
        n => Err(Failure::input(format!("{}: {n} parts cannot be read", args.original))),
    }
}

fn loss_line(steps: &Range<u64>, variable: Option<&str>, message: &str) -> String {
    let steps = match steps.end - steps.start {
        1 => format!("step {}", steps.start),
        _ => format!("steps {} to {}", steps.start, steps.end - 1),
    };
    format!("{steps}, {}: {message}", variable.unwrap_or("all variables"))
}

pub fn mend(args: &RepairArgs) -> Result<(), Failure> {
    let repaired = {
        let _progress = Progress::start(&format!("repairing {}", args.input));
        repair(Path::new(&args.input), &args.output).map_err(|error| match error.kind() {
            ErrorKind::Io => Failure::reading(&args.input, error),
            _ => error.into(),
        })?
    };
    let mut lines = vec![("saved", format!("{} steps, {} chunks", repaired.steps, repaired.chunks))];
    for loss in &repaired.losses {
        lines.push(("lost", loss_line(&loss.steps, loss.variable.as_deref(), loss.error.message())));
    }
    report::print_lines(&lines)
}

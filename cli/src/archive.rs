//! The commands on archives: show, extract, check, repair.

use crate::args::{ExtractArgs, ExtractTo, RepairArgs, VerifyArgs};
use crate::failure::Failure;
use crate::netcdf_out;
use crate::progress::Progress;
use crate::report;
use crate::source::Field;
use crate::target;
use fieldpress::archive::{Attribute, Reader, Selection, VerifyDepth, repair, verify};
use fieldpress::{ErrorKind, Options, Region};
use serde_json::{Map, Value, json};
use std::ops::Range;
use std::path::Path;

fn open(path: &str, options: Options) -> Result<Reader, Failure> {
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
    let mut lines = vec![
        ("archive", format!("{bytes} bytes, {steps} steps in {} commits", reader.commits().len())),
        ("time", format!("{} to {}", times[0], times[1])),
    ];
    if let Some((name, hash)) = reader.embedded_model() {
        lines.push(("model", format!("carries '{name}', SHA-256 {hash}")));
    }
    for (name, value) in &reader.definitions().attributes {
        lines.push(("attribute", format!("{name}: {value}")));
    }
    for (object, variable) in variables.iter().zip(&reader.definitions().variables) {
        let number = |key: &str| object[key].as_u64().unwrap_or(0);
        let ratio = number("input_bytes") as f64 / number("stream_bytes").max(1) as f64;
        lines.push((
            "variable",
            format!(
                "{}: {} {}, {} steps, up to {} chunks, ratio {ratio:.2}, bound {}, NRMSE at most {:.4e}",
                variable.name,
                variable.shape,
                variable.dtype.name(),
                number("steps"),
                number("most_chunks"),
                object["bound"].as_str().unwrap_or("none"),
                object["largest_nrmse"].as_f64().unwrap_or(0.0)
            ),
        ));
        for (name, value) in &variable.attributes {
            lines.push(("", format!("  {name}: {value}")));
        }
    }
    if reader.newest_is_damaged() {
        lines.push(("damage", "a newer commit cannot be read; fieldpress repair may save it".into()));
    }
    if reader.front_is_damaged() {
        lines.push(("damage", "one of two copies of the superblock; the next commit writes it anew".into()));
    }
    report::print_lines(&lines)
}

/// The steps that the arguments name.
fn steps(args: &ExtractArgs, reader: &Reader) -> Result<Range<u64>, Failure> {
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

pub fn extract(args: &ExtractArgs) -> Result<(), Failure> {
    let reader = open(&args.input, args.running.options()?)?;
    let steps = steps(args, &reader)?;
    let region = match (&args.start, &args.count) {
        (Some(start), Some(count)) => Some(Region { start: start.0.clone(), count: count.0.clone() }),
        _ => None,
    };
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

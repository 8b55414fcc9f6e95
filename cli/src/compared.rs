//! A variable of an archive against the field that it was made of.

use crate::analysis::{self, Pair};
use crate::archive;
use crate::args::{self, VerifyArgs};
use crate::commands;
use crate::described::Described;
use crate::failure::Failure;
use crate::measure::{self, Errors};
use crate::progress::Progress;
use crate::report;
use crate::source::{self, Expected, Field};
use fieldpress::archive::{CommitInfo, Reader, Selection, VariableInfo};
use fieldpress::{Bound, Shape};
use serde_json::{Map, Value, json};
use std::ops::Range;
use std::path::Path;

/// What was compared, and what came out.
struct Compared<'a> {
    name: String,
    variable: &'a VariableInfo,
    steps: Range<u64>,
    /// Those that have some of the steps.
    commits: Vec<CommitInfo>,
    errors: Errors,
    masked: Vec<f64>,
    /// Commits whose bound does not hold, and those whose bound cannot be told of these steps.
    failed: Vec<CommitInfo>,
    unknown: Vec<CommitInfo>,
}

/// Compares steps of a variable with the original; with a page on them where one is wanted.
pub fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let path = args.stream.as_deref().unwrap_or_default();
    if !args.scale.is_empty() {
        return Err(Failure::usage("--scale is of streams: archives are compared as they are"));
    }
    let reader = archive::open(path, args.running.options()?)?;
    let number = archive::only_variable(&reader, args.variable.as_deref())?;
    let steps = archive::steps(&args.steps, &reader)?;
    let variable = reader.variable(number)?;
    let commits = commits(&reader, number, &steps)?;
    let original = original(&args.original, variable, &steps, reader.steps())?;
    let decoded = {
        let _progress = Progress::start(&format!("reading {path}"));
        decoded(&reader, number, &steps)?
    };
    let pair = args.report.as_ref().map(|_| Pair::new(&original, &decoded)).transpose()?;
    let given = args::options([args.fill_value.as_ref()])?.fill_value;
    let mut masked: Vec<f64> = [given, variable.fill_value(), original.fill_value].into_iter().flatten().collect();
    // What an archive's variable has of them is not stored.
    masked.extend(original.data.sentinels());
    let name = format!("{}: {}", commands::short_name(path), variable.name);
    let found = compare(
        (&original, &decoded),
        Compared {
            name,
            variable,
            steps,
            commits,
            errors: Errors::default(),
            masked,
            failed: Vec::new(),
            unknown: Vec::new(),
        },
    )?;
    if let (Some(pair), Some(page)) = (pair, &args.report) {
        let _progress = Progress::start(&format!("writing {}", page.display()));
        pair.page(page, &Value::Object(found.about(&Described::of_archive(&reader, number))))?;
    }
    if args.json {
        report::print_json(found.json())?;
    } else {
        report::print_lines(&found.lines())?;
    }
    match found.failed.first() {
        None => Ok(()),
        Some(commit) => Err(Failure::bound(format!("{}: {} does not hold", found.name, said(commit)))),
    }
}

/// The commits that have some of these steps.
fn commits(reader: &Reader, number: usize, steps: &Range<u64>) -> Result<Vec<CommitInfo>, Failure> {
    let mut out: Vec<CommitInfo> = Vec::new();
    for step in steps.clone() {
        if out.last().is_some_and(|last| last.steps.contains(&step)) {
            continue;
        }
        let missing = || Failure::input(format!("the variable was not written in step {step}; name others by --steps"));
        out.push(reader.commit_info(number, step)?.ok_or_else(missing)?);
    }
    Ok(out)
}

/// The original's values of these steps, with an axis of steps.
fn original(name: &str, variable: &VariableInfo, steps: &Range<u64>, all: u64) -> Result<Field, Failure> {
    let own = variable.shape.dims();
    let count = (steps.end - steps.start) as usize;
    let with = |steps: usize| [&[steps], own].concat();
    let says_its_shape = Path::new(name).extension().is_some_and(|ending| ending == "npy");
    let field = if says_its_shape || source::netcdf_parts(name).is_some() {
        source::read_field(name, Expected { dims: None, dtype: Some(variable.dtype) })?
    } else {
        let step_bytes = (variable.shape.len() * variable.dtype.size()) as u64;
        let bytes = std::fs::metadata(name).map(|metadata| metadata.len()).unwrap_or(0);
        let dims = with(if bytes == all * step_bytes { all as usize } else { count });
        source::read_field(name, Expected { dims: Some(&dims), dtype: Some(variable.dtype) })?
    };
    let dims = field.shape.dims();
    if count == 1 && dims == own {
        let shape = Shape::new(&with(1))?;
        return Ok(field.reshaped(shape));
    }
    if dims == with(count) {
        return Ok(field);
    }
    if dims == with(all as usize) {
        return Ok(field.with_first(steps.start as usize..steps.end as usize));
    }
    Err(Failure::input(format!(
        "{name}: its shape is {}; expected {} (the steps that are compared, then the variable's {}), or {all} steps of it",
        field.shape,
        Shape::new(&with(count))?,
        variable.shape
    )))
}

/// The archive's values of these steps, with an axis of steps.
fn decoded(reader: &Reader, number: usize, steps: &Range<u64>) -> Result<Field, Failure> {
    let variable = reader.variable(number)?;
    let selection = Selection { steps: steps.clone(), region: None, missing: None };
    let mut field = Field::new(selection.output_shape(variable)?, variable.dtype)?;
    reader.read(number, &selection, &mut field.view_mut()?)?;
    let shape = Shape::new(&[&[(steps.end - steps.start) as usize], variable.shape.dims()].concat())?;
    Ok(field.reshaped(shape))
}

/// Compares all steps, and each commit's bound.
fn compare<'a>((original, decoded): (&Field, &Field), mut found: Compared<'a>) -> Result<Compared<'a>, Failure> {
    let start = found.steps.start;
    found.errors = measure::errors_of_steps(original, decoded, 0..original.shape.dims()[0], &found.masked);
    for commit in &found.commits {
        let part = commit.steps.start.max(start)..commit.steps.end.min(found.steps.end);
        let is_whole = part == commit.steps;
        let of_points = matches!(commit.bound, Bound::Abs(_) | Bound::Rel(_) | Bound::PwRel(_) | Bound::Lossless);
        // Blocks are counted from the corners of the boxes that were put.
        if matches!(commit.bound, Bound::BlockL2(_)) || !(is_whole || of_points) {
            found.unknown.push(commit.clone());
            continue;
        }
        let steps = (part.start - start) as usize..(part.end - start) as usize;
        let errors = measure::errors_of_steps(original, decoded, steps, &found.masked);
        if !errors.hold(commit.bound, commit.range) {
            found.failed.push(commit.clone());
        }
    }
    Ok(found)
}

/// A commit's bound, and where it holds.
fn said(commit: &CommitInfo) -> String {
    format!("the bound {} of steps {} to {}", commit.bound, commit.steps.start, commit.steps.end - 1)
}

impl Compared<'_> {
    /// Whether all bounds hold; nothing where one cannot be told.
    fn holds(&self) -> Option<bool> {
        match (self.failed.is_empty(), self.unknown.is_empty()) {
            (false, _) => Some(false),
            (true, true) => Some(true),
            (true, false) => None,
        }
    }

    fn dims(&self) -> Vec<usize> {
        [&[(self.steps.end - self.steps.start) as usize], self.variable.shape.dims()].concat()
    }

    /// Bytes of the steps, and the share of their commits' streams.
    fn bytes(&self) -> (u64, u64) {
        let input = self.dims().iter().product::<usize>() * self.variable.dtype.size();
        let stored: f64 = self.commits.iter().map(|commit| commit.stream_bytes as f64).sum();
        let held: f64 = self.commits.iter().map(|commit| commit.input_bytes as f64).sum();
        (input as u64, (stored * input as f64 / held.max(1.0)).round() as u64)
    }

    fn bounds(&self) -> Vec<String> {
        let mut out: Vec<String> = self.commits.iter().map(|commit| commit.bound.to_string()).collect();
        out.dedup();
        out
    }

    /// What a page says of it.
    fn about(&self, described: &Described) -> Map<String, Value> {
        let mut out = analysis::about(described);
        let axes =
            if described.axes.is_empty() { Vec::new() } else { [&["time".to_owned()], &described.axes[..]].concat() };
        out.insert("dims".into(), json!(axes));
        out.insert("title".into(), json!(self.name));
        if let [commit, others @ ..] = &self.commits[..]
            && others.iter().all(|other| other.bound == commit.bound)
        {
            out.insert("bound".into(), json!([commit.bound.name(), commit.bound.value()]));
            out.insert("bound_holds".into(), json!(self.holds()));
            // Each commit has a range of its own; the least is that of the tightest of them.
            let least = self.commits.iter().map(|commit| commit.range).fold(f64::INFINITY, f64::min);
            out.insert("bound_range".into(), json!(least));
        }
        out.insert("masked".into(), json!(self.masked));
        let (input, stored) = self.bytes();
        out.insert("input_bytes".into(), json!(input));
        out.insert("stream_bytes".into(), json!(stored));
        out
    }

    fn json(&self) -> Map<String, Value> {
        let (input, stored) = self.bytes();
        let said = |commits: &[CommitInfo]| commits.iter().map(said).collect::<Vec<_>>();
        let mut out = Map::new();
        out.insert("variable".into(), json!(self.variable.name));
        out.insert("first_step".into(), json!(self.steps.start));
        out.insert("last_step".into(), json!(self.steps.end - 1));
        out.insert("dims".into(), json!(self.dims()));
        out.insert("type".into(), json!(self.variable.dtype.name()));
        out.insert("bounds".into(), json!(self.bounds()));
        out.insert("input_bytes".into(), json!(input));
        out.insert("stream_bytes".into(), json!(stored));
        out.insert("ratio".into(), json!(input as f64 / stored as f64));
        out.insert("nrmse".into(), json!(self.errors.nrmse()));
        out.insert("rmse".into(), json!(self.errors.rmse));
        out.insert("psnr".into(), json!(self.errors.psnr()));
        out.insert("max_abs_error".into(), json!(self.errors.max_abs));
        out.insert("max_pw_rel".into(), json!(self.errors.max_pw_rel));
        out.insert("range".into(), json!(self.errors.range));
        out.insert("points".into(), json!(self.errors.points));
        out.insert("masked_points".into(), json!(self.errors.masked));
        out.insert("masked_points_changed".into(), json!(self.errors.masked_changed));
        out.insert("holds".into(), json!(self.holds()));
        out.insert("does_not_hold".into(), json!(said(&self.failed)));
        out.insert("not_told".into(), json!(said(&self.unknown)));
        out
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let (input, stored) = self.bytes();
        let (errors, Range { start, end }) = (&self.errors, &self.steps);
        let mut out = vec![
            (
                "field",
                format!(
                    "{}, steps {start} to {}, {} {}",
                    self.name,
                    end - 1,
                    self.variable.shape,
                    self.variable.dtype.name()
                ),
            ),
            ("stream", format!("{stored} bytes, ratio {:.2}", input as f64 / stored as f64)),
            ("bound", self.bounds().join(", ")),
            ("error", format!("NRMSE {:.4e}, largest {:.4e}", errors.nrmse(), errors.max_abs)),
        ];
        if errors.masked > 0 {
            out.push(("masked", format!("{} points, {} of them changed", errors.masked, errors.masked_changed)));
        }
        for commit in &self.unknown {
            out.push(("not told", format!("{}: it is one of blocks, or of other steps, too", said(commit))));
        }
        let holds = self.holds().map_or("as far as it can be told", |holds| if holds { "yes" } else { "NO" });
        out.push(("holds", holds.to_owned()));
        out
    }
}

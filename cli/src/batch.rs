//! Files and datasets, one or several: what each becomes, and one table of all.

use crate::args::{CompressArgs, DecompressArgs, ExtractTo};
use crate::dataset::{self, Settings, VariableBound, Wanted};
use crate::failure::Failure;
use crate::goal::Goal;
use crate::measure::Errors;
use crate::target::{self, STANDARD};
use crate::{commands, netcdf_in, report};
use fieldpress::{Bound, Report};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A file to read and one to write.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Job {
    input: String,
    output: PathBuf,
}

/// A line of the table: a variable of a dataset, or a field.
#[derive(Clone, Debug)]
struct Row {
    file: String,
    variable: String,
    dims: Vec<usize>,
    bound: Option<Bound>,
    bytes: u64,
    stored: u64,
    errors: Option<(f64, f64)>,
    sentinels: Vec<f64>,
}

pub fn compress(args: &CompressArgs) -> Result<(), Failure> {
    let jobs = jobs(&args.input, &args.output, "fp")?;
    if let [job] = &jobs[..]
        && !(netcdf_in::is_dataset(&job.input) && is_netcdf(&job.output))
    {
        return commands::compress(args, &job.input, &job.output, one_goal(args)?);
    }
    let mut rows = Vec::new();
    for job in &jobs {
        if netcdf_in::is_dataset(&job.input) {
            rows.extend(compress_dataset(args, job)?);
        } else {
            let report = commands::compress_field(args, &job.input, &job.output, one_goal(args)?)?;
            let info = &report.info;
            rows.push(Row {
                bound: Some(info.bound),
                errors: Some((info.nrmse, info.max_abs_error)),
                ..field_row(job, &report)
            });
        }
    }
    print(&rows, args.json)
}

fn compress_dataset(args: &CompressArgs, job: &Job) -> Result<Vec<Row>, Failure> {
    let of_fields = [
        ("--dims", args.raw.dims.is_some()),
        ("--type", args.raw.dtype.is_some()),
        ("--axes", args.axes.is_some()),
        ("--segment", args.segment.is_some()),
        ("--fill-value", args.fill_value.is_some()),
    ];
    if let Some((name, _)) = of_fields.iter().find(|(_, given)| *given) {
        return Err(Failure::usage(format!("{name} is an option for fields; {} is a dataset", job.input)));
    }
    let options = args.options()?;
    let bounds = bounds(args, &job.input)?;
    let settings = Settings {
        wanted: Wanted { bounds: &bounds, only: &args.only },
        options: &options,
        running: &args.running.texts(),
    };
    Ok(dataset::compress(&job.input, &job.output, settings)?.into_iter().map(|one| row(job, one)).collect())
}

fn row(job: &Job, one: dataset::Outcome) -> Row {
    Row {
        file: job.input.clone(),
        variable: one.path,
        dims: one.dims,
        bound: one.bound,
        bytes: one.bytes,
        stored: one.stored,
        errors: one.errors.map(|errors: Errors| (errors.nrmse(), errors.max_abs)),
        sentinels: one.sentinels,
    }
}

/// The row of a field, without what it was compressed to.
fn field_row(job: &Job, report: &Report) -> Row {
    let info = &report.info;
    Row {
        file: job.input.clone(),
        variable: String::new(),
        dims: info.shape.dims().to_vec(),
        bound: None,
        bytes: (info.shape.len() * info.dtype.size()) as u64,
        stored: report.stream_bytes,
        errors: None,
        sentinels: report.sentinels.clone(),
    }
}

/// The bound or size of a field, which has no variables to name.
fn one_goal(args: &CompressArgs) -> Result<&Goal, Failure> {
    match &args.bound[..] {
        [goal @ (Goal::Ratio(_) | Goal::Bound(VariableBound { variable: None, .. }))] if args.only.is_empty() => {
            Ok(goal)
        }
        _ => Err(Failure::usage(
            "a field has one bound, KIND=VALUE; --only and --bound NAME:KIND=VALUE are for NetCDF files that become \
             NetCDF files (-o name.nc)",
        )),
    }
}

/// The bounds of a dataset's variables.
fn bounds(args: &CompressArgs, dataset: &str) -> Result<Vec<VariableBound>, Failure> {
    let bound = |goal: &Goal| match goal {
        Goal::Bound(bound) => Ok(bound.clone()),
        Goal::Ratio(ratio) => Err(Failure::usage(format!(
            "ratio={ratio} is for fields; {dataset} is a dataset, whose chunks have bounds"
        ))),
    };
    args.bound.iter().map(bound).collect()
}

pub fn decompress(args: &DecompressArgs) -> Result<(), Failure> {
    let jobs = jobs(&args.input, &args.output, "npy")?;
    if let [job] = &jobs[..]
        && !netcdf_in::is_dataset(&job.input)
    {
        return commands::decompress(args, &job.input, &job.output);
    }
    let mut rows = Vec::new();
    for job in &jobs {
        if netcdf_in::is_dataset(&job.input) {
            check_dataset_arguments(args, job)?;
            rows.extend(
                dataset::decompress(&job.input, &job.output, &args.running.texts())?
                    .into_iter()
                    .map(|one| row(job, one)),
            );
        } else {
            let (report, _) = commands::decompress_field(args, &job.input, &job.output)?;
            rows.push(field_row(job, &report));
        }
    }
    print(&rows, args.json)
}

fn check_dataset_arguments(args: &DecompressArgs, job: &Job) -> Result<(), Failure> {
    if args.part.start.is_some() || args.scale != fieldpress::Scale::Full {
        return Err(Failure::usage(format!(
            "{} is a dataset, and is decompressed whole; boxes of it are read by any NetCDF reader with the HDF5 plugin",
            job.input
        )));
    }
    if args.to.is_some() || !is_netcdf(&job.output) {
        return Err(Failure::usage(format!(
            "{} is a dataset; expected -o name.nc, not {}",
            job.input,
            job.output.display()
        )));
    }
    Ok(())
}

fn is_netcdf(path: &Path) -> bool {
    ExtractTo::of(path) == ExtractTo::Netcdf
}

/// What is read and written: into the named file, or for several inputs, or where a folder is named, into a folder, by the
/// inputs' names; datasets keep theirs whole, fields get the ending `extension`.
fn jobs(inputs: &[String], output: &Path, extension: &str) -> Result<Vec<Job>, Failure> {
    let mut found = Vec::new();
    for input in inputs {
        found.extend(expanded(input)?);
    }
    let is_folder = output.is_dir() || output.as_os_str().as_encoded_bytes().ends_with(b"/");
    if let ([input], false) = (&found[..], is_folder) {
        let job = Job { input: input.clone(), output: output.to_owned() };
        return not_itself(&job).map(|()| vec![job]);
    }
    if !is_folder {
        return Err(Failure::usage(format!(
            "{} inputs need a folder to write to; {} is none (end its name with / to make one)",
            found.len(),
            output.display()
        )));
    }
    let mut jobs: Vec<Job> = Vec::new();
    for input in found {
        let name = Path::new(&input).file_name().filter(|_| input != STANDARD);
        let name = name.ok_or_else(|| Failure::usage(format!("{input} has no name for a file in a folder")))?;
        let name = output.join(name);
        let output = if netcdf_in::is_dataset(&input) { name } else { name.with_extension(extension) };
        if let Some(other) = jobs.iter().find(|other| other.output == output) {
            return Err(Failure::usage(format!("{} and {input} would both become {}", other.input, output.display())));
        }
        let job = Job { input, output };
        not_itself(&job)?;
        jobs.push(job);
    }
    std::fs::create_dir_all(output).map_err(|error| Failure::writing(&output.display().to_string(), error))?;
    Ok(jobs)
}

/// Refuses to write compressed values in the original's place.
fn not_itself(job: &Job) -> Result<(), Failure> {
    if job.output.is_file() && target::is_same_file(&job.output, Path::new(&job.input)) {
        return Err(Failure::usage(format!("{} would be replaced by its own copy; name another file", job.input)));
    }
    Ok(())
}

/// The files that a pattern means; a name without wildcards, or of a file that is there, means itself.
fn expanded(input: &str) -> Result<Vec<String>, Failure> {
    if !input.contains(['*', '?', '[']) || Path::new(input).exists() {
        return Ok(vec![input.to_owned()]);
    }
    let pattern = glob::glob(input).map_err(|error| Failure::usage(format!("{input}: {error}")))?;
    let mut names = Vec::new();
    for path in pattern {
        let path = path.map_err(|error| Failure::reading(input, error))?;
        let name = path.to_str().ok_or_else(|| Failure::input(format!("{}: its name is no text", path.display())))?;
        names.push(name.to_owned());
    }
    if names.is_empty() {
        return Err(Failure::input(format!("{input}: no file has such a name")));
    }
    Ok(names)
}

fn ratio(bytes: u64, stored: u64) -> f64 {
    bytes as f64 / stored.max(1) as f64
}

fn print(rows: &[Row], as_json: bool) -> Result<(), Failure> {
    let (bytes, stored): (u64, u64) = (rows.iter().map(|row| row.bytes).sum(), rows.iter().map(|row| row.stored).sum());
    if as_json {
        let mut object = serde_json::Map::new();
        object.insert("variables".into(), rows.iter().map(row_json).collect());
        object.insert("input_bytes".into(), json!(bytes));
        object.insert("stream_bytes".into(), json!(stored));
        object.insert("ratio".into(), json!(ratio(bytes, stored)));
        return report::print_json(object);
    }
    let head = ["file", "variable", "size", "bound", "bytes", "stored", "ratio", "NRMSE", "largest error"];
    let mut table = vec![head.map(str::to_owned)];
    table.extend(rows.iter().map(cells));
    let total =
        ["all", "", "", "", &bytes.to_string(), &stored.to_string(), &format!("{:.2}", ratio(bytes, stored)), "", ""];
    table.push(total.map(str::to_owned));
    report::print_table(&table)?;
    let found = rows.iter().filter(|row| !row.sentinels.is_empty());
    let lines: Vec<_> = found
        .map(|row| ("sentinels", format!("{} {}: {}", row.file, row.variable, report::kept(&row.sentinels))))
        .collect();
    if lines.is_empty() { Ok(()) } else { report::print_lines(&lines) }
}

fn cells(row: &Row) -> [String; 9] {
    let dims: Vec<String> = row.dims.iter().map(usize::to_string).collect();
    [
        row.file.clone(),
        row.variable.clone(),
        dims.join("x"),
        row.bound.map(|bound| bound.to_string()).unwrap_or_default(),
        row.bytes.to_string(),
        row.stored.to_string(),
        format!("{:.2}", ratio(row.bytes, row.stored)),
        row.errors.map(|(nrmse, _)| format!("{nrmse:.3e}")).unwrap_or_default(),
        row.errors.map(|(_, largest)| format!("{largest:.3e}")).unwrap_or_default(),
    ]
}

fn row_json(row: &Row) -> Value {
    json!({
        "file": row.file,
        "variable": row.variable,
        "dims": row.dims,
        "bound": row.bound.map(|bound| bound.to_string()),
        "input_bytes": row.bytes,
        "stream_bytes": row.stored,
        "ratio": ratio(row.bytes, row.stored),
        "nrmse": row.errors.map(|(nrmse, _)| nrmse),
        "max_abs_error": row.errors.map(|(_, largest)| largest),
        "sentinels": row.sentinels,
    })
}

//! `fieldpress-compare`: fieldpress beside SZ3, ZFP and SPERR, in one process, at equal error.

mod compare;
mod input;
mod peers;
mod plot;
#[cfg(feature = "profile")]
mod profile;
mod reference;
mod results;
mod sample;
mod search;
mod suite;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use compare::{Known, Measurement, Plan};
use fieldpress::DType;
use input::Values;
use peers::{CODECS, Fieldpress};
use reference::Reference;
use sample::Sample;
use std::path::PathBuf;
use std::process::ExitCode;
use suite::Suite;

#[derive(Parser)]
#[command(
    version,
    about,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  fieldpress-compare data/TS.f32 --dims 96,192,288 --type f32 --nrmse 1e-2,4e-3,1e-3 --csv ts.csv --plot ts.png
  fieldpress-compare winds.nc:UWND --nrmse 4e-3 --codecs SPERR,fieldpress-1
  fieldpress-compare suite --data data --out docs/benchmarks"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    single: Single,
    #[command(flatten)]
    plan: PlanArgs,
}

#[derive(Subcommand)]
enum Command {
    /// The benchmark suites on the fields of tools/fetch-data.
    Suite {
        /// The folder that tools/fetch-data filled.
        #[arg(long, default_value = "data")]
        data: PathBuf,
        /// Where SUITE.csv, .png and .md go.
        #[arg(long, default_value = "docs/benchmarks")]
        out: PathBuf,
        /// One suite instead of both.
        #[arg(long)]
        only: Option<Suite>,
        /// Also the fields that no mean counts.
        #[arg(long)]
        further: bool,
        #[command(flatten)]
        plan: PlanArgs,
    },
    /// Where fieldpress's time goes: flame graphs and tables of its tracing spans.
    #[cfg(feature = "profile")]
    Profile {
        /// The folder that tools/fetch-data filled.
        #[arg(long, default_value = "data")]
        data: PathBuf,
        /// Where profile.md and profile/ go.
        #[arg(long, default_value = "docs/benchmarks")]
        out: PathBuf,
    },
}

/// One field.
#[derive(Args)]
struct Single {
    /// A raw little-endian file, a .npy file, or FILE.nc:VARIABLE.
    #[arg(value_name = "IN")]
    input: Option<String>,
    /// Sizes of a raw file's axes, slowest first.
    #[arg(long, value_delimiter = ',')]
    dims: Option<Vec<usize>>,
    /// Type of a raw file: f32 or f64.
    #[arg(long = "type")]
    dtype: Option<DType>,
    /// Errors at which to compare: root mean square error over the field's range.
    #[arg(long, value_delimiter = ',', default_values_t = suite::TARGETS)]
    nrmse: Vec<f64>,
    /// A value that marks points without data.
    #[arg(long, allow_negative_numbers = true)]
    fill_value: Option<f64>,
    /// Results as CSV.
    #[arg(long, value_name = "OUT")]
    csv: Option<PathBuf>,
    /// The rate–distortion figure.
    #[arg(long, value_name = "OUT.png")]
    plot: Option<PathBuf>,
}

#[derive(Args)]
struct PlanArgs {
    /// Compressors to run.
    #[arg(long, value_delimiter = ',', default_values_t = CODECS.map(str::to_owned))]
    codecs: Vec<String>,
    /// Timed runs of each; the median counts.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Earlier results: the peers' modes and parameters are taken from them where they still meet the target, which
    /// saves the search. Everything is measured anew.
    #[arg(long, value_name = "CSV")]
    parameters: Vec<PathBuf>,
    /// A model package that was fine-tuned: adds fieldpress-2-tuned, effort 2 with it.
    #[arg(long, value_name = "PACKAGE")]
    tuned: Option<PathBuf>,
}

impl PlanArgs {
    fn known(&self) -> Result<Vec<Known>> {
        Ok(self.parameters.iter().map(|path| results::read_known(path)).collect::<Result<Vec<_>>>()?.concat())
    }

    fn codecs(&self) -> Result<Vec<&'static str>> {
        for name in &self.codecs {
            if !CODECS.contains(&name.as_str()) {
                bail!("the compressor '{name}' is not known; expected some of {}", CODECS.join(", "));
            }
        }
        let runs = |codec: &&str| match *codec {
            Fieldpress::TUNED => self.tuned.is_some(),
            name => self.codecs.iter().any(|named| named == name),
        };
        Ok(CODECS.into_iter().filter(runs).collect())
    }
}

fn compare_all<T: Sample>(
    field: &Reference<'_, T>,
    targets: &[f64],
    plan: &Plan<'_>,
) -> (Vec<Measurement>, Vec<String>) {
    let mut all = Vec::new();
    let mut failures = Vec::new();
    for &target in targets {
        let (measurements, failed) = compare::compare(field, target, plan);
        all.extend(measurements);
        failures.extend(failed.iter().map(|error| format!("{error:#}")));
    }
    (all, failures)
}

fn single(single: &Single, plan: &Plan<'_>) -> Result<Vec<String>> {
    let Some(source) = &single.input else { bail!("name a field to compare on, or 'suite'") };
    if let Some(bad) = single.nrmse.iter().find(|target| !target.is_finite() || **target <= 0.0) {
        bail!("--nrmse {bad} is not a number greater than 0");
    }
    let input = input::read(source, single.dims.as_deref(), single.dtype)?;
    let fill = single.fill_value.or(input.fill);
    let (all, failures) = match &input.values {
        Values::F32(values) => compare_all(&Reference::new(input.name, input.dims, values, fill), &single.nrmse, plan),
        Values::F64(values) => compare_all(&Reference::new(input.name, input.dims, values, fill), &single.nrmse, plan),
    };
    if let Some(path) = &single.csv {
        results::write_csv(path, &all)?;
    }
    if let Some(path) = &single.plot {
        plot::plot(path, &all)?;
    }
    print!("{}", results::summary(source, &all, |_| true));
    Ok(failures)
}

fn run() -> Result<Vec<String>> {
    let cli = Cli::parse();
    match &cli.command {
        None => {
            let (codecs, known) = (cli.plan.codecs()?, cli.plan.known()?);
            let tuned = cli.plan.tuned.as_deref();
            single(&cli.single, &Plan { codecs: &codecs, repeats: cli.plan.repeats, known: &known, tuned })
        }
        #[cfg(feature = "profile")]
        Some(Command::Profile { data, out }) => profile::run(data, out).map(|()| Vec::new()),
        Some(Command::Suite { data, out, only, further, plan }) => {
            let (codecs, known) = (plan.codecs()?, plan.known()?);
            let plan = Plan { codecs: &codecs, repeats: plan.repeats, known: &known, tuned: plan.tuned.as_deref() };
            let mut failures = Vec::new();
            for suite in only.map_or(Suite::ALL.to_vec(), |suite| vec![suite]) {
                failures.extend(suite::run(suite, data, out, &plan, *further)?);
            }
            Ok(failures)
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => {
            for failure in failures {
                eprintln!("fieldpress-compare: {failure}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("fieldpress-compare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

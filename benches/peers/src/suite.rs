//! The benchmark suites: the fields of `tools/fetch-data`, with their CSV, figure and summary.

use crate::compare::{Measurement, Plan, compare};
use crate::input::{self, Values};
use crate::plot;
use crate::reference::Reference;
use crate::results;
use anyhow::{Context, Result, ensure};
use fieldpress::DType;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};

/// NRMSE of the suites.
pub const TARGETS: [f64; 3] = [1e-2, 4e-3, 1e-3];

/// A set of fields with results of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Suite {
    /// Climate model output and analysed winds.
    Climate,
    /// Two-dimensional turbulence at three frame rates.
    Simulation,
}

impl Suite {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Climate, Self::Simulation];

    const fn name(self) -> &'static str {
        match self {
            Self::Climate => "climate",
            Self::Simulation => "simulation",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Climate => "Climate fields",
            Self::Simulation => "Simulation output",
        }
    }

    /// Fields that the means are taken over.
    const fn counted(self) -> &'static [&'static str] {
        match self {
            Self::Climate => &["TS", "PRECT", "UWND"],
            Self::Simulation => &["turb_w_3", "turb_u_3", "turb_w_8", "turb_u_8", "turb_w_20", "turb_u_20"],
        }
    }

    /// Fields shown beside them.
    const fn further(self) -> &'static [&'static str] {
        match self {
            Self::Climate => &["CLOUD", "T"],
            Self::Simulation => &[],
        }
    }
}

/// A line of `index.txt`.
pub struct Entry {
    /// Its values.
    pub path: PathBuf,
    /// Sizes of its axes.
    pub dims: Vec<usize>,
    /// The value that marks points without data.
    pub fill: Option<f64>,
}

/// What `index.txt` of a folder of fields says of one.
pub fn entry(folder: &Path, name: &str) -> Result<Entry> {
    let path = folder.join("index.txt");
    let index = std::fs::read_to_string(&path).with_context(|| {
        format!("cannot read {}: run tools/fetch-data first, or name the folder with --data", path.display())
    })?;
    let line = index.lines().find(|line| line.split(' ').next() == Some(name));
    let parts: Vec<&str> =
        line.with_context(|| format!("{} has no field '{name}'", path.display()))?.split(' ').collect();
    let broken = || format!("{}: the line of '{name}' is not 'name dims type fill'", path.display());
    ensure!(parts.len() == 4 && parts[2] == "f32", broken());
    let dims = parts[1].split(',').map(|n| n.parse().with_context(broken)).collect::<Result<_>>()?;
    let fill = if parts[3] == "-" { None } else { Some(parts[3].parse().with_context(broken)?) };
    Ok(Entry { path: folder.join(format!("{name}.f32")), dims, fill })
}

/// Runs a suite and writes `<out>/<suite>.csv`, `.png` and `.md`. Returns the compressors' failures, as text.
pub fn run(suite: Suite, data: &Path, out: &Path, plan: &Plan<'_>, further: bool) -> Result<Vec<String>> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let names: Vec<&str> = suite.counted().iter().chain(if further { suite.further() } else { &[] }).copied().collect();
    let entries = names.iter().map(|name| entry(data, name)).collect::<Result<Vec<Entry>>>()?;
    let bar = ProgressBar::new((entries.len() * TARGETS.len()) as u64);
    bar.set_style(ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}")?);

    let csv = out.join(format!("{}.csv", suite.name()));
    let mut all: Vec<Measurement> = Vec::new();
    let mut failures = Vec::new();
    for entry in &entries {
        let source = entry.path.to_string_lossy();
        let input = input::read(&source, Some(&entry.dims), Some(DType::F32))?;
        let Values::F32(values) = &input.values else { unreachable!("asked for f32") };
        let field = Reference::new(input.name.clone(), input.dims.clone(), values, entry.fill);
        for target in TARGETS {
            bar.set_message(format!("{} at {target:e}", field.name));
            let (measurements, failed) = compare(&field, target, plan);
            all.extend(measurements);
            failures.extend(failed.iter().map(|error| format!("{error:#}")));
            results::write_csv(&csv, &all)?;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    plot::plot(&out.join(format!("{}.png", suite.name())), &all)?;
    let text = results::summary(suite.title(), &all, |field| suite.counted().contains(&field));
    std::fs::write(out.join(format!("{}.md", suite.name())), &text)?;
    print!("{text}");
    Ok(failures)
}

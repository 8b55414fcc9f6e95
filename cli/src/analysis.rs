//! What the Python package computes for the tool: pages on decoded fields, and bounds for targets of quality. Arrays go
//! there as NumPy files.

use crate::args::SuggestArgs;
use crate::described::{Coordinate, Described};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::report;
use crate::source::{self, Field};
use crate::target;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The variable of the environment that names the interpreter, in place of `python3`.
const PYTHON: &str = "FIELDPRESS_PYTHON";

/// A Python that has the package.
pub struct Python {
    program: std::ffi::OsString,
}

impl Python {
    /// # Errors
    /// Where there is no Python, or none with this version of the package.
    pub fn find() -> Result<Self, Failure> {
        let program = std::env::var_os(PYTHON).filter(|name| !name.is_empty()).unwrap_or_else(|| "python3".into());
        let name = program.display().to_string();
        let asked = Command::new(&program).args(["-m", "fieldpress", "--version"]).stdin(Stdio::null()).output();
        let asked = asked.map_err(|error| {
            Failure::other(format!(
                "{name} cannot be run ({error}), which this needs; {PYTHON} may name another Python"
            ))
        })?;
        let version = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        let own = env!("CARGO_PKG_VERSION");
        if !asked.status.success() || version.is_empty() {
            return Err(Failure::other(format!(
                "{name} does not have the package fieldpress, which this needs; install it: pip install \
                 'fieldpress[quality]' ({PYTHON} may name another Python)"
            )));
        }
        if version != own {
            return Err(Failure::other(format!(
                "{name} has version {version} of the package fieldpress, and this is {own}; install that: pip install \
                 'fieldpress[quality]=={own}' ({PYTHON} may name another Python)"
            )));
        }
        Ok(Self { program })
    }

    /// What a command of the package prints; it says what went wrong by itself.
    fn run(&self, arguments: &[&OsStr]) -> Result<String, Failure> {
        let mut command = Command::new(&self.program);
        command.args(["-m", "fieldpress"]).args(arguments).stdin(Stdio::null());
        let done = command.output().map_err(|error| Failure::other(format!("Python cannot be run: {error}")))?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        let said = said.trim().trim_start_matches("fieldpress: ").to_owned();
        Err(match done.status.code() {
            Some(2) => Failure::usage(said),
            Some(3) => Failure::input(said),
            _ => Failure::other(said),
        })
    }
}

/// A field and its decoded values, where Python finds them.
pub struct Pair {
    python: Python,
    folder: TempDir,
}

impl Pair {
    /// Finds Python, then writes both fields, so that a missing package is found before.
    pub fn new(original: &Field, decoded: &Field) -> Result<Self, Failure> {
        let python = Python::find()?;
        let folder = temporary()?;
        target::write_as(&folder.path().join("original.npy"), original, true)?;
        target::write_as(&folder.path().join("decoded.npy"), decoded, true)?;
        Ok(Self { python, folder })
    }

    /// Writes a page on them. `about` is what docs/python.md says of `report --about`.
    pub fn page(&self, output: &Path, about: &Value) -> Result<(), Failure> {
        let at = |name: &str| self.folder.path().join(name);
        let text = about.to_string();
        target::write(&at("about.json"), |writer| writer.write_all(text.as_bytes()))?;
        let (original, decoded, about) = (at("original.npy"), at("decoded.npy"), at("about.json"));
        let arguments: [&OsStr; 8] = [
            "report".as_ref(),
            original.as_ref(),
            decoded.as_ref(),
            "--quiet".as_ref(),
            "--about".as_ref(),
            about.as_ref(),
            "--output".as_ref(),
            output.as_ref(),
        ];
        self.python.run(&arguments).map(drop)
    }
}

fn temporary() -> Result<TempDir, Failure> {
    let folder = tempfile::Builder::new().prefix("fieldpress-").tempdir();
    folder.map_err(|error| Failure::other(format!("no folder for temporary files: {error}")))
}

/// Finds the loosest bound under which a field reaches a target.
pub fn suggest(args: &SuggestArgs) -> Result<(), Failure> {
    let python = Python::find()?;
    let field = source::read_field(&args.input, args.raw.expected())?;
    let folder = temporary()?;
    let (input, stream) = (folder.path().join("field.npy"), folder.path().join("stream.fp"));
    target::write_as(&input, &field, true)?;
    let own = [Some(&args.trying.effort), Some(&args.trying.fm), args.fill_value.as_ref()];
    let mut options: Vec<String> =
        own.into_iter().flatten().map(crate::args::Setting::text).chain(args.running.texts()).collect();
    if let (None, Some(fill)) = (&args.fill_value, field.fill_value) {
        options.push(format!("fill_value={fill:e}"));
    }
    drop(field);
    let mut arguments: Vec<&OsStr> = vec![OsStr::new("suggest"), input.as_os_str(), OsStr::new("--kind")];
    arguments.push(OsStr::new(&args.kind));
    for (name, values) in [("--target", &args.target), ("--option", &options)] {
        arguments.extend(values.iter().flat_map(|value| [OsStr::new(name), OsStr::new(value)]));
    }
    if args.json {
        arguments.push(OsStr::new("--json"));
    }
    if args.output.is_some() {
        arguments.extend([OsStr::new("--output"), stream.as_os_str()]);
    }
    let said = {
        let _progress = Progress::start(&format!("trying bounds on {}", args.input));
        python.run(&arguments)?
    };
    if let Some(output) = &args.output {
        let bytes = source::read_stream(&stream.to_string_lossy())?;
        target::write(output, |writer| writer.write_all(&bytes))?;
        return report::print_beside(output, &said);
    }
    report::print_text(&said)
}

/// What a page says of a field beside its values, as JSON.
pub fn about(described: &Described) -> serde_json::Map<String, Value> {
    let degrees = |back: usize, is_it: fn(&Coordinate) -> bool| {
        described.coordinate_from_last(back).filter(|found| is_it(found)).map(|found| found.values.clone())
    };
    let mut out = serde_json::Map::new();
    out.insert("units".into(), json!(described.units));
    out.insert("dims".into(), json!(described.axes));
    out.insert("latitudes".into(), json!(degrees(1, Coordinate::is_latitude)));
    out.insert("longitudes".into(), json!(degrees(0, Coordinate::is_longitude)));
    out
}

//! Whole NetCDF files: their floating variables through the HDF5 filter, and everything else as it was.

mod boxes;
mod check;
mod copy;
mod filter;
mod nc;
mod wanted;

pub use wanted::{VariableBound, Wanted};

use crate::failure::Failure;
use crate::measure::Errors;
use crate::progress::Progress;
use crate::{netcdf_in, target};
use check::{Known, Sums};
use copy::FillError;
use fieldpress::{Bound, Options, Sentinels};
use nc::{File, Storage, Variable};
use std::path::Path;

/// Values of a box that is only read.
const VALUES: usize = 1 << 24;

/// How the variables of a dataset are compressed.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    pub wanted: Wanted<'a>,
    pub options: &'a Options,
    /// Options of where and with what it runs, as `key=value`.
    pub running: &'a [String],
}

/// A variable that is compressed.
#[derive(Clone, Debug)]
struct Planned {
    /// As it was asked for.
    bound: Bound,
    known: Known,
}

/// What became of a variable that was compressed, or decompressed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its name, with its groups.
    pub path: String,
    pub dims: Vec<usize>,
    /// As it was asked for; none where it was decompressed.
    pub bound: Option<Bound>,
    /// Bytes of its values.
    pub bytes: u64,
    /// Bytes that the file with streams stores of it.
    pub stored: u64,
    /// Against the original; none where it was decompressed.
    pub errors: Option<Errors>,
    /// Values that were found to mark points without data.
    pub sentinels: Vec<f64>,
}

/// Writes `output` with the wanted variables of `input` compressed; every bound is checked on what was written before
/// the file gets its name.
///
/// # Errors
/// Bad input: no NetCDF, names that it lacks, variables that are compressed already. A bound that does not hold.
pub fn compress(input: &str, output: &Path, settings: Settings<'_>) -> Result<Vec<Outcome>, Failure> {
    let from = open(input, settings.running)?;
    let reading = |error: nc::Error| Failure::reading(input, error);
    let variables = all_variables(from.root()).map_err(reading)?;
    let coordinates = wanted::coordinates(from.root()).map_err(reading)?;
    let mut plan = Vec::new();
    for variable in &variables {
        let wanted = settings.wanted.bound(variable, &coordinates).map_err(reading)?;
        plan.push(wanted);
    }
    check_plan(input, &from, &variables, &plan, settings)?;
    let looked = |(variable, bound): (&Variable<'_>, Option<Bound>)| {
        bound.map(|bound| planned(variable, bound, &settings.options.sentinels)).transpose().map_err(reading)
    };
    let plan = variables.iter().zip(plan).map(looked).collect::<Result<Vec<_>, _>>()?;
    target::write_at(output, |temporary| {
        let mut planned = plan.iter();
        let storage = |variable: &Variable<'_>| match planned.next().and_then(Option::as_ref) {
            Some(planned) => {
                let marks = (planned.bound != Bound::Lossless).then_some(&planned.known.fills[..]);
                let bound = absolute(planned.bound, planned.known.range);
                Ok(Some(compressed(variable, filter::parameters(bound, filter::effort(settings.options), marks))))
            }
            None => plain(&from, variable),
        };
        let names = Names { doing: "compressing", input, output };
        write_copy(names, &from, temporary, storage)?;
        verify(input, temporary, &from, &plan)
    })
}

/// Writes `output` with the compressed variables of `input` as plain values.
///
/// # Errors
/// Bad input: no NetCDF, or none with compressed variables; a damaged stream.
pub fn decompress(input: &str, output: &Path, running: &[String]) -> Result<Vec<Outcome>, Failure> {
    let from = open(input, running)?;
    let reading = |error: nc::Error| Failure::reading(input, error);
    let variables = all_variables(from.root()).map_err(reading)?;
    let mut found = Vec::new();
    for variable in &variables {
        if from.is_hdf5().map_err(reading)? && filter::is_compressed(&variable.storage().map_err(reading)?) {
            let (path, dims) = (variable.path().map_err(reading)?, variable.shape());
            let bytes = variable.bytes();
            found.push(Outcome { path, dims, bound: None, bytes, stored: 0, errors: None, sentinels: Vec::new() });
        }
    }
    if found.is_empty() {
        return Err(Failure::input(format!("{input}: none of its variables is compressed by fieldpress")));
    }
    ask_what_is_stored(&mut found, input.as_ref());
    target::write_at(output, |temporary| {
        let names = Names { doing: "decompressing", input, output };
        write_copy(names, &from, temporary, |variable| plain(&from, variable))
    })?;
    Ok(found)
}

/// What is done to which file, for messages.
#[derive(Clone, Copy)]
struct Names<'a> {
    doing: &'a str,
    input: &'a str,
    output: &'a Path,
}

/// Writes a copy of all of `from`, each variable stored as `storage` says.
fn write_copy<'a>(
    names: Names<'_>,
    from: &'a File,
    temporary: &Path,
    storage: impl FnMut(&Variable<'a>) -> nc::Result<Option<Storage>>,
) -> Result<(), Failure> {
    let Names { doing, input, output } = names;
    // What the filter has said is the reason behind libnetcdf's words.
    let reason = |error: nc::Error| filter::complaint().map_or(error.to_string(), |said| format!("{error}: {said}"));
    let writing = |error: nc::Error| Failure::writing(&output.display().to_string(), reason(error));
    let to = File::create(temporary).map_err(writing)?;
    let pairs = copy::define(from, &to, storage).map_err(writing)?;
    to.end_definitions().map_err(writing)?;
    let progress = Progress::over(&format!("{doing} {input}"), pairs.iter().map(|pair| pair.from.bytes()).sum());
    for pair in &pairs {
        pair.fill(|bytes| progress.advance(bytes)).map_err(|error| match error {
            FillError::Reading(error) => Failure::reading(input, reason(error)),
            FillError::Writing(error) => writing(error),
        })?;
    }
    drop(pairs);
    to.close().map_err(writing)
}

/// Fills in what the file with streams stores of each variable.
fn ask_what_is_stored(outcomes: &mut [Outcome], file: &Path) {
    let names: Vec<String> = outcomes.iter().map(|one| one.path.clone()).collect();
    for (one, stored) in outcomes.iter_mut().zip(filter::stored_bytes(file, &names)) {
        one.stored = stored.unwrap_or(0);
    }
}

fn open(input: &str, running: &[String]) -> Result<File, Failure> {
    netcdf_in::refuse_damaged(input, None)?;
    filter::register(running).map_err(|error| Failure::other(error.to_string()))?;
    File::open(input.as_ref()).map_err(|error| Failure::reading(input, error))
}

/// All variables, group by group, in the order in which they are defined.
fn all_variables(group: nc::Group<'_>) -> nc::Result<Vec<Variable<'_>>> {
    let mut all = group.variables()?;
    for inner in group.groups()? {
        all.extend(all_variables(inner)?);
    }
    Ok(all)
}

fn check_plan(
    input: &str,
    from: &File,
    variables: &[Variable<'_>],
    plan: &[Option<Bound>],
    settings: Settings<'_>,
) -> Result<(), Failure> {
    let reading = |error: nc::Error| Failure::reading(input, error);
    let paths = variables.iter().map(Variable::path).collect::<nc::Result<Vec<_>>>().map_err(reading)?;
    let listed = paths.join(", ");
    if let [first, ..] = &settings.wanted.unknown(&paths)[..] {
        return Err(Failure::input(format!("{input} has no variable '{first}'; it has {listed}")));
    }
    if plan.iter().all(Option::is_none) {
        return Err(Failure::input(format!(
            "{input}: none of its variables ({listed}) is compressed: they are coordinates, no floats, or below 4 KiB; \
             name one by --bound NAME:KIND=VALUE"
        )));
    }
    for (variable, path) in variables.iter().zip(&paths) {
        if from.is_hdf5().map_err(reading)? && filter::is_compressed(&variable.storage().map_err(reading)?) {
            return Err(Failure::input(format!(
                "{input}: '{path}' is compressed by fieldpress already, and errors would add; decompress the file first"
            )));
        }
    }
    Ok(())
}

/// What is known of a variable that is compressed under a bound; nothing needs to be without loss.
fn planned(variable: &Variable<'_>, bound: Bound, sentinels: &Sentinels) -> nc::Result<Planned> {
    let shape = variable.shape();
    let known = match bound {
        Bound::Lossless => Known::named(variable),
        _ => Known::of(variable, &boxes::boxes(&shape, &vec![1; shape.len()], VALUES), sentinels)?,
    };
    Ok(Planned { bound, known })
}

/// A bound over the variable's own range as an absolute one, since the filter would take each chunk's range.
fn absolute(bound: Bound, range: f64) -> Bound {
    let Bound::Rel(share) = bound else { return bound };
    let limit = (share * range).next_down();
    if limit > 0.0 && limit.is_finite() { Bound::Abs(limit) } else { Bound::Lossless }
}

fn compressed(variable: &Variable<'_>, parameters: Vec<u32>) -> Storage {
    Storage {
        chunks: Some(boxes::chunks(&variable.shape())),
        shuffle: false,
        deflate: None,
        checksum: false,
        endianness: netcdf_sys::NC_ENDIAN_NATIVE,
        filters: vec![(filter::FILTER, parameters)],
    }
}

/// The storage of a variable that is not compressed by fieldpress: as it was; in one piece or in NetCDF's chunks where it
/// was compressed by fieldpress.
fn plain(from: &File, variable: &Variable<'_>) -> nc::Result<Option<Storage>> {
    if !from.is_hdf5()? || variable.dims.is_empty() {
        return Ok(None);
    }
    let storage = variable.storage()?;
    Ok((!filter::is_compressed(&storage)).then_some(storage))
}

/// Compares what was written with the original, from the file.
fn verify(input: &str, written: &Path, from: &File, plan: &[Option<Planned>]) -> Result<Vec<Outcome>, Failure> {
    let reading = |error: nc::Error| Failure::reading(input, error);
    let written_as = written.display().to_string();
    let read_back = |error: nc::Error| Failure::writing(&written_as, format!("it cannot be read back: {error}"));
    let copy = File::open(written).map_err(read_back)?;
    let originals = all_variables(from.root()).map_err(reading)?;
    let copies = all_variables(copy.root()).map_err(read_back)?;
    let mut outcomes = Vec::new();
    for ((original, decoded), planned) in originals.iter().zip(&copies).zip(plan) {
        let Some(Planned { bound, known }) = planned else { continue };
        let path = original.path().map_err(reading)?;
        let mut sums = Sums::new(known.fills.clone());
        let shape = original.shape();
        for part in boxes::boxes(&shape, &boxes::chunks(&shape), VALUES) {
            let values = original.read(&part).map_err(reading)?;
            sums.compare(&values, &decoded.read(&part).map_err(read_back)?);
        }
        let errors = sums.errors();
        if !errors.hold(*bound, errors.range) {
            return Err(Failure::bound(format!(
                "{input}: the bound {bound} does not hold for '{path}'; nothing is written"
            )));
        }
        let bytes = original.bytes();
        let (bound, errors, sentinels) = (Some(*bound), Some(errors), known.sentinels.clone());
        outcomes.push(Outcome { path, dims: shape, bound, bytes, stored: 0, errors, sentinels });
    }
    drop(copies);
    drop(copy);
    ask_what_is_stored(&mut outcomes, written);
    Ok(outcomes)
}

//! NetCDF files from archives: every variable with its attributes, along an axis of steps with their times.

use crate::failure::{Failure, caught};
use crate::source::{Data, Field};
use fieldpress::archive::{Attribute, FILL_VALUE, Reader, Selection, VariableInfo};
use fieldpress::{DType, Region};
use netcdf::{AttributeValue, Extent, FileMut};
use std::ops::Range;
use std::path::Path;

/// What points get that no rank put: NetCDF's own fill value.
const FILL: f64 = 9.969_209_968_386_869e36;

fn value(attribute: &Attribute) -> AttributeValue {
    match attribute {
        Attribute::Text(text) => AttributeValue::Str(text.clone()),
        Attribute::Integers(values) => AttributeValue::Longlongs(values.clone()),
        Attribute::Reals(values) => AttributeValue::Doubles(values.clone()),
    }
}

/// Writes some steps of some variables.
pub fn write(
    reader: &Reader,
    numbers: &[usize],
    steps: Range<u64>,
    region: Option<&Region>,
    missing: Option<f64>,
    path: &Path,
) -> Result<(), Failure> {
    let name = path.display().to_string();
    caught(
        || write_whole(reader, numbers, steps, region, missing, path),
        // What its wrapper panics on: a text with a zero, a path that is no text.
        |said| Failure::writing(&name, format!("the NetCDF library cannot hold this: {said}")),
    )
}

fn write_whole(
    reader: &Reader,
    numbers: &[usize],
    steps: Range<u64>,
    region: Option<&Region>,
    missing: Option<f64>,
    path: &Path,
) -> Result<(), Failure> {
    let name = path.display().to_string();
    // NetCDF's library writes to names, so that the whole file takes its own at the end.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new()
        .prefix(".fieldpress-")
        .tempfile_in(folder)
        .map_err(|error| Failure::writing(&name, error))?
        .into_temp_path();
    let failed = |error: netcdf::Error| Failure::writing(&name, error);
    {
        let mut file = netcdf::create(&temporary).map_err(failed)?;
        fill(&mut file, reader, numbers, steps, region, missing).map_err(|error| match error {
            Cause::Netcdf(error) => failed(error),
            Cause::Reading(failure) => failure,
        })?;
        file.close().map_err(failed)?;
    }
    #[cfg(unix)]
    {
        // As for any new file; a temporary one is its owner's alone.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&temporary, mode).map_err(|error| Failure::writing(&name, error))?;
    }
    temporary.persist(path).map_err(|error| Failure::writing(&name, error.error))
}

enum Cause {
    Netcdf(netcdf::Error),
    Reading(Failure),
}

impl From<netcdf::Error> for Cause {
    fn from(error: netcdf::Error) -> Self {
        Self::Netcdf(error)
    }
}

impl From<fieldpress::Error> for Cause {
    fn from(error: fieldpress::Error) -> Self {
        Self::Reading(error.into())
    }
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        Self::Reading(failure)
    }
}

fn fill(
    file: &mut FileMut,
    reader: &Reader,
    numbers: &[usize],
    steps: Range<u64>,
    region: Option<&Region>,
    missing: Option<f64>,
) -> Result<(), Cause> {
    let count = (steps.end - steps.start) as usize;
    for (name, attribute) in &reader.definitions().attributes {
        file.add_attribute(name, value(attribute))?;
    }
    file.add_dimension("step", count)?;
    {
        let times = steps.clone().map(|step| reader.time(step)).collect::<fieldpress::Result<Vec<f64>>>()?;
        // A variable of the archive may have that name.
        let taken = numbers.iter().any(|&number| reader.variable(number).is_ok_and(|info| info.name == "time"));
        file.add_variable::<f64>(if taken { "step_time" } else { "time" }, &["step"])?.put_values(&times, ..)?;
    }
    for &number in numbers {
        let info: &VariableInfo = reader.variable(number)?;
        let selected = region.map_or_else(|| info.shape.dims().to_vec(), |region| region.count.clone());
        let mut names = vec!["step".to_owned()];
        for (axis, &n) in selected.iter().enumerate() {
            let name = format!("{}_{axis}", info.name);
            file.add_dimension(&name, n)?;
            names.push(name);
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut variable = match info.dtype {
            DType::F32 => file.add_variable::<f32>(&info.name, &names)?,
            DType::F64 => file.add_variable::<f64>(&info.name, &names)?,
        };
        // The fill value has the variable's type, which the attribute of an archive has not.
        for (name, attribute) in info.attributes.iter().filter(|(name, _)| name != FILL_VALUE) {
            variable.put_attribute(name, value(attribute))?;
        }
        let fill = missing.or_else(|| info.fill_value()).unwrap_or(FILL);
        match info.dtype {
            DType::F32 => variable.put_attribute("_FillValue", fill as f32)?,
            DType::F64 => variable.put_attribute("_FillValue", fill)?,
        };
        for (index, step) in steps.clone().enumerate() {
            let selection = Selection { region: region.cloned(), missing: Some(fill), ..Selection::step(step) };
            let mut field = Field::new(selection.output_shape(info)?, info.dtype)?;
            reader.read(number, &selection, &mut field.view_mut()?)?;
            let mut extents = vec![Extent::from(index..index + 1)];
            extents.extend(selected.iter().map(|&n| Extent::from(0..n)));
            match &field.data {
                Data::F32(values) => variable.put_values(values, extents)?,
                Data::F64(values) => variable.put_values(values, extents)?,
            }
        }
    }
    Ok(())
}

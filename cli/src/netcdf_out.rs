//! NetCDF files from archives, as the CF conventions have them: variables that share dimensions and coordinates, along the
//! time.

use crate::failure::{Failure, caught};
use crate::source::{Data, Field, advance};
use crate::target;
use fieldpress::archive::{Attribute, Definitions, Names, Reader, Selection, VariableInfo, is_conventional};
use fieldpress::{DType, Region};
use netcdf::{AttributeValue, Extent, FileMut};
use std::ops::Range;
use std::path::Path;

fn value(name: &str, attribute: &Attribute) -> Result<AttributeValue, Cause> {
    Ok(match attribute {
        // NetCDF would cut it there.
        Attribute::Text(text) if text.contains('\0') => {
            return Err(Cause::Attribute(format!("the attribute '{name}' contains a zero, where NetCDF's texts end")));
        }
        Attribute::Text(text) => AttributeValue::Str(text.clone()),
        Attribute::Integers(values) => AttributeValue::Longlongs(values.clone()),
        Attribute::Reals(values) => AttributeValue::Doubles(values.clone()),
    })
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
    let failed = |error: netcdf::Error| Failure::writing(&name, error);
    let whole = |temporary: &Path| {
        let mut file = netcdf::create(temporary).map_err(failed)?;
        fill(&mut file, reader, numbers, steps, region, missing).map_err(|error| match error {
            Cause::Netcdf(error) => failed(error),
            Cause::Attribute(why) => Failure::writing(&name, why),
            Cause::Reading(failure) => failure,
        })?;
        file.close().map_err(failed)
    };
    caught(
        || target::write_at(path, whole),
        // What its wrapper panics on: a path that is no text.
        |said| Failure::writing(&name, format!("the NetCDF library cannot hold this: {said}")),
    )
}

enum Cause {
    Netcdf(netcdf::Error),
    Attribute(String),
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
    let definitions = reader.definitions();
    let conventional = |name: &str| is_conventional(name);
    if !definitions.attributes.iter().any(|(name, _)| name == "Conventions") {
        file.add_attribute("Conventions", "CF-1.8")?;
    }
    for (name, attribute) in definitions.attributes.iter().filter(|(name, _)| !conventional(name)) {
        file.add_attribute(name, value(name, attribute)?)?;
    }
    let names = definitions.names();
    let time = time_name(definitions, numbers.iter().copied());
    add_times(file, reader, &names, steps.clone(), time)?;
    let axes = add_dimensions(file, definitions, &names, numbers, region)?;
    let placed = add_coordinates(file, definitions, &names, numbers, &axes)?;
    for (&number, axes) in numbers.iter().zip(&axes) {
        let info: &VariableInfo = reader.variable(number)?;
        let dimensions: Vec<&str> = std::iter::once(time).chain(axes.iter().map(|axis| &*axis.name)).collect();
        let mut variable = match info.dtype {
            DType::F32 => file.add_variable::<f32>(&info.name, &dimensions)?,
            DType::F64 => file.add_variable::<f64>(&info.name, &dimensions)?,
        };
        for (name, attribute) in info.attributes.iter().filter(|(name, _)| !conventional(name)) {
            variable.put_attribute(name, value(name, attribute)?)?;
        }
        let beside = beside(&placed, info, axes);
        if !beside.is_empty() {
            variable.put_attribute("coordinates", beside.join(" "))?;
        }
        let fill = missing.or_else(|| info.fill_value()).unwrap_or(netcdf_sys::NC_FILL_DOUBLE);
        match info.dtype {
            DType::F32 => variable.put_attribute("_FillValue", fill as f32)?,
            DType::F64 => variable.put_attribute("_FillValue", fill)?,
        };
        for (index, step) in steps.clone().enumerate() {
            let selection = Selection { region: region.cloned(), missing: Some(fill), ..Selection::step(step) };
            let mut field = Field::new(selection.output_shape(info)?, info.dtype)?;
            reader.read(number, &selection, &mut field.view_mut()?)?;
            let mut extents = vec![Extent::from(index..index + 1)];
            extents.extend(axes.iter().map(|axis| Extent::from(0..axis.count)));
            match &field.data {
                Data::F32(values) => variable.put_values(values, extents)?,
                Data::F64(values) => variable.put_values(values, extents)?,
            }
        }
    }
    Ok(())
}

/// The dimension of the steps, and what its coordinate is called.
const TIME: &str = "time";

/// What the steps' dimension is called: a variable of the archive may have its name.
pub fn time_name(definitions: &Definitions, mut numbers: impl Iterator<Item = usize>) -> &'static str {
    if numbers.any(|number| definitions.variables[number].name == TIME) { "step_time" } else { TIME }
}

/// The steps' times as a coordinate, with the units that the archive gives.
fn add_times(file: &mut FileMut, reader: &Reader, names: &Names, steps: Range<u64>, name: &str) -> Result<(), Cause> {
    let times = steps.map(|step| reader.time(step)).collect::<fieldpress::Result<Vec<f64>>>()?;
    file.add_unlimited_dimension(name)?;
    let mut variable = file.add_variable::<f64>(name, &[name])?;
    variable.put_attribute("axis", "T")?;
    for (name, attribute) in &names.time {
        variable.put_attribute(name, value(name, attribute)?)?;
    }
    variable.put_values(&times, 0..times.len())?;
    Ok(())
}

/// A dimension of the file: a dimension of the archive, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Axis {
    name: String,
    /// What the archive calls it.
    whole: String,
    start: usize,
    count: usize,
}

/// Makes the dimensions that the variables share; where a box cuts one dimension differently for two variables, the later
/// part has the place of its beginning in its name.
fn add_dimensions(
    file: &mut FileMut,
    definitions: &Definitions,
    names: &Names,
    numbers: &[usize],
    region: Option<&Region>,
) -> Result<Vec<Vec<Axis>>, Cause> {
    let mut known: Vec<Axis> = Vec::new();
    let mut of_variables = Vec::new();
    for &number in numbers {
        let dims = definitions.variables[number].shape.dims();
        let mut axes = Vec::new();
        for (k, (whole, &size)) in names.dimensions[number].iter().zip(dims).enumerate() {
            let cut = region.and_then(|region| Some((*region.start.get(k)?, *region.count.get(k)?)));
            let (start, count) = cut.unwrap_or((0, size));
            if let Some(axis) = known.iter().find(|axis| (&axis.whole, axis.start, axis.count) == (whole, start, count))
            {
                axes.push(axis.clone());
                continue;
            }
            let mut name = whole.clone();
            while name == TIME || known.iter().any(|axis| axis.name == name) {
                name = format!("{name}_{start}");
            }
            file.add_dimension(&name, count)?;
            let axis = Axis { name, whole: whole.clone(), start, count };
            known.push(axis.clone());
            axes.push(axis);
        }
        of_variables.push(axes);
    }
    Ok(of_variables)
}

/// A coordinate of the file, and its dimensions there.
struct PlacedCoordinate {
    name: String,
    dimensions: Vec<String>,
}

/// Writes the coordinates whose dimensions some variable has, cut as that is.
fn add_coordinates(
    file: &mut FileMut,
    definitions: &Definitions,
    names: &Names,
    numbers: &[usize],
    axes: &[Vec<Axis>],
) -> Result<Vec<PlacedCoordinate>, Cause> {
    let mut placed: Vec<PlacedCoordinate> = Vec::new();
    for coordinate in &names.coordinates {
        let owner = axes.iter().zip(numbers).find_map(|(axes, &number)| {
            let of = |name: &String| axes.iter().position(|axis| axis.whole == *name);
            let places = coordinate.dimensions.iter().map(of).collect::<Option<Vec<usize>>>()?;
            let dims = definitions.variables[number].shape.dims();
            let sizes: Vec<usize> = places.iter().map(|&place| dims[place]).collect();
            let cut: Vec<&Axis> = places.iter().map(|&place| &axes[place]).collect();
            (sizes.iter().product::<usize>() == coordinate.values.len()).then_some((sizes, cut))
        });
        let Some((sizes, cut)) = owner else { continue };
        // A variable of the archive may have that name.
        if numbers.iter().any(|&number| definitions.variables[number].name == coordinate.name) {
            continue;
        }
        let dimensions: Vec<&str> = cut.iter().map(|axis| &*axis.name).collect();
        // Along one dimension, a coordinate has the dimension's name.
        let name = if coordinate.dimensions == [coordinate.name.as_str()] { dimensions[0] } else { &coordinate.name };
        let mut variable = file.add_variable::<f64>(name, &dimensions)?;
        for (name, attribute) in &coordinate.attributes {
            variable.put_attribute(name, value(name, attribute)?)?;
        }
        variable.put_values(&part(&coordinate.values, &sizes, &cut), ..)?;
        placed.push(PlacedCoordinate {
            name: name.to_owned(),
            dimensions: dimensions.into_iter().map(str::to_owned).collect(),
        });
    }
    Ok(placed)
}

/// A box of values in C order.
fn part(values: &[f64], sizes: &[usize], axes: &[&Axis]) -> Vec<f64> {
    let counts: Vec<usize> = axes.iter().map(|axis| axis.count).collect();
    let mut index = vec![0; axes.len()];
    let mut out = Vec::with_capacity(counts.iter().product());
    for _ in 0..counts.iter().product() {
        let place = (0..axes.len()).fold(0, |place, k| place * sizes[k] + axes[k].start + index[k]);
        out.push(values[place]);
        advance(&mut index, &counts);
    }
    out
}

/// The coordinates of a variable that have not a dimension's name, which CF wants named, unless the variable does it.
fn beside<'a>(placed: &'a [PlacedCoordinate], info: &VariableInfo, axes: &[Axis]) -> Vec<&'a str> {
    if info.attributes.iter().any(|(name, _)| name == "coordinates") {
        return Vec::new();
    }
    let has = |name: &String| axes.iter().any(|axis| axis.name == *name);
    let others = placed.iter().filter(|one| one.dimensions != [one.name.as_str()] && one.dimensions.iter().all(has));
    others.map(|one| one.name.as_str()).collect()
}

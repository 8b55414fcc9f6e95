//! Variables of NetCDF files as fields.

use crate::classic;
use crate::failure::{Failure, caught};
use crate::source::{Data, Field};
use fieldpress::{DType, Shape};
use netcdf::types::{FloatType, NcVariableType};
use netcdf::{AttributeValue, Variable};
use std::ops::RangeInclusive;
use std::path::Path;

/// Whether the file begins like NetCDF: in a classic form, or as HDF5.
pub fn is_dataset(path: &str) -> bool {
    let mut start = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut start));
    read.is_ok() && (start.starts_with(b"CDF") || start == *b"\x89HDF")
}

/// Refuses a file in a classic form that lacks what its header says, of one variable or of all.
///
/// # Errors
/// Bad input that says what is missing; what reading the file gives.
pub fn refuse_damaged(path: &str, variable: Option<&str>) -> Result<(), Failure> {
    match classic::fault(path, variable).map_err(|error| Failure::reading(path, error))? {
        None => Ok(()),
        Some(what) => Err(Failure::reading(path, format!("this NetCDF file is not whole: {what}"))),
    }
}

/// The variables of a NetCDF file as `file:name (sizes)`; nothing where a file is none.
pub fn variables(path: &str) -> Option<String> {
    // Of no variable: its header alone.
    if !is_dataset(path) || refuse_damaged(path, Some("")).is_err() {
        return None;
    }
    let list = || Ok(netcdf::open(Path::new(path)).ok().map(|file| listed(path, &file)));
    caught(list, |said| Failure::reading(path, said)).ok()?
}

fn listed(path: &str, file: &netcdf::File) -> String {
    let one = |variable: Variable<'_>| {
        let sizes: Vec<String> = variable.dimensions().iter().map(|dimension| dimension.len().to_string()).collect();
        format!("{path}:{} ({})", variable.name(), sizes.join("x"))
    };
    let names: Vec<String> = file.variables().map(one).collect();
    if names.is_empty() { "no variables outside of groups".to_owned() } else { names.join(", ") }
}

/// Reads a variable. What the NetCDF library's wrapper panics on is the file's fault.
///
/// # Errors
/// Bad input where there is no such variable, or its values are no numbers of a field.
pub fn read(path: &str, name: &str) -> Result<Field, Failure> {
    caught(
        || read_variable(path, name),
        |said| Failure::reading(path, format!("the NetCDF library cannot read '{name}' in it: {said}")),
    )
}

fn read_variable(path: &str, name: &str) -> Result<Field, Failure> {
    let failed = |error: netcdf::Error| Failure::reading(path, error);
    // A leading slash is ncdump's notation for a name from the root group on.
    let parts: Vec<&str> = name.strip_prefix('/').unwrap_or(name).split('/').collect();
    if parts.iter().any(|part| ["", ".", ".."].contains(part)) {
        return Err(Failure::input(format!(
            "{path}: '{name}' is no name of a NetCDF variable; expected NAME, or GROUP/NAME, also after a /"
        )));
    }
    refuse_damaged(path, Some(&parts.join("/")))?;
    let file = netcdf::open(path).map_err(failed)?;
    let variable = file
        .variable(&parts.join("/"))
        .ok_or_else(|| Failure::input(format!("{path} has no variable '{name}'; it has {}", listed(path, &file))))?;
    let dims: Vec<usize> = variable.dimensions().iter().map(netcdf::Dimension::len).collect();
    let shape = Shape::new(&dims).map_err(|error| Failure::reading(&format!("{path}:{name}"), error))?;
    let dtype = match variable.vartype() {
        NcVariableType::Float(FloatType::F32) => DType::F32,
        NcVariableType::Float(FloatType::F64) => DType::F64,
        NcVariableType::Int(_) if is_packed(&variable) => {
            return unpacked(&variable.get_values::<f64, _>(..).map_err(failed)?, &variable, shape);
        }
        other => {
            return Err(Failure::input(format!(
                "{path}:{name} has values of type {other:?}; only float, double and packed integers are fields"
            )));
        }
    };
    let mut field = Field::new(shape, dtype)?;
    match &mut field.data {
        Data::F32(values) => variable.get_values_into(values, ..),
        Data::F64(values) => variable.get_values_into(values, ..),
    }
    .map_err(failed)?;
    field.fill_value = fill_value(&variable, &field.data);
    let others = outside(&valid_range(&variable), &field.data, field.fill_value);
    match (&others[..], field.fill_value) {
        ([], _) => {}
        // One value that stands for all points without data is as good as one that is named.
        (&[value], None) => field.fill_value = Some(value),
        _ => tracing::warn!(
            "{path}:{name}: values such as {} lie outside of its valid_range and are not its fill value; they are taken \
             for data",
            others[0]
        ),
    }
    Ok(field)
}

/// The range that `valid_range`, or `valid_min` and `valid_max`, give to a variable's stored values, as CF has them.
fn valid_range(variable: &Variable<'_>) -> RangeInclusive<f64> {
    let number = |name: &str, usual: f64| attribute_values(variable, name).first().copied().unwrap_or(usual);
    match attribute_values(variable, "valid_range")[..] {
        [low, high] => low..=high,
        _ => number("valid_min", f64::NEG_INFINITY)..=number("valid_max", f64::INFINITY),
    }
}

/// Finite values outside of a range and other than the fill value: at most two different ones.
fn outside(valid: &RangeInclusive<f64>, data: &Data, fill: Option<f64>) -> Vec<f64> {
    let mut found: Vec<f64> = Vec::new();
    let mut look = |value: f64, fill: Option<f64>| {
        if value.is_finite()
            && !valid.contains(&value)
            && Some(value) != fill
            && found.len() < 2
            && !found.contains(&value)
        {
            found.push(value);
        }
    };
    match data {
        Data::F32(values) => values.iter().for_each(|&v| look(v.into(), fill.map(|fill| f64::from(fill as f32)))),
        Data::F64(values) => values.iter().for_each(|&v| look(v, fill)),
    }
    found
}

/// The value that marks points without data: `_FillValue`, else the first `missing_value` or, where no `_FillValue` is
/// set, NetCDF's own default for points that were never written, if it occurs among the values.
fn fill_value(variable: &Variable<'_>, data: &Data) -> Option<f64> {
    let occurs = |fill: &f64| match data {
        Data::F32(values) => values.contains(&(*fill as f32)),
        Data::F64(values) => values.contains(fill),
    };
    attribute_values(variable, "_FillValue").first().copied().or_else(|| {
        let mut candidates = attribute_values(variable, "missing_value");
        candidates.push(netcdf_sys::NC_FILL_DOUBLE);
        candidates.into_iter().find(occurs)
    })
}

/// The numbers of an attribute; none where it is missing or a text.
fn attribute_values(variable: &Variable<'_>, name: &str) -> Vec<f64> {
    use netcdf::AttributeValue::{Double, Doubles, Float, Floats, Int, Ints, Schar, Short, Shorts, Uchar};
    match variable.attribute_value(name).and_then(Result::ok) {
        Some(Float(value)) => vec![value.into()],
        Some(Double(value)) => vec![value],
        Some(Schar(value)) => vec![value.into()],
        Some(Uchar(value)) => vec![value.into()],
        Some(Floats(values)) => values.into_iter().map(f64::from).collect(),
        Some(Doubles(values)) => values,
        Some(Short(value)) => vec![value.into()],
        Some(Shorts(values)) => values.into_iter().map(f64::from).collect(),
        Some(Int(value)) => vec![value.into()],
        Some(Ints(values)) => values.into_iter().map(f64::from).collect(),
        _ => Vec::new(),
    }
}

/// Whether integers stand for others, as CF has it.
fn is_packed(variable: &Variable<'_>) -> bool {
    ["scale_factor", "add_offset"].into_iter().any(|name| !attribute_values(variable, name).is_empty())
}

/// The values that integers stand for: f64 where their scale or offset is a double, f32 otherwise; NaN for points
/// without data.
fn unpacked(packed: &[f64], variable: &Variable<'_>, shape: Shape) -> Result<Field, Failure> {
    let number = |name: &str| attribute_values(variable, name).first().copied();
    let (scale, offset) = (number("scale_factor").unwrap_or(1.0), number("add_offset").unwrap_or(0.0));
    let is_double = |name: &str| {
        matches!(
            variable.attribute_value(name).and_then(Result::ok),
            Some(AttributeValue::Double(_) | AttributeValue::Doubles(_))
        )
    };
    let dtype = if is_double("scale_factor") || is_double("add_offset") { DType::F64 } else { DType::F32 };
    let holes: Vec<f64> =
        ["_FillValue", "missing_value"].into_iter().flat_map(|name| attribute_values(variable, name)).collect();
    let valid = valid_range(variable);
    let is_hole = |p: f64| holes.contains(&p) || !valid.contains(&p);
    let values = packed.iter().map(|&p| if is_hole(p) { f64::NAN } else { p * scale + offset });
    let mut field = Field::new(shape, dtype)?;
    match &mut field.data {
        Data::F32(out) => out.iter_mut().zip(values).for_each(|(out, value)| *out = value as f32),
        Data::F64(out) => out.iter_mut().zip(values).for_each(|(out, value)| *out = value),
    }
    Ok(field)
}

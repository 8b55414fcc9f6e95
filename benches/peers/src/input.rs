//! Fields from files: raw little-endian values, `.npy`, or `file.nc:variable`.

use anyhow::{Context, Result, bail, ensure};
use fieldpress::DType;
use std::path::Path;

/// A field's values, of the type that the file has.
pub enum Values {
    /// f32 values.
    F32(Vec<f32>),
    /// f64 values.
    F64(Vec<f64>),
}

/// A field as read.
pub struct Input {
    /// What results call it.
    pub name: String,
    /// Sizes of its axes, slowest first.
    pub dims: Vec<usize>,
    /// Its values in C order.
    pub values: Values,
    /// The value that marks points without data, where the file names one.
    pub fill: Option<f64>,
}

/// Reads `source`; raw files need `dims` and `dtype`, the others know their own.
pub fn read(source: &str, dims: Option<&[usize]>, dtype: Option<DType>) -> Result<Input> {
    let input = match source.rsplit_once(':') {
        Some((file, variable)) if !Path::new(source).exists() => read_netcdf(file, variable),
        _ if source.ends_with(".npy") => read_npy(Path::new(source)),
        _ => {
            let dims = dims.with_context(|| format!("{source} is raw: give its --dims"))?;
            let dtype = dtype.with_context(|| format!("{source} is raw: give its --type"))?;
            read_raw(Path::new(source), dims, dtype)
        }
    }?;
    if let Some(dims) = dims {
        ensure!(input.dims == dims, "{source} has dimensions {:?}, not {dims:?}", input.dims);
    }
    Ok(input)
}

fn file_stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn values_of(bytes: &[u8], dtype: DType) -> Values {
    match dtype {
        DType::F32 => Values::F32(bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()),
        DType::F64 => Values::F64(bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()),
    }
}

fn count(dims: &[usize]) -> Result<usize> {
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).context("the dimensions have too many elements")
}

fn read_raw(path: &Path, dims: &[usize], dtype: DType) -> Result<Input> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let expected = count(dims)? * dtype.size();
    ensure!(
        bytes.len() == expected,
        "{} has {} bytes, but {dims:?} of {} are {expected}",
        path.display(),
        bytes.len(),
        dtype.name()
    );
    Ok(Input { name: file_stem(path), dims: dims.to_vec(), values: values_of(&bytes, dtype), fill: None })
}

/// The value of `key` in a `.npy` header, up to the next key.
fn header_value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let rest = &header[header.find(&format!("'{key}'"))? + key.len() + 2..];
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

fn read_npy(path: &Path) -> Result<Input> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let broken = || format!("{} is not a .npy file of f32 or f64 in C order", path.display());
    ensure!(bytes.len() > 12 && bytes.starts_with(b"\x93NUMPY"), broken());
    let (start, length) = match bytes[6] {
        1 => (10, usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))),
        _ => (12, u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize),
    };
    let header = bytes.get(start..start + length).with_context(broken)?;
    let header = std::str::from_utf8(header).with_context(broken)?;
    let dtype = match header_value(header, "descr").with_context(broken)?.get(..5) {
        Some("'<f4'") => DType::F32,
        Some("'<f8'") => DType::F64,
        _ => bail!(broken()),
    };
    ensure!(header_value(header, "fortran_order").is_some_and(|value| value.starts_with("False")), broken());
    let shape = header_value(header, "shape").and_then(|value| value.strip_prefix('(')?.split_once(')'));
    let dims: Vec<usize> = shape
        .with_context(broken)?
        .0
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().with_context(broken))
        .collect::<Result<_>>()?;
    let data = &bytes[start + length..];
    ensure!(data.len() == count(&dims)? * dtype.size(), broken());
    Ok(Input { name: file_stem(path), dims, values: values_of(data, dtype), fill: None })
}

fn read_netcdf(file: &str, variable: &str) -> Result<Input> {
    let dataset = netcdf::open(file).with_context(|| format!("cannot open {file}"))?;
    let source = dataset.variable(variable).with_context(|| {
        let names: Vec<String> = dataset.variables().map(|v| v.name()).collect();
        format!("{file} has no variable '{variable}'; it has {}", names.join(", "))
    })?;
    let dims: Vec<usize> = source.dimensions().iter().map(netcdf::Dimension::len).collect();
    use netcdf::types::{FloatType, NcVariableType};
    let values = match source.vartype() {
        NcVariableType::Float(FloatType::F32) => Values::F32(source.get_values(..)?),
        NcVariableType::Float(FloatType::F64) => Values::F64(source.get_values(..)?),
        other => bail!("{file}:{variable} has type {other:?}; expected f32 or f64"),
    };
    let fill = match source.attribute_value("_FillValue").transpose()? {
        Some(netcdf::AttributeValue::Float(value)) => Some(f64::from(value)),
        Some(netcdf::AttributeValue::Double(value)) => Some(value),
        _ => None,
    };
    Ok(Input { name: variable.to_owned(), dims, values, fill })
}

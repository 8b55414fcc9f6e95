//! Inputs: a field from a raw, NumPy or NetCDF file, or a stream.

use crate::failure::Failure;
use crate::npy;
use fieldpress::{DType, Element, FieldView, FieldViewMut, Shape};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// The values of a field.
#[derive(Debug)]
pub enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// A field in memory.
#[derive(Debug)]
pub struct Field {
    pub shape: Shape,
    pub data: Data,
    /// The value that marks points without data, where the file names one.
    pub fill_value: Option<f64>,
}

/// What is known of a raw file's content from elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected<'a> {
    pub dims: Option<&'a [usize]>,
    pub dtype: Option<DType>,
}

impl Field {
    /// Zeros.
    ///
    /// # Errors
    /// Bad input where there is no memory for as many values as a file says that it has.
    pub fn new(shape: Shape, dtype: DType) -> Result<Self, Failure> {
        fn zeros<T: Element>(shape: &Shape) -> Result<Vec<T>, Failure> {
            let mut values = Vec::new();
            let room = values.try_reserve_exact(shape.len());
            room.map_err(|_| Failure::input(format!("there is no memory for a field of {shape} values")))?;
            values.resize(shape.len(), T::from_f64(0.0));
            Ok(values)
        }
        let data = match dtype {
            DType::F32 => Data::F32(zeros(&shape)?),
            DType::F64 => Data::F64(zeros(&shape)?),
        };
        Ok(Self { shape, data, fill_value: None })
    }

    pub fn dtype(&self) -> DType {
        match self.data {
            Data::F32(_) => DType::F32,
            Data::F64(_) => DType::F64,
        }
    }

    pub fn view(&self) -> fieldpress::Result<FieldView<'_>> {
        match &self.data {
            Data::F32(values) => FieldView::new(values, self.shape.dims()),
            Data::F64(values) => FieldView::new(values, self.shape.dims()),
        }
    }

    pub fn view_mut(&mut self) -> fieldpress::Result<FieldViewMut<'_>> {
        match &mut self.data {
            Data::F32(values) => FieldViewMut::new(values, self.shape.dims()),
            Data::F64(values) => FieldViewMut::new(values, self.shape.dims()),
        }
    }

    /// The same field with the dimensions `last` moved behind the others, in their order.
    pub fn with_last(self, last: [usize; 3]) -> Self {
        let others = (0..self.shape.ndim()).filter(|axis| !last.contains(axis));
        let order: Vec<usize> = others.chain(last).collect();
        let strides = self.shape.contiguous_strides();
        let dims: Vec<usize> = order.iter().map(|&axis| self.shape.dims()[axis]).collect();
        let strides: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
        let Ok(shape) = Shape::new(&dims) else { return self };
        let data = match &self.data {
            Data::F32(values) => Data::F32(gather(values, &dims, &strides)),
            Data::F64(values) => Data::F64(gather(values, &dims, &strides)),
        };
        Self { shape, data, fill_value: self.fill_value }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.data {
            Data::F32(values) => bytemuck::cast_slice_mut(values),
            Data::F64(values) => bytemuck::cast_slice_mut(values),
        }
    }

    fn swap_bytes(&mut self) {
        match &mut self.data {
            Data::F32(values) => values.iter_mut().for_each(|v| *v = f32::from_bits(v.to_bits().swap_bytes())),
            Data::F64(values) => values.iter_mut().for_each(|v| *v = f64::from_bits(v.to_bits().swap_bytes())),
        }
    }

    /// Fills the field from the reader, which must then be at its end.
    fn read_values(&mut self, reader: &mut impl Read, big_endian: bool) -> std::io::Result<()> {
        reader.read_exact(self.bytes_mut())?;
        if big_endian != cfg!(target_endian = "big") {
            self.swap_bytes();
        }
        Ok(())
    }
}

fn gather<T: Copy>(values: &[T], dims: &[usize], strides: &[usize]) -> Vec<T> {
    let mut out = Vec::with_capacity(values.len());
    let mut index = vec![0; dims.len()];
    for _ in values {
        out.push(values[index.iter().zip(strides).map(|(i, stride)| i * stride).sum::<usize>()]);
        advance(&mut index, dims);
    }
    out
}

/// The next index of an array in C order; after the last one, the first.
pub fn advance(index: &mut [usize], dims: &[usize]) {
    for (i, &n) in index.iter_mut().zip(dims).rev() {
        *i += 1;
        if *i < n {
            return;
        }
        *i = 0;
    }
}

/// Reads a stream.
pub fn read_stream(path: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::reading(path, error))
}

/// Reads a field: `x.npy`, `file:variable` where no file has that whole name, or raw values as `expected` says.
pub fn read_field(name: &str, expected: Expected<'_>) -> Result<Field, Failure> {
    let path = Path::new(name);
    let field = match name.rsplit_once(':') {
        Some((file, variable)) if !path.exists() && Path::new(file).exists() => read_netcdf(file, variable)?,
        _ if path.extension().is_some_and(|extension| extension == "npy") => read_npy(name)?,
        _ => return read_raw(name, expected),
    };
    if let Some(dims) = expected.dims.filter(|dims| *dims != field.shape.dims()) {
        let expected = dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        return Err(Failure::input(format!("{name}: its shape is {}, not {expected}", field.shape)));
    }
    if let Some(dtype) = expected.dtype.filter(|dtype| *dtype != field.dtype()) {
        return Err(Failure::input(format!("{name}: its type is {}, not {}", field.dtype().name(), dtype.name())));
    }
    Ok(field)
}

/// Opens a file whose values after `header` bytes must be those of `shape` and `dtype`, before memory is taken for them.
fn check_length(name: &str, file: &File, header: u64, shape: &Shape, dtype: DType) -> Result<(), Failure> {
    let metadata = file.metadata().map_err(|error| Failure::reading(name, error))?;
    let expected = header + (shape.len() * dtype.size()) as u64;
    if metadata.is_file() && metadata.len() != expected {
        return Err(Failure::input(format!(
            "{name}: it has {} bytes; {shape} values of {} need {expected}",
            metadata.len(),
            dtype.name()
        )));
    }
    Ok(())
}

fn open(name: &str) -> Result<File, Failure> {
    let file = File::open(name).map_err(|error| Failure::reading(name, error))?;
    let is_folder = file.metadata().is_ok_and(|metadata| metadata.is_dir());
    if is_folder { Err(Failure::input(format!("{name}: is a folder"))) } else { Ok(file) }
}

fn read_raw(name: &str, expected: Expected<'_>) -> Result<Field, Failure> {
    let mut file = open(name)?;
    let (Some(dims), Some(dtype)) = (expected.dims, expected.dtype) else {
        return Err(Failure::usage(format!(
            "{name} is read as raw values: give --dims and --type (or a .npy file, or file.nc:variable)"
        )));
    };
    let shape = Shape::new(dims)?;
    check_length(name, &file, 0, &shape, dtype)?;
    let mut field = Field::new(shape, dtype)?;
    field.read_values(&mut file, false).map_err(|error| Failure::reading(name, error))?;
    Ok(field)
}

fn read_npy(name: &str) -> Result<Field, Failure> {
    let mut reader = BufReader::new(open(name)?);
    let header = npy::read_header(&mut reader).map_err(|error| Failure::reading(name, error))?;
    let shape = Shape::new(&header.dims).map_err(|error| Failure::reading(name, error))?;
    let start = std::io::Seek::stream_position(&mut reader).map_err(|error| Failure::reading(name, error))?;
    check_length(name, reader.get_ref(), start, &shape, header.dtype)?;
    let mut field = Field::new(shape, header.dtype)?;
    field.read_values(&mut reader, header.big_endian).map_err(|error| Failure::reading(name, error))?;
    Ok(field)
}

fn read_netcdf(path: &str, name: &str) -> Result<Field, Failure> {
    use netcdf::types::{FloatType, NcVariableType};

    let failed = |error: netcdf::Error| Failure::reading(path, error);
    let file = netcdf::open(path).map_err(failed)?;
    // A leading slash is ncdump's notation for a name from the root group on.
    let parts: Vec<&str> = name.strip_prefix('/').unwrap_or(name).split('/').collect();
    if parts.iter().any(|part| ["", ".", ".."].contains(part)) {
        return Err(Failure::input(format!(
            "{path}: '{name}' is no name of a NetCDF variable; expected NAME, or GROUP/NAME, also after a /"
        )));
    }
    let variable = file.variable(&parts.join("/")).ok_or_else(|| {
        let names: Vec<String> = file.variables().map(|variable| variable.name()).collect();
        Failure::input(format!("{path} has no variable '{name}'; it has {}", names.join(", ")))
    })?;
    let dims: Vec<usize> = variable.dimensions().iter().map(netcdf::Dimension::len).collect();
    let shape = Shape::new(&dims).map_err(|error| Failure::reading(&format!("{path}:{name}"), error))?;
    let dtype = match variable.vartype() {
        NcVariableType::Float(FloatType::F32) => DType::F32,
        NcVariableType::Float(FloatType::F64) => DType::F64,
        other => {
            return Err(Failure::input(format!(
                "{path}:{name} has values of type {other:?}; only float and double are fields"
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
    Ok(field)
}

/// The value that marks points without data: `_FillValue`, else the first `missing_value` or, where no `_FillValue` is set,
/// NetCDF's own default for points that were never written, if it occurs among the values.
fn fill_value(variable: &netcdf::Variable<'_>, data: &Data) -> Option<f64> {
    // netcdf.h: NC_FILL_FLOAT and NC_FILL_DOUBLE.
    const DEFAULT_FILL: f64 = 9.969_209_968_386_869e36;
    let occurs = |fill: &f64| match data {
        Data::F32(values) => values.contains(&(*fill as f32)),
        Data::F64(values) => values.contains(fill),
    };
    attribute_values(variable, "_FillValue").first().copied().or_else(|| {
        let mut candidates = attribute_values(variable, "missing_value");
        candidates.push(DEFAULT_FILL);
        candidates.into_iter().find(occurs)
    })
}

/// The numbers of an attribute; none where it is missing or a text.
fn attribute_values(variable: &netcdf::Variable<'_>, name: &str) -> Vec<f64> {
    use netcdf::AttributeValue::{Double, Doubles, Float, Floats, Int, Ints, Short, Shorts};
    match variable.attribute_value(name).and_then(Result::ok) {
        Some(Float(value)) => vec![value.into()],
        Some(Double(value)) => vec![value],
        Some(Floats(values)) => values.into_iter().map(f64::from).collect(),
        Some(Doubles(values)) => values,
        Some(Short(value)) => vec![value.into()],
        Some(Shorts(values)) => values.into_iter().map(f64::from).collect(),
        Some(Int(value)) => vec![value.into()],
        Some(Ints(values)) => values.into_iter().map(f64::from).collect(),
        _ => Vec::new(),
    }
}

/// Whether a point carries no data: not finite, or the fill value. Such points are kept bit by bit.
pub fn is_masked<T: Element>(value: T, fill_value: Option<f64>) -> bool {
    !value.to_f64().is_finite() || fill_value.is_some_and(|fill| T::from_f64(fill) == value)
}

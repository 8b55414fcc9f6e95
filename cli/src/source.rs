//! Inputs: a field from a raw, NumPy or NetCDF file, or a stream.

use crate::failure::Failure;
use crate::target::STANDARD;
use crate::{netcdf_in, npy};
use fieldpress::{DType, Element, FieldView, FieldViewMut, SentinelSearch, Shape};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

/// The values of a field.
#[derive(Debug)]
pub enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Data {
    /// Values far outside of all others, which mark points without data.
    pub fn sentinels(&self) -> Vec<f64> {
        fn of<T: Element>(values: &[T]) -> Vec<f64> {
            let mut search = SentinelSearch::new(&[]);
            search.add(values);
            search.take_sentinels().into_iter().map(|value| value.to_f64()).collect()
        }
        match self {
            Self::F32(values) => of(values),
            Self::F64(values) => of(values),
        }
    }
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

    /// Some of the indices of the first dimension.
    pub fn with_first(mut self, range: std::ops::Range<usize>) -> Self {
        let mut dims = self.shape.dims().to_vec();
        let size: usize = dims[1..].iter().product();
        dims[0] = range.len();
        let Ok(shape) = Shape::new(&dims) else { return self };
        fn keep<T>(values: &mut Vec<T>, part: std::ops::Range<usize>) {
            values.truncate(part.end);
            values.drain(..part.start);
        }
        let part = range.start * size..range.end * size;
        match &mut self.data {
            Data::F32(values) => keep(values, part),
            Data::F64(values) => keep(values, part),
        }
        Self { shape, ..self }
    }

    /// The same values in another shape of as many.
    pub fn reshaped(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// The field of these values in memory with its dimensions the other way round.
    fn transposed(self) -> Self {
        let order: Vec<usize> = (0..self.shape.ndim()).rev().collect();
        self.with_order(&order)
    }

    /// The same field with the dimensions `last` moved behind the others, in their order.
    pub fn with_last(self, last: &[usize]) -> Self {
        let others = (0..self.shape.ndim()).filter(|axis| !last.contains(axis));
        let order: Vec<usize> = others.chain(last.iter().copied()).collect();
        self.with_order(&order)
    }

    /// The same field with its dimensions in another order.
    fn with_order(self, order: &[usize]) -> Self {
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

    /// Fills the field with values of 16 bits, which f32 holds exactly.
    fn read_halves(&mut self, reader: &mut dyn Read, big_endian: bool) -> io::Result<()> {
        let Data::F32(values) = &mut self.data else { return Err(io::Error::other("halves are read as f32")) };
        let mut bytes = vec![0; 2 * values.len()];
        reader.read_exact(&mut bytes)?;
        for (value, bytes) in values.iter_mut().zip(bytes.chunks_exact(2)) {
            let bytes = [bytes[0], bytes[1]];
            let bits = if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
            *value = half::f16::from_bits(bits).to_f32();
        }
        Ok(())
    }

    /// Fills the field from the reader, whose length has been compared with the field's.
    fn read_values(&mut self, reader: &mut dyn Read, big_endian: bool) -> io::Result<()> {
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

/// Reads a stream, from a file or from standard input.
pub fn read_stream(path: &str) -> Result<Vec<u8>, Failure> {
    if path == STANDARD {
        return read_standard();
    }
    std::fs::read(path).map_err(|error| Failure::reading(path, error))
}

/// All of standard input: nothing says before its end how much there is.
fn read_standard() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(|error| Failure::reading("standard input", error))?;
    Ok(bytes)
}

/// Reads a field: `x.npy`, `file:variable` where no file has that whole name, or raw values as `expected` says; `-` is
/// NumPy's or raw values from standard input.
pub fn read_field(name: &str, expected: Expected<'_>) -> Result<Field, Failure> {
    let path = Path::new(name);
    let field = match netcdf_parts(name) {
        Some((file, variable)) => netcdf_in::read(file, variable)?,
        _ if name == STANDARD && expected.dims.is_none() => read_npy(name)?,
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

/// File and variable of a name `file:variable`, where no file has that whole name.
pub fn netcdf_parts(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once(':').filter(|(file, _)| !Path::new(name).exists() && Path::new(file).exists())
}

/// Where values are read from, and how many bytes there are, where that is known.
struct Source {
    reader: Box<dyn Read>,
    bytes: Option<u64>,
}

impl Source {
    fn open(name: &str) -> Result<Self, Failure> {
        if name == STANDARD {
            let bytes = read_standard()?;
            return Ok(Self { bytes: Some(bytes.len() as u64), reader: Box::new(Cursor::new(bytes)) });
        }
        let file = File::open(name).map_err(|error| Failure::reading(name, error))?;
        let metadata = file.metadata().map_err(|error| Failure::reading(name, error))?;
        if metadata.is_dir() {
            return Err(Failure::input(format!("{name}: is a folder")));
        }
        let bytes = metadata.is_file().then_some(metadata.len());
        Ok(Self { reader: Box::new(BufReader::new(file)), bytes })
    }

    /// Checks that the values after `before` bytes are those of `shape`, before memory is taken for them.
    fn check_length(&self, name: &str, before: u64, shape: &Shape, value_bytes: usize) -> Result<(), Failure> {
        let expected = before + (shape.len() * value_bytes) as u64;
        match self.bytes {
            Some(bytes) if bytes != expected => Err(Failure::input(format!(
                "{name}: it has {bytes} bytes; {shape} values of {value_bytes} bytes need {expected}"
            ))),
            _ => Ok(()),
        }
    }
}

fn read_raw(name: &str, expected: Expected<'_>) -> Result<Field, Failure> {
    let (Some(dims), Some(dtype)) = (expected.dims, expected.dtype) else {
        Source::open(name)?;
        if let Some(variables) = netcdf_in::variables(name) {
            return Err(Failure::usage(format!("{name} is a NetCDF file; name a variable of it: {variables}")));
        }
        return Err(Failure::usage(format!(
            "{name} is read as raw values: give --dims and --type (or a .npy file, or file.nc:variable)"
        )));
    };
    let mut source = Source::open(name)?;
    let shape = Shape::new(dims)?;
    source.check_length(name, 0, &shape, dtype.size())?;
    let mut field = Field::new(shape, dtype)?;
    field.read_values(&mut source.reader, false).map_err(|error| Failure::reading(name, error))?;
    Ok(field)
}

fn read_npy(name: &str) -> Result<Field, Failure> {
    let mut source = Source::open(name)?;
    let mut header = npy::read_header(&mut source.reader).map_err(|error| Failure::reading(name, error))?;
    let shape = Shape::new(&header.dims).map_err(|error| Failure::reading(name, error))?;
    source.check_length(name, header.values_at, &shape, header.value_bytes)?;
    if header.fortran_order {
        header.dims.reverse();
    }
    let mut field = Field::new(Shape::new(&header.dims)?, header.dtype)?;
    let values = if header.value_bytes == header.dtype.size() {
        field.read_values(&mut source.reader, header.big_endian)
    } else {
        field.read_halves(&mut source.reader, header.big_endian)
    };
    values.map_err(|error| Failure::reading(name, error))?;
    Ok(if header.fortran_order { field.transposed() } else { field })
}

/// Whether a point carries no data: not finite, or one of the values that say so. Such points are kept bit by bit.
pub fn is_masked<T: Element>(value: T, masked: &[f64]) -> bool {
    !value.to_f64().is_finite() || masked.iter().any(|&mark| T::from_f64(mark) == value)
}

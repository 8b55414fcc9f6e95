//! What headers of streams and indices of archives both say of a field: its type, its shape, its bound.

use crate::bound::Bound;
use crate::bytes::{Reader, Writer};
use crate::error::{Error, Result};
use crate::field::{DType, MAX_DIMS, Shape};

pub(crate) fn write_type_and_shape(out: &mut Writer, dtype: DType, shape: &Shape) {
    out.u8(match dtype {
        DType::F32 => 0,
        DType::F64 => 1,
    });
    out.u8(shape.ndim() as u8);
    for &n in shape.dims() {
        out.varint(n as u64);
    }
}

/// # Errors
/// `Corrupt`.
pub(crate) fn read_type_and_shape(reader: &mut Reader<'_>) -> Result<(DType, Shape)> {
    let dtype = match reader.u8()? {
        0 => DType::F32,
        1 => DType::F64,
        other => return Err(Error::corrupt(format!("value type {other} is not known"))),
    };
    let ndim = usize::from(reader.u8()?);
    if ndim == 0 || ndim > MAX_DIMS {
        return Err(Error::corrupt(format!("{ndim} dimensions; expected 1 to {MAX_DIMS}")));
    }
    let mut dims = [0; MAX_DIMS];
    for n in &mut dims[..ndim] {
        *n = usize::try_from(reader.varint()?).map_err(|_| Error::corrupt("a dimension is too large"))?;
    }
    let shape = Shape::new(&dims[..ndim]).map_err(|error| Error::corrupt(error.message()))?;
    Ok((dtype, shape))
}

pub(crate) fn write_bound(out: &mut Writer, bound: &Bound) {
    let kind = Bound::NAMES.iter().position(|name| *name == bound.name()).expect("every bound has a name");
    out.u8(kind as u8);
    out.f64(bound.value());
}

/// # Errors
/// `Corrupt`.
pub(crate) fn read_bound(reader: &mut Reader<'_>) -> Result<Bound> {
    let kind = usize::from(reader.u8()?);
    let name = Bound::NAMES.get(kind).ok_or_else(|| Error::corrupt(format!("bound kind {kind} is not known")))?;
    Bound::from_parts(name, reader.f64()?).map_err(|error| Error::corrupt(error.message()))
}

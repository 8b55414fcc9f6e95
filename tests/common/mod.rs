//! What tests share: the golden streams and the fields that they are made from, a second reader of the stream's outer
//! structure, written from docs/format.md, and archives by one process.
#![allow(dead_code)] // each test uses its part

pub mod archive;
pub mod fields;
pub mod golden;
pub mod structure;

use fieldpress::{Codec, DType, Element, FieldViewMut, Options, Request, Result, inspect};

/// A codec on one thread, which finds the package compiled in and the one that a golden stream needs besides.
pub fn reader() -> Codec {
    Codec::new(Options::default().with_threads(1).with_model(golden::latents_alone())).unwrap()
}

/// Decodes what `request` names of a stream into little-endian bytes.
pub fn decode(codec: &Codec, stream: &[u8], request: &Request) -> Result<Vec<u8>> {
    fn typed<T: Element>(codec: &Codec, stream: &[u8], request: &Request, dims: &[usize]) -> Result<Vec<u8>> {
        let mut out = vec![T::from_bits_u64(0); dims.iter().product()];
        codec.decompress(stream, request, &mut FieldViewMut::new(&mut out, dims)?)?;
        Ok(bytes(&out))
    }
    let info = inspect(stream)?;
    let shape = request.output_shape(&info)?;
    match info.dtype {
        DType::F32 => typed::<f32>(codec, stream, request, shape.dims()),
        DType::F64 => typed::<f64>(codec, stream, request, shape.dims()),
    }
}

/// The values' little-endian bytes.
pub fn bytes<T: Element>(values: &[T]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_bits_u64().to_le_bytes().into_iter().take(T::DTYPE.size())).collect()
}

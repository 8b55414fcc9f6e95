//! What a block of a variable becomes in the file, in one of three forms that its first bytes tell apart:
//!
//! | begins with | then |
//! | --- | --- |
//! | `FPRS` | nothing else: the block is a stream, byte for byte what the C ABI makes of the same values |
//! | `FPC1` | u64: bytes of the first stream; the real plane's stream; the imaginary plane's |
//! | `FPN1` | u32: CRC-32 of the rest; the values as they were, where nothing makes them smaller |
//!
//! Numbers are little-endian. The third form exists because BP4 reserves room for a block's own bytes and little more,
//! so that a block must not grow.

use crate::bridge::{Achieved, Written};
use crate::parameters::Setting;
use bytemuck::Pod;
use fieldpress::{
    Codec, DType, Element, Error, FieldView, FieldViewMut, MAX_DIMS, Report, Request, Result, Shape, inspect,
};

const COMPLEX: &[u8; 4] = b"FPC1";
const AS_IT_WAS: &[u8; 4] = b"FPN1";
const COMPLEX_HEADER: usize = 12;
const AS_IT_WAS_HEADER: usize = 8;

/// The most bytes that a block of `data_bytes` can become.
pub fn largest_block(data_bytes: usize) -> usize {
    data_bytes.saturating_add(AS_IT_WAS_HEADER)
}

/// The shape of a block in the codec's terms, slowest size first. Where there are more than a field can have, sizes of
/// 1 are left out, then the slowest are taken together.
pub(crate) fn shape(dims: &[usize], setting: &Setting) -> Result<Shape> {
    let mut dims = dims.to_vec();
    if setting.column_major {
        dims.reverse();
    }
    if dims.len() <= MAX_DIMS {
        return Shape::new(&dims);
    }
    if setting.codec.options().axes.is_some() {
        return Err(Error::invalid(format!(
            "parameter axes cannot be used for a block of {} dimensions; expected at most {MAX_DIMS}",
            dims.len()
        )));
    }
    let mut kept: Vec<usize> = dims.into_iter().filter(|&n| n != 1).collect();
    while kept.len() > MAX_DIMS {
        let first = kept.remove(0);
        kept[0] = kept[0].checked_mul(first).ok_or_else(|| Error::invalid("the block has too many elements"))?;
    }
    Shape::new(if kept.is_empty() { &[1] } else { &kept })
}

/// Compresses a block's values into `out`, which has [`largest_block`] bytes.
pub(crate) fn compress(
    setting: &Setting,
    data: &[u8],
    dtype: DType,
    complex: bool,
    dims: &[usize],
    out: &mut [u8],
) -> Result<Written> {
    let shape = shape(dims, setting)?;
    let planes = if complex { 2 } else { 1 };
    if data.len() != shape.len() * planes * dtype.size() {
        return Err(Error::internal(format!("a block of shape {shape} was given {} bytes", data.len())));
    }
    let streams = match dtype {
        DType::F32 => compress_planes(setting, aligned::<f32>(data).as_ref(), planes, &shape)?,
        DType::F64 => compress_planes(setting, aligned::<f64>(data).as_ref(), planes, &shape)?,
    };
    let header: &[u8] = if complex { &complex_header(streams[0].0.len()) } else { &[] };
    let length = header.len() + streams.iter().map(|(stream, _)| stream.len()).sum::<usize>();
    if length >= largest_block(data.len()) {
        let checksum = crc32fast::hash(data).to_le_bytes();
        let bytes = put(out, &[AS_IT_WAS, &checksum, data])?;
        return Ok(Written { bytes, achieved: Achieved::default() });
    }
    let parts: Vec<&[u8]> =
        std::iter::once(header).chain(streams.iter().map(|(stream, _)| stream.as_slice())).collect();
    let bytes = put(out, &parts)?;
    let mut achieved = Achieved::default();
    for (_, report) in &streams {
        include(&mut achieved, report);
    }
    Ok(Written { bytes, achieved })
}

/// The values in place, or a copy where they are not aligned as their type asks, which ADIOS2's own memory always is.
fn aligned<T: Pod>(data: &[u8]) -> std::borrow::Cow<'_, [T]> {
    match bytemuck::try_cast_slice(data) {
        Ok(values) => values.into(),
        Err(_) => data.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect::<Vec<T>>().into(),
    }
}

/// Streams of the planes of a field whose elements have `planes` values each.
fn compress_planes<T: Element>(
    setting: &Setting,
    values: &[T],
    planes: usize,
    shape: &Shape,
) -> Result<Vec<(Vec<u8>, Report)>> {
    let strides = shape.contiguous_strides().map(|stride| stride * planes);
    (0..planes)
        .map(|plane| {
            let field = FieldView::strided(&values[plane..], shape.dims(), &strides[..shape.ndim()])?;
            setting.codec.compress(&field, setting.bound)
        })
        .collect()
}

fn complex_header(first: usize) -> [u8; COMPLEX_HEADER] {
    let mut header = [0; COMPLEX_HEADER];
    header[..4].copy_from_slice(COMPLEX);
    header[4..].copy_from_slice(&(first as u64).to_le_bytes());
    header
}

fn put(out: &mut [u8], parts: &[&[u8]]) -> Result<usize> {
    let mut at = 0;
    for part in parts {
        let room = out.get_mut(at..at + part.len());
        room.ok_or_else(|| Error::internal("a block is longer than was promised"))?.copy_from_slice(part);
        at += part.len();
    }
    Ok(at)
}

fn include(achieved: &mut Achieved, report: &Report) {
    let range = report.info.range;
    let over_range = if range > 0.0 { report.info.max_abs_error / range } else { 0.0 };
    achieved.rms = achieved.rms.max(report.info.nrmse * range);
    achieved.relative_rms = achieved.relative_rms.max(report.info.nrmse);
    achieved.largest = achieved.largest.max(report.info.max_abs_error);
    achieved.relative_largest = achieved.relative_largest.max(over_range);
}

/// A block's parts.
enum Block<'a> {
    Streams(Vec<&'a [u8]>),
    AsItWas(&'a [u8]),
}

fn parse(block: &[u8]) -> Result<Block<'_>> {
    let cut = || Error::corrupt(format!("the block of {} bytes ends within its header", block.len()));
    match block.first_chunk::<4>() {
        Some(COMPLEX) => {
            let length: [u8; 8] = block.get(4..COMPLEX_HEADER).and_then(|b| b.try_into().ok()).ok_or_else(cut)?;
            let rest = &block[COMPLEX_HEADER..];
            let first = usize::try_from(u64::from_le_bytes(length)).ok().filter(|&first| first <= rest.len());
            let first = first.ok_or_else(|| Error::corrupt("the block's first plane is longer than the block"))?;
            let (real, imaginary) = rest.split_at(first);
            Ok(Block::Streams(vec![real, imaginary]))
        }
        Some(AS_IT_WAS) => {
            let checksum: [u8; 4] = block.get(4..AS_IT_WAS_HEADER).and_then(|b| b.try_into().ok()).ok_or_else(cut)?;
            let data = &block[AS_IT_WAS_HEADER..];
            if crc32fast::hash(data) != u32::from_le_bytes(checksum) {
                return Err(Error::corrupt("the block's values do not match their checksum"));
            }
            Ok(Block::AsItWas(data))
        }
        _ => Ok(Block::Streams(vec![block])),
    }
}

/// The shape and type that all of a block's streams have.
fn described(streams: &[&[u8]]) -> Result<(Shape, DType)> {
    let infos = streams.iter().map(|stream| inspect(stream)).collect::<Result<Vec<_>>>()?;
    let first = &infos[0];
    if infos.iter().any(|info| info.shape != first.shape || info.dtype != first.dtype) {
        return Err(Error::corrupt("the block's real and imaginary planes differ in shape or type"));
    }
    Ok((first.shape, first.dtype))
}

/// Bytes of the values in a block.
pub(crate) fn data_bytes(block: &[u8]) -> Result<usize> {
    match parse(block)? {
        Block::AsItWas(data) => Ok(data.len()),
        Block::Streams(streams) => {
            let (shape, dtype) = described(&streams)?;
            let too_many = || Error::corrupt("the block says that it has more values than memory can hold");
            shape.len().checked_mul(dtype.size() * streams.len()).ok_or_else(too_many)
        }
    }
}

/// Decompresses a block into `out`, which has [`data_bytes`] bytes.
pub(crate) fn decompress(codec: &Codec, block: &[u8], out: &mut [u8]) -> Result<Achieved> {
    if data_bytes(block)? != out.len() {
        return Err(Error::internal(format!("{} bytes are given for a block of other size", out.len())));
    }
    match parse(block)? {
        Block::AsItWas(data) => {
            out.copy_from_slice(data);
            Ok(Achieved::default())
        }
        Block::Streams(streams) => {
            let (shape, dtype) = described(&streams)?;
            match dtype {
                DType::F32 => decompress_planes::<f32>(codec, &streams, &shape, out),
                DType::F64 => decompress_planes::<f64>(codec, &streams, &shape, out),
            }
        }
    }
}

fn decompress_planes<T: Element + Pod>(
    codec: &Codec,
    streams: &[&[u8]],
    shape: &Shape,
    out: &mut [u8],
) -> Result<Achieved> {
    let Ok(values) = bytemuck::try_cast_slice_mut::<u8, T>(out) else {
        let mut values = vec![T::zeroed(); out.len() / size_of::<T>()];
        let achieved = decompress_planes::<T>(codec, streams, shape, bytemuck::cast_slice_mut(&mut values))?;
        out.copy_from_slice(bytemuck::cast_slice(&values));
        return Ok(achieved);
    };
    let strides = shape.contiguous_strides().map(|stride| stride * streams.len());
    let mut achieved = Achieved::default();
    for (plane, stream) in streams.iter().enumerate() {
        let mut field = FieldViewMut::strided(&mut values[plane..], shape.dims(), &strides[..shape.ndim()])?;
        let report = codec.decompress(stream, &Request::default(), &mut field)?;
        include(&mut achieved, &report);
    }
    Ok(achieved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::Accuracy;
    use fieldpress::Bound;

    fn setting(pairs: &[(&str, &str)]) -> Setting {
        let none = Accuracy { error: 0.0, norm: 0.0, relative: false };
        Setting::new([("threads", "1"), ("fm", "off")].into_iter().chain(pairs.iter().copied()), &none).unwrap()
    }

    fn wave(n: usize) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.02).sin() * 4.0).collect()
    }

    fn written(setting: &Setting, data: &[u8], dtype: DType, complex: bool, dims: &[usize]) -> (Vec<u8>, Achieved) {
        let mut out = vec![0; largest_block(data.len())];
        let done = compress(setting, data, dtype, complex, dims, &mut out).unwrap();
        out.truncate(done.bytes);
        (out, done.achieved)
    }

    #[test]
    fn a_block_is_the_stream_itself() {
        let setting = setting(&[("accuracy", "1e-2")]);
        let values = wave(4 * 30 * 40);
        let (block, achieved) = written(&setting, bytemuck::cast_slice(&values), DType::F32, false, &[4, 30, 40]);
        let field = FieldView::new(&values, &[4, 30, 40]).unwrap();
        assert_eq!(block, setting.codec.compress(&field, Bound::Abs(1e-2)).unwrap().0);
        assert!(achieved.largest > 0.0 && achieved.largest <= 1e-2);
        assert_eq!(data_bytes(&block).unwrap(), values.len() * 4);
    }

    #[test]
    fn planes_of_complex_fields_keep_the_bound_each() {
        let setting = setting(&[("accuracy", "1e-3")]);
        let values: Vec<f64> = wave(2 * 24 * 20).into_iter().map(f64::from).collect();
        let data = bytemuck::cast_slice(&values);
        let (block, achieved) = written(&setting, data, DType::F64, true, &[24, 20]);
        assert!(block.len() < data.len());
        let mut out = vec![0f64; values.len()];
        let read = decompress(&setting.codec, &block, bytemuck::cast_slice_mut(&mut out)).unwrap();
        assert_eq!(read.largest, achieved.largest);
        assert!(values.iter().zip(&out).all(|(a, b)| (a - b).abs() <= 1e-3));
    }

    #[test]
    fn blocks_never_grow_by_more_than_their_header() {
        let setting = setting(&[("mode", "LOSSLESS")]);
        for n in [1usize, 2, 7, 100] {
            let noise: Vec<u32> = (0..n as u32).map(|i| i.wrapping_mul(2_654_435_761).rotate_left(i % 31)).collect();
            let data: &[u8] = bytemuck::cast_slice(&noise);
            let (block, _) = written(&setting, data, DType::F32, false, &[n]);
            assert!(block.len() <= data.len() + AS_IT_WAS_HEADER);
            let mut out = vec![0; data.len()];
            decompress(&setting.codec, &block, &mut out).unwrap();
            assert_eq!(out, data);
        }
    }

    #[test]
    fn misaligned_memory_works() {
        let setting = setting(&[("accuracy", "1e-2")]);
        let values = wave(30 * 40);
        let mut shifted = vec![0u8; values.len() * 4 + 1];
        shifted[1..].copy_from_slice(bytemuck::cast_slice(&values));
        let (block, _) = written(&setting, &shifted[1..], DType::F32, false, &[30, 40]);
        let mut out = vec![0u8; values.len() * 4 + 1];
        decompress(&setting.codec, &block, &mut out[1..]).unwrap();
        let decoded: Vec<f32> = out[1..].chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
        assert!(values.iter().zip(&decoded).all(|(a, b)| (a - b).abs() <= 1e-2));
    }

    #[test]
    fn many_dimensions_become_few() {
        let plain = setting(&[("accuracy", "1")]);
        assert_eq!(shape(&[2, 1, 3, 4, 1, 5, 6], &plain).unwrap().dims(), [2, 3, 4, 5, 6]);
        assert_eq!(shape(&[2, 2, 2, 2, 2, 2], &plain).unwrap().dims(), [4, 2, 2, 2, 2]);
        assert_eq!(shape(&[1; 7], &plain).unwrap().dims(), [1]);
        assert!(shape(&[2; 6], &setting(&[("accuracy", "1"), ("axes", "0,1,2")])).is_err());
        let fortran = setting(&[("accuracy", "1"), ("order", "Fortran")]);
        assert_eq!(shape(&[2, 3, 4], &fortran).unwrap().dims(), [4, 3, 2]);
    }

    #[test]
    fn every_damage_is_found() {
        let setting = setting(&[("accuracy", "1e-2")]);
        let values = wave(20 * 24 * 2);
        let data = bytemuck::cast_slice(&values);
        let noise: Vec<u32> = (0..24u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
        let lossless = self::setting(&[("mode", "lossless")]);
        let blocks = [
            written(&setting, data, DType::F32, false, &[40, 24]).0,
            written(&setting, data, DType::F32, true, &[20, 24]).0,
            written(&lossless, bytemuck::cast_slice(&noise), DType::F32, false, &[24]).0,
        ];
        for block in blocks {
            let mut out = vec![0; data_bytes(&block).unwrap()];
            let mut fails = |bytes: &[u8]| {
                let same_size = data_bytes(bytes).is_ok_and(|size| size == out.len());
                !same_size || decompress(&setting.codec, bytes, &mut out).is_err()
            };
            for length in 0..block.len() {
                assert!(fails(&block[..length]), "cut to {length} of {}", block.len());
            }
            for at in 0..block.len() {
                let mut flipped = block.clone();
                flipped[at] ^= 0x10;
                assert!(fails(&flipped), "flipped byte {at} of {}", block.len());
            }
        }
    }
}

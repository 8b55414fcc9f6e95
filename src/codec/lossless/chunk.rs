//! Lossless coding of a slice of values through pco, bit for bit, with a raw copy where that is no shorter.
//!
//! Layout: a method byte; for [`RAW`] the values, little-endian; for [`PCO`] chunks of at most [`CHUNK`] values, each a
//! length (u32) and as many bytes: pco's chunk and page of format version 4.1 without its header, or, where the length
//! is that of the raw values, those. How many values there are is not stored: the caller knows.

use crate::error::{Error, Result};
use crate::field::{Element, Values, ValuesMut};
use pco::data_types::Number;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, ModeSpec, PagingSpec};

/// SegmentHeader byte: the values as they are.
const RAW: u8 = 0;
/// SegmentHeader byte: chunks by pco.
const PCO: u8 = 1;
/// The most values of a chunk: what is held in memory at once.
const CHUNK: usize = 1 << 18;
/// Bytes of a chunk's length.
const LENGTH: usize = 4;
/// pco's header for its format version 4.1, which every chunk has.
const HEADER: [u8; 2] = [4, 1];
/// log2 of the longest lookback window that pco's encoder uses.
const MAX_WINDOW_LOG: u32 = 15;

/// Codes `values`; at most one byte longer than they are.
pub(crate) fn encode<T: Element>(values: &[T]) -> Vec<u8> {
    let raw_len = std::mem::size_of_val(values);
    let mut out = vec![PCO];
    for chunk in values.chunks(CHUNK) {
        let coded = match T::values(chunk) {
            Values::F32(chunk) => {
                let all_plain = chunk.iter().all(|v| plain(v.to_bits() >> 23 & 0xff, 32, 0xff, *v == 0.0));
                encode_chunk(chunk, modes(all_plain), |v| v.to_bits().into())
            }
            Values::F64(chunk) => {
                let all_plain = chunk.iter().all(|v| plain((v.to_bits() >> 52) as u32 & 0x7ff, 64, 0x7ff, *v == 0.0));
                encode_chunk(chunk, modes(all_plain), |v| v.to_bits())
            }
        };
        match coded {
            Some(bytes) if bytes.len() < std::mem::size_of_val(chunk) => {
                out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                out.extend_from_slice(&bytes);
            }
            _ => {
                out.extend_from_slice(&(std::mem::size_of_val(chunk) as u32).to_le_bytes());
                raw(chunk, &mut out);
            }
        }
        if out.len() > raw_len {
            break;
        }
    }
    if out.len() > raw_len {
        out.clear();
        out.push(RAW);
        raw(values, &mut out);
    }
    out
}

/// Decodes what [`encode`] made of `out.len()` values.
///
/// # Errors
/// `Corrupt` where the bytes are not such a code; `Unsupported` for an unknown method.
pub(crate) fn decode<T: Element>(bytes: &[u8], out: &mut [T]) -> Result<()> {
    let (&method, mut rest) = bytes.split_first().ok_or_else(|| Error::corrupt("a lossless section is empty"))?;
    match method {
        RAW => from_raw(rest, out),
        PCO => {
            for chunk in out.chunks_mut(CHUNK) {
                let (length, after) = rest.split_first_chunk::<LENGTH>().ok_or_else(truncated)?;
                let length = u32::from_le_bytes(*length) as usize;
                let (coded, after) = after.split_at_checked(length).ok_or_else(truncated)?;
                rest = after;
                if length >= std::mem::size_of_val(chunk) {
                    from_raw(coded, chunk)?;
                    continue;
                }
                match T::values_mut(chunk) {
                    ValuesMut::F32(chunk) => decode_chunk(coded, chunk, 32)?,
                    ValuesMut::F64(chunk) => decode_chunk(coded, chunk, 64)?,
                }
            }
            if !rest.is_empty() {
                return Err(Error::corrupt(format!("{} bytes of a lossless section are left over", rest.len())));
            }
            Ok(())
        }
        other => Err(Error::new(
            crate::error::ErrorKind::Unsupported,
            format!("lossless method {other} is not known to this version"),
        )),
    }
}

fn truncated() -> Error {
    Error::corrupt("a lossless section ends too early")
}

fn raw<T: Element>(values: &[T], out: &mut Vec<u8>) {
    out.reserve(std::mem::size_of_val(values));
    for value in values {
        out.extend_from_slice(&value.to_bits_u64().to_le_bytes()[..T::DTYPE.size()]);
    }
}

fn from_raw<T: Element>(bytes: &[u8], out: &mut [T]) -> Result<()> {
    if bytes.len() != std::mem::size_of_val(out) {
        return Err(Error::corrupt(format!(
            "a lossless section has {} bytes where {} were expected",
            bytes.len(),
            std::mem::size_of_val(out)
        )));
    }
    for (value, bytes) in out.iter_mut().zip(bytes.chunks_exact(T::DTYPE.size())) {
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        *value = T::from_bits_u64(u64::from_le_bytes(wide));
    }
    Ok(())
}

/// True for a value with which pco's float arithmetic gives the same bits on every machine: 0, or finite and far from
/// the subnormal numbers (which some simulation codes flush to 0) even where it is scaled by a quantum of its mantissa.
fn plain(exponent: u32, least: u32, nonfinite: u32, zero: bool) -> bool {
    zero || (exponent >= least && exponent < nonfinite)
}

/// The modes that pco may take: those that compute in floats only where every value is [`plain`]; the others work on bit
/// patterns alone.
fn modes(all_plain: bool) -> ModeSpec {
    if all_plain { ModeSpec::Auto } else { ModeSpec::Classic }
}

/// pco's code of a chunk; `None` where it fails or does not give back the same bits.
fn encode_chunk<N: Number>(values: &[N], modes: ModeSpec, bits: impl Fn(&N) -> u64) -> Option<Vec<u8>> {
    let config = ChunkConfig::default().with_mode_spec(modes).with_paging_spec(PagingSpec::Exact(vec![values.len()]));
    let file = FileCompressor::default();
    if file.write_header(Vec::new()).ok()? != HEADER {
        return None;
    }
    let mut chunk = file.chunk_compressor(values, &config).ok()?;
    let bytes = chunk.write_meta(Vec::new()).ok()?;
    let bytes = chunk.write_page(0, bytes).ok()?;
    let mut decoded = vec![N::default(); values.len()];
    decode_chunk(&bytes, &mut decoded, 8 * size_of::<N>() as u32).ok()?;
    values.iter().zip(&decoded).all(|(a, b)| bits(a) == bits(b)).then_some(bytes)
}

fn decode_chunk<N: Number>(bytes: &[u8], out: &mut [N], width: u32) -> Result<()> {
    check(bytes, width)?;
    let fail = |error: pco::errors::PcoError| Error::corrupt(format!("a lossless chunk: {}", error.message));
    let (file, _) = FileDecompressor::new(&HEADER[..]).map_err(fail)?;
    let (mut chunk, rest) = file.chunk_decompressor::<N, _>(bytes).map_err(fail)?;
    let mut page = chunk.page_decompressor(rest, out.len()).map_err(fail)?;
    if !page.read(out).map_err(fail)?.finished || !page.into_src().is_empty() {
        return Err(Error::corrupt("a lossless chunk does not hold as many values as it has to"));
    }
    Ok(())
}

/// Admits only what our encoder lets pco write, by the first bits of a chunk: no dictionaries (their length is taken on
/// trust), no convolutions (they overflow on hostile weights), and short lookback windows (allocated before they are
/// used).
fn check(bytes: &[u8], width: u32) -> Result<()> {
    let mut head = [0u8; 16];
    let n = bytes.len().min(16);
    head[..n].copy_from_slice(&bytes[..n]);
    let head = u128::from_le_bytes(head);
    let field = |at: u32, count: u32| (head >> at) as u32 & ((1 << count) - 1);
    // pco's format: 4 bits of mode and its parameter, 4 bits of delta encoding and its parameters, lowest bit first.
    let delta = match field(0, 4) {
        0 => 4,
        2 => 4 + width,
        3 => 12,
        mode => return Err(Error::corrupt(format!("a lossless chunk has mode {mode}, which is not used"))),
    };
    match field(delta, 4) {
        0 | 1 => Ok(()),
        2 if field(delta + 4, 5) < MAX_WINDOW_LOG => Ok(()),
        2 => Err(Error::corrupt("a lossless chunk has a lookback window that is too long")),
        delta => Err(Error::corrupt(format!("a lossless chunk has delta encoding {delta}, which is not used"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip<T: Element>(values: &[T]) -> usize {
        let bytes = encode(values);
        assert!(bytes.len() <= std::mem::size_of_val(values) + 1);
        let mut out = vec![T::from_f64(77.0); values.len()];
        decode(&bytes, &mut out).unwrap();
        assert!(values.iter().zip(&out).all(|(a, b)| a.to_bits_u64() == b.to_bits_u64()));
        bytes.len()
    }

    fn noise(n: usize) -> impl Iterator<Item = u64> {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        (0..n).map(move |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        })
    }

    #[test]
    fn every_kind_of_value_returns() {
        let smooth: Vec<f32> = (0..10_000).map(|i| 250.0 + 30.0 * (i as f32 * 0.01).sin()).collect();
        let decimal: Vec<f64> = noise(10_000).map(|v| (v % 100_000) as f64 * 0.01).collect();
        let coarse: Vec<f64> = noise(10_000).map(|v| f64::from((v % 1000) as f32 / 1000.0)).collect();
        let repeated: Vec<f32> = (0..10_000).map(|i| f32::from_bits(noise(77).nth(i % 77).unwrap() as u32)).collect();
        let sizes = [round_trip(&smooth), round_trip(&decimal), round_trip(&coarse), round_trip(&repeated)];
        println!(
            "10,000 values: smooth f32 {}, decimal f64 {}, f32 in f64 {}, repeated f32 {}",
            sizes[0], sizes[1], sizes[2], sizes[3]
        );
        assert!(sizes[0] < 30_000 && sizes[1] < 25_000 && sizes[2] < 40_000);
        let mut strange = smooth;
        for (i, bits) in noise(300).enumerate() {
            strange[i * 31] = f32::from_bits(0x7f80_0000 | bits as u32);
            strange[i * 31 + 7] = f32::from_bits(bits as u32 & 0x807f_ffff);
        }
        strange[5] = -0.0;
        round_trip(&strange);
        round_trip::<f32>(&[]);
        round_trip(&[f64::NAN]);
        round_trip(&vec![0.1f64; CHUNK + 3]);
        round_trip(&noise(CHUNK + 1000).map(f64::from_bits).collect::<Vec<_>>());
    }

    #[test]
    fn the_header_of_pco_is_the_one_that_is_left_out() {
        assert_eq!(FileCompressor::default().write_header(Vec::new()).unwrap(), HEADER);
    }

    #[test]
    fn another_length_is_corrupt() {
        let values: Vec<f32> = noise(1000).map(|v| 1.0 + (v % 65_536) as f32 / 65_536.0).collect();
        let bytes = encode(&values);
        assert_eq!(bytes[0], PCO);
        for n in [0, 1, 255, 256, 257, 999, 1001, 1280, 5000] {
            assert!(decode(&bytes, &mut vec![0f32; n]).is_err(), "{n}");
        }
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end], &mut vec![0f32; 1000]).is_err(), "{end}");
        }
    }

    #[test]
    fn flipped_bytes_do_no_harm() {
        let linear: Vec<f64> = (0..700).map(|i| f64::from(i) * 0.25).collect();
        let noisy: Vec<f64> = noise(700).map(|v| 1.0 + (v % 4096) as f64 / 4096.0).collect();
        let repeated: Vec<f64> = (0..1500).map(|i| f64::from_bits(noise(50).nth(i % 50).unwrap())).collect();
        for values in [linear, noisy, repeated] {
            let bytes = encode(&values);
            assert_eq!(bytes[0], PCO);
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut bad = bytes.clone();
                    bad[at] ^= 1 << bit;
                    let _ = decode(&bad, &mut vec![0f64; values.len()]);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn bits_return_f32(bits in prop::collection::vec(any::<u32>(), 0..600)) {
            round_trip(&bits.iter().map(|&b| f32::from_bits(b)).collect::<Vec<_>>());
        }

        #[test]
        fn bits_return_f64(bits in prop::collection::vec(prop_oneof![any::<u64>(), 0u64..4, Just(0x7ff0_0000_0000_0001)], 0..600)) {
            round_trip(&bits.iter().map(|&b| f64::from_bits(b)).collect::<Vec<_>>());
        }

        #[test]
        fn hostile_bytes_do_no_harm(head in 0u8..=2, length in 0u8..=255, mut bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            // A sound length, so that the bytes reach pco.
            let mut all = vec![head.min(PCO), length, 0, 0, 0];
            bytes.resize(usize::from(length), 0x5a);
            if let Some(first) = bytes.first_mut() {
                *first = [0x00, 0x10, 0x20, 0x02, 0x03, *first][usize::from(length) % 6];
            }
            all.extend(bytes);
            let _ = decode(&all, &mut [0f32; 300]);
            let _ = decode(&all, &mut [0f64; 300]);
        }
    }
}

//! NumPy's .npy files: a magic, a version, a header that is a Python dictionary, then the values.

use fieldpress::DType;
use std::io::{self, Read};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The values begin at a multiple of this, as NumPy writes them.
const ALIGNMENT: usize = 64;
/// Headers are about a hundred bytes; anything like this is not one.
const MAX_HEADER: usize = 1 << 16;

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// The type that the values are read as: f32 for those of 16 bits.
    pub dtype: DType,
    /// Bytes of a value in the file.
    pub value_bytes: usize,
    pub big_endian: bool,
    /// Whether the first dimension varies fastest.
    pub fortran_order: bool,
    pub dims: Vec<usize>,
    /// Bytes before the first value.
    pub values_at: u64,
}

/// Reads a header; the reader is then at the first value.
pub fn read_header(reader: &mut impl Read) -> Result<Header, String> {
    let too_short = |error: io::Error| format!("not a whole .npy header: {error}");
    let mut start = [0u8; 8];
    reader.read_exact(&mut start).map_err(too_short)?;
    if &start[..6] != MAGIC {
        return Err("not a .npy file (its magic is missing)".into());
    }
    let len = match start[6] {
        1 => {
            let mut len = [0; 2];
            reader.read_exact(&mut len).map_err(too_short)?;
            usize::from(u16::from_le_bytes(len))
        }
        2 | 3 => {
            let mut len = [0; 4];
            reader.read_exact(&mut len).map_err(too_short)?;
            u32::from_le_bytes(len) as usize
        }
        version => return Err(format!(".npy version {version} is not known")),
    };
    if len > MAX_HEADER {
        return Err(format!("a .npy header of {len} bytes is not plausible"));
    }
    let mut text = vec![0; len];
    reader.read_exact(&mut text).map_err(too_short)?;
    let before = start.len() + if start[6] == 1 { 2 } else { 4 };
    let header = parse(&String::from_utf8_lossy(&text))?;
    Ok(Header { values_at: (before + len) as u64, ..header })
}

fn parse(text: &str) -> Result<Header, String> {
    let value = |key: &str| {
        let at = text.find(&format!("'{key}'")).ok_or_else(|| format!("the .npy header has no '{key}'"))?;
        let rest = &text[at + key.len() + 2..];
        Ok::<_, String>(rest.trim_start().strip_prefix(':').unwrap_or(rest).trim_start())
    };
    let descr = value("descr")?.split(['\'', '"']).nth(1).unwrap_or_default();
    let big_endian = descr.starts_with('>');
    let (dtype, value_bytes) = match descr.trim_start_matches(['<', '>']) {
        "f2" => (DType::F32, 2),
        "f4" => (DType::F32, 4),
        "f8" => (DType::F64, 8),
        _ => {
            return Err(format!(
                "values of type '{descr}' are not supported; expected float32 or float64 (float16 is read as float32)"
            ));
        }
    };
    let shape = value("shape")?
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'))
        .map(|(inside, _)| inside)
        .ok_or("the .npy header's 'shape' is not a tuple")?;
    let dims = shape
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().map_err(|_| format!("the .npy header's size '{part}' is not a number")))
        .collect::<Result<Vec<usize>, _>>()?;
    let fortran_order = value("fortran_order")?.starts_with("True");
    Ok(Header { dtype, value_bytes, big_endian, fortran_order, dims, values_at: 0 })
}

/// The header of a little-endian C-order array.
pub fn header(dtype: DType, dims: &[usize]) -> Vec<u8> {
    let descr = match dtype {
        DType::F32 => "<f4",
        DType::F64 => "<f8",
    };
    let shape: String = dims.iter().map(|n| format!("{n}, ")).collect();
    let shape = if dims.len() == 1 { shape.trim_end() } else { shape.trim_end_matches(", ") };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    let before = MAGIC.len() + 4;
    let padding = (before + text.len() + 1).next_multiple_of(ALIGNMENT) - (before + text.len() + 1);
    text.push_str(&" ".repeat(padding));
    text.push('\n');

    let mut out = MAGIC.to_vec();
    out.extend([1, 0]);
    out.extend((text.len() as u16).to_le_bytes()); // five sizes never come near 65,536 characters
    out.extend(text.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_read_back() {
        for dims in [vec![7], vec![3, 4], vec![1, 2, 3, 4, usize::MAX]] {
            for dtype in [DType::F32, DType::F64] {
                let bytes = header(dtype, &dims);
                assert_eq!(bytes.len() % ALIGNMENT, 0);
                let read = read_header(&mut bytes.as_slice()).unwrap();
                let expected = Header {
                    dtype,
                    value_bytes: dtype.size(),
                    big_endian: false,
                    fortran_order: false,
                    dims: dims.clone(),
                    values_at: bytes.len() as u64,
                };
                assert_eq!(read, expected);
            }
        }
    }

    #[test]
    fn numpy_headers_are_understood() {
        let header = parse("{'descr': '>f8', 'fortran_order': False, 'shape': (2, 3), }   \n").unwrap();
        assert!(header.dtype == DType::F64 && header.big_endian && !header.fortran_order && header.dims == [2, 3]);
        let header = parse("{'descr': '<f2', 'fortran_order': True, 'shape': (2, 3), }   \n").unwrap();
        assert!(header.dtype == DType::F32 && header.value_bytes == 2 && header.fortran_order);
        assert!(parse("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }").unwrap_err().contains("<i4"));
        assert!(read_header(&mut &b"\x93NUMPY\x01\x00\xff\xff{"[..]).is_err());
        assert!(read_header(&mut &b"not numpy at all"[..]).is_err());
    }
}

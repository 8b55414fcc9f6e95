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
    pub dtype: DType,
    pub big_endian: bool,
    pub dims: Vec<usize>,
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
    parse(&String::from_utf8_lossy(&text))
}

fn parse(text: &str) -> Result<Header, String> {
    let value = |key: &str| {
        let at = text.find(&format!("'{key}'")).ok_or_else(|| format!("the .npy header has no '{key}'"))?;
        let rest = &text[at + key.len() + 2..];
        Ok::<_, String>(rest.trim_start().strip_prefix(':').unwrap_or(rest).trim_start())
    };
    let descr = value("descr")?.split(['\'', '"']).nth(1).unwrap_or_default();
    let (dtype, big_endian) = match descr {
        "<f4" => (DType::F32, false),
        "<f8" => (DType::F64, false),
        ">f4" => (DType::F32, true),
        ">f8" => (DType::F64, true),
        other => return Err(format!("values of type '{other}' are not supported; expected float32 or float64")),
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
    if !value("fortran_order")?.starts_with("False") && dims.len() > 1 {
        return Err("the array is in Fortran order; save it with numpy.ascontiguousarray".into());
    }
    Ok(Header { dtype, big_endian, dims })
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
                assert_eq!(read, Header { dtype, big_endian: false, dims: dims.clone() });
            }
        }
    }

    #[test]
    fn numpy_headers_are_understood() {
        let header = parse("{'descr': '>f8', 'fortran_order': False, 'shape': (2, 3), }   \n").unwrap();
        assert_eq!(header, Header { dtype: DType::F64, big_endian: true, dims: vec![2, 3] });
        assert!(parse("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }").unwrap_err().contains("<i4"));
        assert!(parse("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }").unwrap_err().contains("Fortran"));
        assert!(read_header(&mut &b"\x93NUMPY\x01\x00\xff\xff{"[..]).is_err());
        assert!(read_header(&mut &b"not numpy at all"[..]).is_err());
    }
}

//! Whether a file in one of NetCDF's classic forms holds all that its header says.
//!
//! The NetCDF library reads what lies behind such a file's end as zeros, so that a file that was cut short, by a copy or
//! by a job's end, would give a field that is half zeros. It also takes memory for whatever a header claims. This reads
//! the header before the library does. The grammar is that of the NetCDF Classic Format Specification, with its
//! variants of 64-bit offsets (CDF-2) and 64-bit data (CDF-5).

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};

/// What the three lists of a header begin with; a list that is absent begins with two zeros.
const DIMENSIONS: u32 = 0x0A;
const VARIABLES: u32 = 0x0B;
const ATTRIBUTES: u32 = 0x0C;

/// Bytes of a name. NetCDF lets them have 256.
const LONGEST_NAME: usize = 1024;

/// What is wrong with a classic file, in words: with its header, or with the place of the values of `variable`, of any
/// one where none is named. Nothing where they are there, or where the file is in another form.
///
/// # Errors
/// What reading the file gives.
pub fn fault(path: &str, variable: Option<&str>) -> io::Result<Option<String>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    // What is no file cannot be read twice; NetCDF's library refuses it.
    if !metadata.is_file() {
        return Ok(None);
    }
    let mut header = Header { input: BufReader::new(file), length: metadata.len(), version: 0 };
    match header.check(variable) {
        Ok(()) => Ok(None),
        Err(Fault::Io(error)) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        Err(Fault::Io(_)) => Ok(Some(format!("its header goes on behind its end at {} bytes", metadata.len()))),
        Err(Fault::Says(what)) => Ok(Some(what)),
    }
}

enum Fault {
    Io(io::Error),
    Says(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct Header {
    input: BufReader<File>,
    length: u64,
    version: u8,
}

/// Where a variable's values stand, in bytes.
struct Place {
    name: String,
    begin: u64,
    /// Of the whole variable, or of one record of it.
    size: u64,
    padded: bool,
    in_records: bool,
}

impl Header {
    fn check(&mut self, variable: Option<&str>) -> Result<(), Fault> {
        let [magic @ .., version] = self.bytes::<4>()?;
        if magic != *b"CDF" || ![1, 2, 5].contains(&version) {
            return Ok(());
        }
        self.version = version;
        let records = self.count()?;
        let dimensions = self.dimensions()?;
        self.attributes()?;
        let places = self.variables(&dimensions)?;
        let open = if version == 5 { u64::MAX } else { u32::MAX.into() };
        if records == open && places.iter().any(|place| place.in_records) {
            return Err(Fault::Says(
                "its number of records was never written: what wrote it did not close it".to_owned(),
            ));
        }
        let last = records.saturating_sub(1).saturating_mul(record_size(&places));
        // The library may know a variable by another name than this header's, as where it composes letters and accents.
        let variable = variable.filter(|name| places.iter().any(|place| place.name == *name));
        for place in places.iter().filter(|place| variable.is_none_or(|name| place.name == name)) {
            let before = if place.in_records { last } else { 0 };
            let size = if place.in_records && records == 0 { 0 } else { place.size };
            let end = place.begin.saturating_add(before).saturating_add(size);
            if size > 0 && end > self.length {
                return Err(Fault::Says(format!(
                    "it ends after {} bytes, before the values of '{}', which by its header end at {end}: it was cut short",
                    self.length, place.name
                )));
            }
        }
        Ok(())
    }

    /// The dimensions' lengths: 0 is that of the records.
    fn dimensions(&mut self) -> Result<Vec<u64>, Fault> {
        let count = self.list(DIMENSIONS)?;
        let mut lengths = Vec::new();
        for _ in 0..count {
            self.name()?;
            lengths.push(self.count()?);
        }
        Ok(lengths)
    }

    fn attributes(&mut self) -> Result<(), Fault> {
        for _ in 0..self.list(ATTRIBUTES)? {
            self.name()?;
            let bytes = self.value_bytes()?;
            let size = self.count()?.saturating_mul(bytes);
            self.skip(size)?;
        }
        Ok(())
    }

    fn variables(&mut self, dimensions: &[u64]) -> Result<Vec<Place>, Fault> {
        let mut places = Vec::new();
        for _ in 0..self.list(VARIABLES)? {
            let name = self.name()?;
            let (mut values, mut in_records) = (1_u64, false);
            for axis in 0..self.count()? {
                let of = usize::try_from(self.count()?).ok().and_then(|at| dimensions.get(at));
                match of.ok_or_else(|| damaged(&format!("'{name}' has a dimension that is missing")))? {
                    0 if axis == 0 => in_records = true,
                    &length => values = values.saturating_mul(length),
                }
            }
            self.attributes()?;
            let bytes = self.value_bytes()?;
            // The size that is written here says nothing where a variable is large: it is too narrow for it.
            self.count()?;
            let begin = if self.version == 1 { self.four()?.into() } else { self.eight()? };
            let size = values.saturating_mul(bytes);
            places.push(Place { name, begin, size, padded: bytes < 4, in_records });
        }
        Ok(places)
    }

    /// The number of a list's items.
    fn list(&mut self, kind: u32) -> Result<u64, Fault> {
        let tag = self.four()?;
        let count = self.count()?;
        if tag == kind || (tag == 0 && count == 0) { Ok(count) } else { Err(damaged("a list is missing")) }
    }

    fn name(&mut self) -> Result<String, Fault> {
        let length = self.count()? as usize;
        if length > LONGEST_NAME {
            return Err(damaged("a name in it is too long"));
        }
        let mut bytes = vec![0; length.next_multiple_of(4)];
        self.input.read_exact(&mut bytes)?;
        // To the library a name ends with its first zero.
        bytes.truncate(bytes[..length].iter().position(|&byte| byte == 0).unwrap_or(length));
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// How many bytes a value of the type that follows takes.
    fn value_bytes(&mut self) -> Result<u64, Fault> {
        match self.four()? {
            1 | 2 | 7 => Ok(1),
            3 | 8 => Ok(2),
            4 | 5 | 9 => Ok(4),
            6 | 10 | 11 => Ok(8),
            other => Err(damaged(&format!("there is no type {other}"))),
        }
    }

    fn count(&mut self) -> Result<u64, Fault> {
        if self.version == 5 { self.eight() } else { Ok(self.four()?.into()) }
    }

    fn four(&mut self) -> Result<u32, Fault> {
        self.bytes().map(u32::from_be_bytes)
    }

    fn eight(&mut self) -> Result<u64, Fault> {
        self.bytes().map(u64::from_be_bytes)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Passes over bytes and their padding to four.
    fn skip(&mut self, bytes: u64) -> Result<(), Fault> {
        let left = self.length - self.input.stream_position()?;
        match bytes.checked_next_multiple_of(4) {
            Some(padded) if padded <= left => Ok(self.input.seek_relative(padded as i64)?),
            _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }
}

fn damaged(how: &str) -> Fault {
    Fault::Says(format!("its header is damaged: {how}"))
}

/// The bytes of one record of all variables: each is padded to four unless it is the only one.
fn record_size(places: &[Place]) -> u64 {
    let of: Vec<&Place> = places.iter().filter(|place| place.in_records).collect();
    match of[..] {
        [only] if only.padded => only.size,
        _ => of
            .iter()
            .fold(0, |sum: u64, place| sum.saturating_add(place.size.checked_next_multiple_of(4).unwrap_or(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::fault;
    use netcdf::Options;

    /// Variables of every kind of place: before and within records, alone there or not, padded or not.
    fn written(path: &str, options: Options, in_records: usize) {
        let mut file = netcdf::create_with(path, options).unwrap();
        file.add_attribute("title", "a file").unwrap();
        file.add_dimension("y", 3).unwrap();
        file.add_unlimited_dimension("t").unwrap();
        file.add_variable::<f64>("fixed", &["y"]).unwrap();
        for name in &["short", "float", "third"][..in_records] {
            if *name == "float" {
                file.add_variable::<f32>(name, &["t", "y"]).unwrap().put_attribute("units", "K").unwrap();
            } else {
                file.add_variable::<i16>(name, &["t", "y"]).unwrap();
            }
        }
        file.enddef().unwrap();
        for mut variable in file.variables_mut() {
            match variable.dimensions().len() {
                1 => variable.put_values(&[1.0, 2.0, 3.0], ..).unwrap(),
                _ => variable.put_values(&[7_i16; 15], (..5, ..)).unwrap(),
            }
        }
    }

    #[test]
    fn a_classic_file_is_whole_or_cut_short_at_any_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.nc");
        let path = path.to_str().unwrap();
        for (form, in_records) in
            ["CDF-1", "CDF-2", "CDF-5"].into_iter().flat_map(|form| (0..4).map(move |n| (form, n)))
        {
            let options = match form {
                "CDF-1" => Options::CLASSIC,
                "CDF-2" => Options::_64BIT_OFFSET,
                _ => Options::_64BIT_DATA,
            };
            written(path, options, in_records);
            let bytes = std::fs::read(path).unwrap();
            assert!(bytes.starts_with(b"CDF"), "{form}");
            assert_eq!(fault(path, None).unwrap(), None, "{form}, {in_records}");
            // The last values may be followed by three bytes of padding, which say nothing.
            for length in 4..bytes.len() - 3 {
                std::fs::write(path, &bytes[..length]).unwrap();
                assert!(fault(path, None).unwrap().is_some(), "{form}, {in_records}: {length} of {}", bytes.len());
            }
        }
    }

    #[test]
    fn only_the_place_of_the_wanted_variable_matters() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.nc");
        let path = path.to_str().unwrap();
        written(path, Options::_64BIT_OFFSET, 2);
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() - 40]).unwrap();
        assert_eq!(fault(path, Some("fixed")).unwrap(), None);
        let said = fault(path, Some("float")).unwrap().unwrap();
        assert!(said.contains("'float'") && said.contains("cut short"), "{said}");
        // To the library this is the same name, whose padding the header counts.
        let mut padded = bytes[..bytes.len() - 40].to_vec();
        let at = padded.windows(9).position(|part| part == b"\0\0\0\x05float").unwrap();
        padded[at + 3] = 8;
        std::fs::write(path, &padded).unwrap();
        assert!(fault(path, Some("float")).unwrap().is_some());
        // A name that the header does not have may be another form of one that it has.
        assert!(fault(path, Some("fl\u{f6}at")).unwrap().is_some());
    }
}

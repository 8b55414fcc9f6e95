//! The stream: a header, a table of sections, and the sections, each with its checksum. `docs/format.md` describes it
//! to the byte.

mod described;
mod header;
mod segment;
mod segment_header;

pub(crate) use described::{read_bound, read_type_and_shape, write_bound, write_type_and_shape};
pub(crate) use header::{Content, Header, LOSSLESS_CHUNK, Logarithms, ModelName, REPEATS_CHUNK, SIGNS_CHUNK};
pub(crate) use segment::{ClosedLoopBytes, SectionKinds, SegmentBytes, is_closed_loop};
pub(crate) use segment_header::{IndexCoder, PredictionMode, SegmentHeader};

use crate::bytes::{Reader, Writer};
use crate::error::{Error, Result};

/// A stream taken apart: its header, and its sections' bytes, whose checksums are tested when they are used.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    pub(crate) header: Header,
    pub(crate) header_bytes: usize,
    sections: Vec<(&'a [u8], u32)>,
}

impl<'a> Stream<'a> {
    /// Takes a stream apart.
    ///
    /// # Errors
    /// `Corrupt` or `Unsupported`.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let header = Header::read(&mut reader)?;
        let count = header.section_count()?;
        // Each section takes at least two bytes of the table, so this bounds the allocation.
        if count > reader.remaining() / 5 {
            return Err(Error::corrupt(format!(
                "the header wants {count} sections, more than the stream has bytes for"
            )));
        }
        let mut table = Vec::with_capacity(count);
        for _ in 0..count {
            let length = reader.length()?;
            table.push((length, reader.u32()?));
        }
        let checked = bytes.len() - reader.remaining();
        let stored = reader.u32()?;
        if !cfg!(fuzzing) && crc32fast::hash(&bytes[..checked]) != stored {
            return Err(Error::corrupt("the header's checksum does not match: the stream is damaged"));
        }
        let header_bytes = bytes.len() - reader.remaining();
        let sections =
            table.into_iter().map(|(length, crc)| Ok((reader.bytes(length)?, crc))).collect::<Result<_>>()?;
        if reader.remaining() > 0 {
            return Err(Error::corrupt(format!("{} bytes follow the end of the stream", reader.remaining())));
        }
        Ok(Self { header, header_bytes, sections })
    }

    /// The stream of the logarithms, by which this one holds its field.
    pub(crate) fn logarithms(&self, held: &Logarithms) -> Self {
        let own = self.header.shape.len().div_ceil(SIGNS_CHUNK);
        Self { header: held.field.clone(), header_bytes: 0, sections: self.sections[own..].to_vec() }
    }

    /// How many sections there are.
    pub(crate) fn len(&self) -> usize {
        self.sections.len()
    }

    /// The bytes of section `index`, whose checksum has not been tested.
    pub(crate) fn untested(&self, index: usize) -> &'a [u8] {
        self.sections[index].0
    }

    /// The bytes of section `index`, once their checksum has been tested.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn section(&self, index: usize) -> Result<&'a [u8]> {
        let (bytes, crc) = self.sections[index];
        if !cfg!(fuzzing) && crc32fast::hash(bytes) != crc {
            return Err(Error::corrupt(format!(
                "the checksum of section {index} does not match: the stream is damaged"
            )));
        }
        Ok(bytes)
    }
}

/// Puts a stream together. The bytes added to the sections' own are the header.
pub(crate) fn assemble(header: &Header, sections: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = Writer::default();
    header.write(&mut writer);
    for section in sections {
        writer.varint(section.len() as u64);
        writer.u32(crc32fast::hash(section));
    }
    let crc = crc32fast::hash(&writer.bytes);
    writer.u32(crc);
    let mut bytes = writer.bytes;
    bytes.reserve_exact(sections.iter().map(Vec::len).sum());
    for section in sections {
        bytes.extend_from_slice(section);
    }
    bytes
}

//! The summary of an archive that a reader has before it reads a step: found in the file by one process, sent to others
//! as bytes.

use super::front::Front;
use super::index::{Body, Entry};
use super::layout::{ArchiveId, HEADER_BYTES, RecordHeader, RecordKind};
use super::records::{all_entries, newest_commit, read_header, read_section};
use crate::bytes::{Reader, Writer};
use crate::error::{Error, Result};
use std::fs::File;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) id: ArchiveId,
    pub(super) file_bytes: u64,
    pub(super) newest: RecordHeader,
    pub(super) newest_is_damaged: bool,
    /// Whether one of two blocks with superblock and slots is lost.
    pub(super) front_is_damaged: bool,
    /// All commits, oldest first.
    pub(super) entries: Vec<Entry>,
    /// The definitions record in force after the newest commit.
    pub(super) definitions: Vec<u8>,
}

impl Summary {
    /// # Errors
    /// `Io`; `Corrupt` for a file that is not a sound archive, or holds no committed step; `Unsupported`.
    pub(super) fn of(file: &File) -> Result<Self> {
        let file_bytes = file.metadata()?.len();
        let Front { superblock, slots, damaged } = Front::read(file, file_bytes)?;
        let id = superblock.id;
        let mut found = Err(Error::corrupt("the archive holds no committed step"));
        let mut newest_is_damaged = false;
        for slot in slots {
            found = newest_commit(file, file_bytes, &id, &slot);
            if found.is_ok() {
                break;
            }
            newest_is_damaged = true;
        }
        let (newest, head, body) = found?;
        let definitions = definitions_of(file, file_bytes, &id, &body, &head.own)?.1;
        let entries = all_entries(file, file_bytes, &id, head)?;
        let front_is_damaged = !damaged.is_empty();
        Ok(Self { id, file_bytes, newest, newest_is_damaged, front_is_damaged, entries, definitions })
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes.extend_from_slice(&self.id);
        out.u64(self.file_bytes);
        out.u64(self.newest.offset);
        out.bytes.extend_from_slice(&self.newest.write());
        out.u8(u8::from(self.newest_is_damaged));
        out.u8(u8::from(self.front_is_damaged));
        out.varint(self.entries.len() as u64);
        self.entries.iter().for_each(|entry| entry.write(&mut out));
        out.bytes.extend_from_slice(&self.definitions);
        out.bytes
    }

    /// # Errors
    /// `Corrupt`, where the bytes are not what [`Summary::write`] made.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let id = reader.bytes(16)?.try_into().expect("sixteen bytes were asked for");
        let (file_bytes, offset) = (reader.u64()?, reader.u64()?);
        let newest = RecordHeader::read(reader.bytes(HEADER_BYTES)?, offset, file_bytes)?;
        let (newest_is_damaged, front_is_damaged) = (reader.u8()? != 0, reader.u8()? != 0);
        let entries = super::definitions::count(&mut reader, 4)?;
        let entries = (0..entries).map(|_| Entry::read(&mut reader)).collect::<Result<Vec<_>>>()?;
        let definitions = reader.bytes(reader.remaining())?.to_vec();
        Ok(Self { id, file_bytes, newest, newest_is_damaged, front_is_damaged, entries, definitions })
    }
}

/// Place and bytes of the definitions that a commit refers to.
pub(super) fn definitions_in_force(
    file: &File,
    file_bytes: u64,
    id: &ArchiveId,
    commit: &Entry,
) -> Result<(u64, Vec<u8>)> {
    let header = read_header(file, file_bytes, id, commit.offset, RecordKind::Steps)?;
    let body = read_section(file, &header, HEADER_BYTES as u64 + header.head.bytes, header.body)?;
    definitions_of(file, file_bytes, id, &body, commit)
}

/// Place and bytes of the definitions that a commit's body refers to.
fn definitions_of(file: &File, file_bytes: u64, id: &ArchiveId, body: &[u8], commit: &Entry) -> Result<(u64, Vec<u8>)> {
    let place = Body::definitions_of(body, commit)?;
    let header = read_header(file, file_bytes, id, place, RecordKind::Definitions)?;
    Ok((place, read_section(file, &header, HEADER_BYTES as u64, header.body)?))
}

#[cfg(test)]
mod tests {
    use super::super::layout::Extent;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn summaries_survive(
            id: [u8; 16],
            offset in 0..1u64 << 40,
            newest_is_damaged: bool,
            front_is_damaged: bool,
            entries in prop::collection::vec(any::<[u64; 4]>(), 0..5),
            definitions: Vec<u8>,
        ) {
            let (head, body) = (Extent::of(&[1, 2]), Extent::of(&[3]));
            let newest = RecordHeader { kind: RecordKind::Steps, id, sequence: 7, offset, head, body };
            let entries = entries
                .iter()
                .map(|&[sequence, offset, first_step, steps]| Entry { sequence, offset, first_step, steps })
                .collect();
            let file_bytes = offset + 4096;
            let summary = Summary { id, file_bytes, newest, newest_is_damaged, front_is_damaged, entries, definitions };
            prop_assert_eq!(Summary::read(&summary.write()).unwrap(), summary);
        }

        #[test]
        fn any_bytes_are_an_error_or_a_summary(bytes: Vec<u8>) {
            let _ = Summary::read(&bytes);
        }
    }
}

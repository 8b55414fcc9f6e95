//! The fixed parts of an archive: superblock, commit slots, and the headers of records. Each knows its own bytes, both
//! ways.

use crate::bytes::{Reader, Writer};
use crate::error::{Error, ErrorKind, Result};

/// The first bytes of an archive.
pub(super) const MAGIC: &[u8; 4] = b"FPAR";
const SLOT_MAGIC: &[u8; 4] = b"FPCS";
const RECORD_MAGIC: &[u8; 4] = b"FPRC";
/// The format's version that is written; all up to it are read.
pub(super) const VERSION: u16 = 2;
/// The first version that has superblock and slots twice.
const TWICE: u16 = 2;
/// The version of records.
const RECORD_VERSION: u16 = 1;
/// Records, and the data of a step, begin at multiples of this: the size of a disk's sector, so that no write of one
/// touches another, and [`repair`](super::repair) knows where to look.
pub(super) const ALIGN: u64 = 512;
/// Where the two commit slots lie in a block.
pub(super) const SLOTS: [u64; 2] = [512, 1024];
/// Bytes of a block with superblock and slots: what a disk or a file system loses at once.
pub(super) const BLOCK_BYTES: usize = 4096;

/// Where the blocks with superblock and slots begin, in an archive of a version.
pub(super) fn blocks(version: u16) -> &'static [u64] {
    const BLOCKS: [u64; 2] = [0, BLOCK_BYTES as u64];
    if version < TWICE { &BLOCKS[..1] } else { &BLOCKS }
}

/// Where data begins in an archive that is made.
pub(super) const FRONT_BYTES: u64 = 2 * BLOCK_BYTES as u64;
/// Bytes of a record's header.
pub(super) const HEADER_BYTES: usize = 64;
const SLOT_BYTES: usize = 40;

/// The id of one archive, in all of its parts.
pub(super) type ArchiveId = [u8; 16];

/// The next multiple of [`ALIGN`].
pub(super) fn align(offset: u64) -> u64 {
    offset.next_multiple_of(ALIGN)
}

fn sealed(mut writer: Writer) -> Vec<u8> {
    let crc = crc32fast::hash(&writer.bytes);
    writer.u32(crc);
    writer.bytes
}

/// Whether the last four bytes are the checksum of those before them.
fn is_sealed(bytes: &[u8]) -> bool {
    let (body, crc) = bytes.split_at(bytes.len() - 4);
    cfg!(fuzzing) || crc32fast::hash(body).to_le_bytes() == crc
}

/// The block that an archive begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) version: u16,
    pub(super) id: ArchiveId,
}

impl Superblock {
    const BYTES: usize = 28;

    /// A block with these slots.
    pub(super) fn block(&self, slots: &[Slot]) -> Vec<u8> {
        let mut bytes = self.write();
        for slot in slots {
            let at = Slot::place(slot.sequence) as usize;
            bytes[at..at + SLOT_BYTES].copy_from_slice(&slot.write(&self.id));
        }
        bytes
    }

    /// A block with empty slots.
    fn write(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.bytes.extend_from_slice(MAGIC);
        writer.u16(self.version);
        writer.u16(0);
        writer.bytes.extend_from_slice(&self.id);
        let mut bytes = sealed(writer);
        bytes.resize(BLOCK_BYTES, 0);
        bytes
    }

    /// # Errors
    /// `Corrupt`; `Unsupported` for another version.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.get(..Self::BYTES).ok_or_else(|| Error::corrupt("shorter than an archive's superblock"))?;
        let mut reader = Reader::new(bytes);
        if reader.bytes(4)? != MAGIC {
            return Err(Error::corrupt("not an archive: it does not begin with FPAR"));
        }
        if !is_sealed(bytes) {
            return Err(Error::corrupt("the superblock's checksum does not match; try fieldpress repair"));
        }
        let version = reader.u16()?;
        if !(1..=VERSION).contains(&version) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the archive has format version {version}; this build reads versions 1 to {VERSION}"),
            ));
        }
        reader.u16()?;
        Ok(Self { version, id: reader.bytes(16)?.try_into().expect("sixteen bytes were asked for") })
    }
}

/// A commit: the record that is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) sequence: u64,
    pub(super) offset: u64,
}

impl Slot {
    /// Where the slot of a commit lies in a block: two places in turn.
    pub(super) fn place(sequence: u64) -> u64 {
        SLOTS[(sequence % 2) as usize]
    }

    pub(super) fn write(&self, id: &ArchiveId) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.bytes.extend_from_slice(SLOT_MAGIC);
        writer.bytes.extend_from_slice(id);
        writer.u64(self.sequence);
        writer.u64(self.offset);
        sealed(writer)
    }

    /// `None` where it was never written, is damaged, or belongs to another archive.
    pub(super) fn read(superblock: &[u8], place: u64, id: &ArchiveId) -> Option<Self> {
        let bytes = superblock.get(place as usize..)?.get(..SLOT_BYTES)?;
        let mut reader = Reader::new(bytes);
        if reader.bytes(4).ok()? != SLOT_MAGIC || !is_sealed(bytes) || reader.bytes(16).ok()? != id {
            return None;
        }
        Some(Self { sequence: reader.u64().ok()?, offset: reader.u64().ok()? })
    }
}

/// The kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// The index of the steps of one commit.
    Steps,
    /// Variables and attributes.
    Definitions,
    /// A model package.
    Model,
}

/// The header of a record. Head and body follow it, each with a checksum of its own, so that the short head of a long
/// index is read alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) kind: RecordKind,
    pub(super) id: ArchiveId,
    /// Of the commit that wrote it.
    pub(super) sequence: u64,
    /// Where it lies.
    pub(super) offset: u64,
    pub(super) head: Extent,
    pub(super) body: Extent,
}

/// Length and checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) bytes: u64,
    pub(super) crc: u32,
}

impl Extent {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, crc: crc32fast::hash(bytes) }
    }

    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        cfg!(fuzzing) || crc32fast::hash(bytes) == self.crc
    }
}

impl RecordHeader {
    /// The bytes of a whole record.
    pub(super) fn record(
        kind: RecordKind,
        id: ArchiveId,
        sequence: u64,
        offset: u64,
        head: &[u8],
        body: &[u8],
    ) -> Vec<u8> {
        let header = Self { kind, id, sequence, offset, head: Extent::of(head), body: Extent::of(body) };
        let mut bytes = header.write();
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(body);
        bytes
    }

    /// Where it ends.
    pub(super) fn end(&self) -> Option<u64> {
        self.offset.checked_add(HEADER_BYTES as u64)?.checked_add(self.head.bytes)?.checked_add(self.body.bytes)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.bytes.extend_from_slice(RECORD_MAGIC);
        writer.u16(RECORD_VERSION);
        writer.u16(match self.kind {
            RecordKind::Steps => 1,
            RecordKind::Definitions => 2,
            RecordKind::Model => 3,
        });
        writer.bytes.extend_from_slice(&self.id);
        writer.u64(self.sequence);
        writer.u64(self.offset);
        writer.u32(self.head.bytes as u32);
        writer.u32(self.head.crc);
        writer.u64(self.body.bytes);
        writer.u32(self.body.crc);
        sealed(writer)
    }

    /// The header in `bytes`, which were read at `offset` of a file of `file_bytes`.
    ///
    /// # Errors
    /// `Corrupt`; `Unsupported` for another version.
    pub(super) fn read(bytes: &[u8], offset: u64, file_bytes: u64) -> Result<Self> {
        let damaged = |what: &str| Error::corrupt(format!("the record at byte {offset} {what}"));
        let bytes = bytes.get(..HEADER_BYTES).ok_or_else(|| damaged("is cut short"))?;
        let mut reader = Reader::new(bytes);
        if reader.bytes(4)? != RECORD_MAGIC || !is_sealed(bytes) {
            return Err(damaged("is damaged or was never written"));
        }
        let version = reader.u16()?;
        if version != RECORD_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, format!("record version {version} is not known")));
        }
        let kind = match reader.u16()? {
            1 => RecordKind::Steps,
            2 => RecordKind::Definitions,
            3 => RecordKind::Model,
            _ => return Err(damaged("is of a kind that is not known")),
        };
        let id = reader.bytes(16)?.try_into().expect("sixteen bytes were asked for");
        let sequence = reader.u64()?;
        let own = reader.u64()?;
        let head = Extent { bytes: reader.u32()?.into(), crc: reader.u32()? };
        let body = Extent { bytes: reader.u64()?, crc: reader.u32()? };
        let header = Self { kind, id, sequence, offset: own, head, body };
        if own != offset {
            return Err(damaged("belongs elsewhere"));
        }
        if header.end().is_none_or(|end| end > file_bytes) {
            return Err(damaged("reaches beyond the end of the file"));
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_those_of_the_document() {
        let slot = Slot { sequence: 1, offset: 2 };
        assert_eq!(slot.write(&[0; 16]).len(), SLOT_BYTES);
        assert_eq!(RecordHeader::record(RecordKind::Steps, [0; 16], 1, 2, &[], &[]).len(), HEADER_BYTES);
        assert_eq!(Superblock { version: VERSION, id: [7; 16] }.write().len(), BLOCK_BYTES);
        assert_eq!((blocks(1), blocks(2)), (&[0][..], &[0, 4096][..]));
    }

    proptest! {
        #[test]
        fn parts_survive(id: [u8; 16], sequence: u64, offset in 0..1u64 << 60, head: Vec<u8>, body: Vec<u8>) {
            let superblock = Superblock { version: 1 + (sequence % 2) as u16, id };
            let bytes = superblock.block(&[]);
            prop_assert_eq!(Superblock::read(&bytes).unwrap(), superblock.clone());
            let slot = Slot { sequence, offset };
            let place = Slot::place(sequence);
            prop_assert_eq!(Slot::read(&bytes, place, &id), None);
            let bytes = superblock.block(&[slot]);
            prop_assert_eq!(Slot::read(&bytes, place, &id), Some(slot));
            let record = RecordHeader::record(RecordKind::Model, id, sequence, offset, &head, &body);
            let end = offset + record.len() as u64;
            let header = RecordHeader::read(&record, offset, end).unwrap();
            prop_assert_eq!(header.end(), Some(end));
            prop_assert!(header.head.holds(&head) && header.body.holds(&body));
            prop_assert!(RecordHeader::read(&record, offset, end - 1).is_err());
            prop_assert!(RecordHeader::read(&record, offset + 512, end + 512).is_err());
        }
    }
}

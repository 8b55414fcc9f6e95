//! Reading records from an archive's file: lengths checked against the file, checksums tested.

use super::index::{Entry, Head};
use super::layout::{ArchiveId, Extent, HEADER_BYTES, RecordHeader, RecordKind, Slot};
use crate::error::{Error, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;

pub(super) fn read_at(file: &File, offset: u64, bytes: u64) -> Result<Vec<u8>> {
    let mut out = vec![0; usize::try_from(bytes).map_err(|_| Error::corrupt("a length does not fit memory"))?];
    file.read_exact_at(&mut out, offset)?;
    Ok(out)
}

/// As [`read_at`], after a check that the file is that long.
pub(super) fn read_whole(file: &File, offset: u64, bytes: u64, file_bytes: u64) -> Result<Vec<u8>> {
    if offset.checked_add(bytes).is_none_or(|end| end > file_bytes) {
        return Err(Error::corrupt(format!(
            "{bytes} bytes at {offset} lie beyond the file's end at {file_bytes}: the archive is cut short"
        )));
    }
    read_at(file, offset, bytes)
}

pub(super) fn read_header(
    file: &File,
    file_bytes: u64,
    id: &ArchiveId,
    place: u64,
    kind: RecordKind,
) -> Result<RecordHeader> {
    let bytes = read_whole(file, place, HEADER_BYTES as u64, file_bytes)?;
    let header = RecordHeader::read(&bytes, place, file_bytes)?;
    if header.id != *id || header.kind != kind {
        return Err(Error::corrupt(format!("the record at byte {place} is not the one that is expected there")));
    }
    Ok(header)
}

/// A record's head or body, its checksum tested.
pub(super) fn read_section(file: &File, header: &RecordHeader, from: u64, extent: Extent) -> Result<Vec<u8>> {
    let bytes = read_at(file, header.offset + from, extent.bytes)?;
    if !extent.holds(&bytes) {
        return Err(Error::corrupt(format!("the record at byte {} is damaged", header.offset)));
    }
    Ok(bytes)
}

pub(super) fn read_head(file: &File, file_bytes: u64, id: &ArchiveId, entry: &Entry) -> Result<(RecordHeader, Head)> {
    let header = read_header(file, file_bytes, id, entry.offset, RecordKind::Steps)?;
    let head = Head::read(&read_section(file, &header, HEADER_BYTES as u64, header.head)?)?;
    if head.own != *entry {
        return Err(Error::corrupt(format!("the record at byte {} is not the one that others name", entry.offset)));
    }
    Ok((header, head))
}

/// The commit that a slot names, and its body; its index must be sound, too.
pub(super) fn newest_commit(
    file: &File,
    file_bytes: u64,
    id: &ArchiveId,
    slot: &Slot,
) -> Result<(RecordHeader, Head, Vec<u8>)> {
    let header = read_header(file, file_bytes, id, slot.offset, RecordKind::Steps)?;
    let head = Head::read(&read_section(file, &header, HEADER_BYTES as u64, header.head)?)?;
    if head.own.offset != slot.offset || head.own.sequence != slot.sequence || header.sequence != slot.sequence {
        return Err(Error::corrupt("the newest record is not the one that the superblock names"));
    }
    let body = read_section(file, &header, HEADER_BYTES as u64 + header.head.bytes, header.body)?;
    Ok((header, head, body))
}

/// All commits up to the newest, whose head is given, oldest first.
pub(super) fn all_entries(file: &File, file_bytes: u64, id: &ArchiveId, newest: Head) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut head = newest;
    loop {
        entries.push(head.own);
        entries.extend(head.recent.iter().rev());
        let Some(back) = head.back else { break };
        // Sequences fall from head to head, so this ends.
        head = read_head(file, file_bytes, id, &back)?.1;
    }
    entries.reverse();
    Ok(entries)
}

//! The front of an archive: superblock and slots. Twice, in blocks of their own, so that the loss of one block loses
//! nothing; archives of version 1 have one.

use super::layout::{ArchiveId, BLOCK_BYTES, SLOTS, Slot, Superblock, VERSION, blocks};
use super::records::read_at;
use crate::error::{Error, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What the front says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Front {
    pub(super) superblock: Superblock,
    /// All that are sound, newest first.
    pub(super) slots: Vec<Slot>,
    /// Where blocks begin that should be there and are not.
    pub(super) damaged: Vec<u64>,
}

impl Front {
    /// # Errors
    /// `Io`; `Corrupt` for a file that has no sound superblock; `Unsupported`.
    pub(super) fn read(file: &File, file_bytes: u64) -> Result<Self> {
        // Each by itself: a disk that cannot read one may give the other.
        let block = |place: u64| -> Result<Vec<u8>> {
            let end = file_bytes.min(place + BLOCK_BYTES as u64);
            read_at(file, place, end.saturating_sub(place))
        };
        let read: Vec<(u64, Result<Vec<u8>>)> = blocks(VERSION).iter().map(|&place| (place, block(place))).collect();
        let mut found = Err(Error::corrupt("the archive has no superblock"));
        for (place, bytes) in &read {
            let superblock = bytes.as_ref().map_err(Clone::clone).and_then(|bytes| Superblock::read(bytes));
            match superblock {
                // The second block of an archive that has one alone is something else.
                Ok(superblock) if blocks(superblock.version).contains(place) => {
                    found = Ok(superblock);
                    break;
                }
                Err(error) if *place == 0 => found = Err(error),
                _ => {}
            }
        }
        let superblock = found?;
        let (mut slots, mut damaged) = (Vec::new(), Vec::new());
        for (place, bytes) in read.iter().filter(|(place, _)| blocks(superblock.version).contains(place)) {
            let bytes = bytes.as_deref().unwrap_or_default();
            slots.extend(SLOTS.iter().filter_map(|&slot| Slot::read(bytes, slot, &superblock.id)));
            if Superblock::read(bytes).ok().as_ref() != Some(&superblock) {
                damaged.push(*place);
            }
        }
        slots.sort_by_key(|slot| std::cmp::Reverse((slot.sequence, slot.offset)));
        slots.dedup();
        // A copy that was not written with the other is no loss: the next commit writes both.
        Ok(Self { superblock, slots, damaged })
    }

    /// The front of an archive without a commit.
    pub(super) fn write_new(file: &File, id: ArchiveId) -> Result<()> {
        let superblock = Superblock { version: VERSION, id };
        for &place in blocks(VERSION) {
            file.write_all_at(&superblock.block(&[]), place)?;
        }
        Ok(())
    }

    /// Writes blocks that are lost anew, with the newest slots of both places.
    pub(super) fn mend(&self, file: &File) -> Result<()> {
        // Slots are written in the order of their commits, so that the newest stays where two share a place.
        let newest: Vec<Slot> = self.slots.iter().rev().copied().collect();
        for &place in &self.damaged {
            file.write_all_at(&self.superblock.block(&newest), place)?;
        }
        Ok(())
    }
}

/// Whether a file is an archive, sound or not: its first block says so, or where that is lost the second.
pub fn is_archive(path: &Path) -> bool {
    let begins = |file: &File, place: u64| {
        let mut magic = [0; 4];
        file.read_exact_at(&mut magic, place).is_ok() && magic == *super::layout::MAGIC
    };
    File::open(path).is_ok_and(|file| {
        let is_second = || file.metadata().ok().and_then(|found| Front::read(&file, found.len()).ok()).is_some();
        begins(&file, 0) || (begins(&file, BLOCK_BYTES as u64) && is_second())
    })
}

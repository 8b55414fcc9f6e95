//! Rank 0's hold on an archive: its lock, its file, and the state in which this writer knows it. Before a commit the
//! file is compared with that state, since not every file system has locks.

use super::files::{self, Existing};
use super::front::Front;
use super::index::Head;
use super::layout::{ArchiveId, FRONT_BYTES, RecordHeader, RecordKind, Slot, VERSION, align, blocks};
use super::lock::Lock;
use super::options::WriterOptions;
use super::progress::{Observer, Phase, enter};
use crate::error::{Error, ErrorKind, Result};
use std::fs::{self, File, Metadata, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The archive's file, as long as a writer has it open.
pub(super) struct Held {
    /// Where the archive lies or will lie.
    place: PathBuf,
    /// Whether it still has its temporary name.
    temporary: bool,
    /// The file that it will replace, as it was found.
    replaced: Option<Metadata>,
    existing: Existing,
    file: File,
    id: ArchiveId,
    version: u16,
    /// Whether a block of the front is lost.
    damaged: bool,
    /// The newest commit: its head, and the slot that names it.
    head: Option<Head>,
    newest: Option<Slot>,
    /// The slot of a commit that failed, where it could not be taken back.
    attempted: Option<Slot>,
    /// The file's length as this writer found or left it.
    length: u64,
    /// Whether the file was found so when the commit in progress began: what lies behind its end is this writer's then.
    begun: bool,
    /// Kept until the file is closed: the last field is dropped last.
    lock: Option<Lock>,
}

/// A commit's records, ready to be written.
pub(super) struct Records {
    bytes: Vec<(u64, Vec<u8>)>,
    id: ArchiveId,
    sequence: u64,
    /// Where the next one begins.
    at: u64,
}

impl Records {
    /// None yet; the first will lie behind `from`.
    pub(super) fn new(id: ArchiveId, sequence: u64, from: u64) -> Self {
        Self { bytes: Vec::new(), id, sequence, at: align(from) }
    }

    /// Where the next one will lie.
    pub(super) fn next(&self) -> u64 {
        self.at
    }

    /// Adds a record; returns its place.
    pub(super) fn add(&mut self, kind: RecordKind, head: &[u8], body: &[u8]) -> u64 {
        let place = self.at;
        let record = RecordHeader::record(kind, self.id, self.sequence, place, head, body);
        self.at = align(place + record.len() as u64);
        self.bytes.push((place, record));
        place
    }

    /// Where the last one ends.
    pub(super) fn end(&self) -> u64 {
        self.bytes.last().map_or(self.at, |(place, bytes)| place + bytes.len() as u64)
    }

    /// How many bytes they are.
    pub(super) fn total(&self) -> u64 {
        self.bytes.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

/// An error of a commit, and whether the room that it took may be given back: it may where nothing names what is there.
pub(super) type Failed = (Error, bool);

impl Held {
    /// A new archive under its temporary name, with nothing in it but the superblock.
    pub(super) fn made(place: &Path, existing: Existing, id: ArchiveId, lock: Option<Lock>) -> Result<Self> {
        let name = files::temporary(place);
        let file = files::create_temporary(&name, lock.is_some())?;
        Front::write_new(&file, id).map_err(|error| Error::at_path(&name, error))?;
        Ok(Self {
            place: place.to_owned(),
            temporary: true,
            replaced: place.metadata().ok(),
            existing,
            file,
            id,
            version: VERSION,
            damaged: false,
            head: None,
            newest: None,
            attempted: None,
            length: FRONT_BYTES,
            begun: false,
            lock,
        })
    }

    /// An archive that is appended to. `newest`: its newest commit; `head`: of the one after which it goes on.
    pub(super) fn found(
        place: &Path,
        id: ArchiveId,
        newest: Slot,
        head: Option<Head>,
        lock: Option<Lock>,
    ) -> Result<Self> {
        let open = OpenOptions::new().read(true).write(true).open(place);
        let file = open.map_err(|error| Error::at_path(place, error))?;
        let length = file.metadata()?.len();
        let front = Front::read(&file, length).map_err(|error| Error::at_path(place, error))?;
        Ok(Self {
            place: place.to_owned(),
            temporary: false,
            replaced: None,
            existing: Existing::Keep,
            file,
            id,
            version: front.superblock.version,
            damaged: !front.damaged.is_empty(),
            head,
            newest: Some(newest),
            attempted: None,
            length,
            begun: false,
            lock,
        })
    }

    /// The newest commit's head.
    pub(super) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The name that the file has now.
    fn name(&self) -> PathBuf {
        if self.temporary { files::temporary(&self.place) } else { self.place.clone() }
    }

    fn lost(&self, why: &str) -> Error {
        let hint = "its steps stay; what this writer has not committed is dropped";
        Error::new(ErrorKind::Io, format!("{}: {why}: {hint}", self.place.display()))
    }

    /// The front of the file, as whoever opens it now sees it.
    ///
    /// # Errors
    /// `Io` where the file is gone, or holds another archive.
    fn front(&self) -> Result<Front> {
        let own = self.file.metadata()?;
        if own.nlink() == 0 {
            return Err(self.lost("the archive was removed, or replaced by another writer"));
        }
        // Opened anew: NFS asks its server when a file is opened, and not when it is read.
        let open = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(self.name());
        let named = open.ok().filter(|file| file.metadata().is_ok_and(|named| files::same(&named, &own)));
        Front::read(named.as_ref().unwrap_or(&self.file), own.len())
            .ok()
            .filter(|front| front.superblock.id == self.id)
            .ok_or_else(|| self.lost("another writer has put another archive in its place"))
    }

    /// # Errors
    /// `Io` where somebody else has committed to the archive, or put another in its place.
    fn check_slots(&self) -> Result<()> {
        let found = self.front()?.slots.first().copied();
        if found == self.newest || (found.is_some() && found == self.attempted) {
            return Ok(());
        }
        Err(self.lost("another writer has committed to the archive since this one opened it"))
    }

    /// Whether the file is as this writer left it; asked before anything is written. An uncommitted tail is cut off
    /// then.
    ///
    /// # Errors
    /// As [`Held::check_slots`]; where somebody else has written to it.
    pub(super) fn begin(&mut self, tail: u64) -> Result<()> {
        self.begun = false;
        self.check_slots()?;
        let length = self.file.metadata()?.len();
        if length != self.length {
            return Err(self.lost(&format!(
                "another writer has written to the archive, which has {length} bytes and not {}",
                self.length
            )));
        }
        self.begun = true;
        if length > tail { self.cut(tail) } else { Ok(()) }
    }

    fn cut(&mut self, tail: u64) -> Result<()> {
        self.file.set_len(tail).map_err(|error| Error::at_path(&self.name(), error))?;
        self.length = tail;
        Ok(())
    }

    /// Gives back the room that an attempt took on disk, unless somebody else's steps are there.
    pub(super) fn drop_tail(&mut self, tail: u64) {
        // What remains is dropped when the archive is opened again; that it cannot be now changes nothing.
        if self.begun && self.check_slots().is_ok() && self.cut(tail).is_err() {
            self.measure();
        }
    }

    /// Takes the length as it is, after an attempt that left something.
    fn measure(&mut self) {
        self.length = self.file.metadata().map_or(self.length, |found| found.len());
    }

    /// Reserves room up to `end`.
    pub(super) fn reserve(&self, from: u64, end: u64) -> Result<()> {
        files::reserve(&self.file, from, end).map_err(|error| Error::at_path(&self.name(), error))
    }

    /// Writes the records, then names the newest in the superblock, then, the first time, gives the archive its name.
    pub(super) fn commit(
        &mut self,
        records: &Records,
        head: &Head,
        options: &WriterOptions,
        observer: &mut Observer,
    ) -> std::result::Result<(), Failed> {
        let written = self.write(records, head, options, observer);
        match written {
            Ok(()) => {
                self.head = Some(head.clone());
                self.length = records.end();
            }
            Err(_) => self.measure(),
        }
        written.map_err(|(error, droppable)| (Error::at_path(&self.name(), error), droppable))
    }

    fn write(
        &mut self,
        records: &Records,
        head: &Head,
        options: &WriterOptions,
        observer: &mut Observer,
    ) -> std::result::Result<(), Failed> {
        let droppable = |error: Error| (error, true);
        // What would fail after the archive has its name is tried before.
        let folder = (self.temporary && options.sync).then(|| -> Result<File> {
            let folder = files::open_folder(&self.place)?;
            folder.sync_all()?;
            Ok(folder)
        });
        let folder = folder.transpose().map_err(droppable)?;
        enter(observer, Phase::Index);
        self.write_records(records, options).map_err(droppable)?;
        enter(observer, Phase::Commit);
        self.check_slots().map_err(|error| (error, false))?;
        self.mend().map_err(droppable)?;
        let slot = Slot { sequence: head.own.sequence, offset: head.own.offset };
        self.attempted = Some(slot);
        let named = self.write_slot(&slot.write(&self.id), slot.sequence, options).and_then(|()| self.take_name());
        if let Err(error) = named {
            // A slot must never name what is dropped.
            let cleared = self.write_slot(&vec![0; slot.write(&self.id).len()], slot.sequence, options);
            return Err((error, cleared.is_ok()));
        }
        if self.lock.is_none() && self.front().map_err(|error| (error, false))?.slots.first() != Some(&slot) {
            return Err((self.lost("another writer has committed to the archive at the same time"), false));
        }
        (self.newest, self.attempted) = (Some(slot), None);
        if let Some(Err(error)) = folder.map(|folder| folder.sync_all()) {
            // The step is committed, under its name; a crash of the machine might take the name back.
            tracing::warn!(%error, "the archive's folder could not be synced");
        }
        Ok(())
    }

    fn write_records(&self, records: &Records, options: &WriterOptions) -> Result<()> {
        for (place, bytes) in &records.bytes {
            self.file.write_all_at(bytes, *place)?;
        }
        self.sync(options)
    }

    /// Writes blocks of the front anew that the archive was opened without.
    fn mend(&mut self) -> Result<()> {
        if std::mem::take(&mut self.damaged) { self.front()?.mend(&self.file) } else { Ok(()) }
    }

    /// In all copies before one sync: where a crash tears one of them, it tears no other slot.
    fn write_slot(&self, bytes: &[u8], sequence: u64, options: &WriterOptions) -> Result<()> {
        for block in blocks(self.version) {
            self.file.write_all_at(bytes, block + Slot::place(sequence))?;
        }
        self.sync(options)
    }

    fn sync(&self, options: &WriterOptions) -> Result<()> {
        if options.sync { Ok(self.file.sync_data()?) } else { Ok(()) }
    }

    fn take_name(&mut self) -> Result<()> {
        if !self.temporary {
            return Ok(());
        }
        let (name, own) = (self.name(), self.file.metadata()?);
        if !name.symlink_metadata().is_ok_and(|named| files::same(&named, &own)) {
            return Err(self.lost("another writer has taken the temporary name away"));
        }
        let found = self.place.metadata().ok();
        let unchanged = match (&self.replaced, &found) {
            (Some(before), Some(now)) => files::same(before, now) && before.len() == now.len(),
            (before, now) => before.is_none() == now.is_none(),
        };
        if self.existing == Existing::Replace && !unchanged {
            return Err(self.lost("another writer has written the archive that this one was to replace"));
        }
        files::take_name(&name, &self.place, self.existing)?;
        self.temporary = false;
        Ok(())
    }

    /// Closes the file. An archive without a commit is removed.
    pub(super) fn close(self) {
        let own = self.file.metadata();
        let named = self.name().symlink_metadata();
        if self.temporary && matches!((own, named), (Ok(own), Ok(named)) if files::same(&own, &named)) {
            // That nothing was written is no reason to fail.
            let _ = fs::remove_file(self.name());
        }
    }
}

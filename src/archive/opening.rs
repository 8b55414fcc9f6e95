//! Opening an archive's files to write: rank 0 makes the archive or finds out where it ends, and tells all ranks.

use super::agreement::agree;
use super::communicator::{Communicator, SharedFile};
use super::definitions::Definitions;
use super::files::{self, Existing};
use super::held::Held;
use super::layout::{ArchiveId, FRONT_BYTES, Slot, align};
use super::lock::Lock;
use super::options::{Mode, WriterOptions};
use super::reader::Reader;
use crate::bytes;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Package, STREAM_HASH_BYTES, hex};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

/// A number that no other archive has, as far as a clock, a process number and the seeds of hash maps, which the system
/// draws, can tell.
fn new_id(path: &Path) -> ArchiveId {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let drawn = RandomState::new().hash_one(now);
    let seed = format!("{:?} {} {drawn} {}", now, std::process::id(), path.display());
    Sha256::digest(seed.as_bytes())[..16].try_into().expect("a digest has 32 bytes")
}

/// Bytes of a session's number.
const SESSION_BYTES: usize = 4;

fn session_of(id: &ArchiveId) -> [u8; SESSION_BYTES] {
    std::array::from_fn(|k| id[k])
}

/// The state of the archive that rank 0 found or made, for all ranks.
#[derive(Default)]
pub(super) struct Opened {
    pub(super) temporary: bool,
    pub(super) id: ArchiveId,
    /// Of this session: its data files beside the archive have it in their names.
    pub(super) session: [u8; SESSION_BYTES],
    pub(super) sequence: u64,
    pub(super) steps: u64,
    pub(super) tail: u64,
    pub(super) definitions: Option<(u64, Vec<u8>)>,
}

impl Opened {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = bytes::Writer::default();
        out.u8(u8::from(self.temporary));
        out.bytes.extend_from_slice(&self.id);
        out.bytes.extend_from_slice(&self.session);
        [self.sequence, self.steps, self.tail].iter().for_each(|&number| out.u64(number));
        let (place, bytes) = self.definitions.as_ref().map_or((0, &[][..]), |(place, bytes)| (*place, bytes));
        out.u64(place);
        out.bytes.extend_from_slice(bytes);
        out.bytes
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let mut reader = bytes::Reader::new(bytes);
        let temporary = reader.u8()? != 0;
        let id = reader.bytes(16)?.try_into().expect("sixteen bytes were asked for");
        let session = reader.bytes(SESSION_BYTES)?.try_into().expect("as many bytes were asked for");
        let (sequence, steps, tail, place) = (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
        let rest = reader.bytes(reader.remaining())?;
        let definitions = (place > 0).then(|| (place, rest.to_vec()));
        Ok(Self { temporary, id, session, sequence, steps, tail, definitions })
    }
}

/// Rank 0's part of opening: its hold on the file, and what is in it.
pub(super) fn open_first(path: &Path, options: &WriterOptions, model: Option<&Package>) -> Result<(Opened, Held)> {
    let place = files::place(path, options.mode == Mode::Append);
    let lock = if options.lock { Lock::take(&place)? } else { None };
    let exists = path.try_exists().map_err(|error| Error::at_path(path, error))?;
    if exists && options.mode == Mode::Append {
        return open_to_append(path, &place, options, model, lock);
    }
    if exists && options.mode == Mode::Create {
        return Err(Error::new(
            ErrorKind::Io,
            format!("{} exists; use mode=append to add steps, or mode=replace", path.display()),
        ));
    }
    if options.keep.is_some_and(|keep| keep > 0) {
        return Err(Error::invalid(format!("{} does not exist: there are no steps to keep", path.display())));
    }
    let id = new_id(path);
    let existing = if options.mode == Mode::Replace { Existing::Replace } else { Existing::Keep };
    let held = Held::made(&place, existing, id, lock)?;
    let (session, tail) = (session_of(&id), FRONT_BYTES);
    Ok((Opened { temporary: true, id, session, tail, ..Default::default() }, held))
}

fn open_to_append(
    path: &Path,
    place: &Path,
    options: &WriterOptions,
    model: Option<&Package>,
    lock: Option<Lock>,
) -> Result<(Opened, Held)> {
    let reader = Reader::open(path)?;
    if reader.newest_is_damaged() {
        return Err(Error::corrupt(format!(
            "{}: the newest commit is damaged, and appending would overwrite it; run fieldpress repair first",
            path.display()
        )));
    }
    let newest = reader.newest()?;
    let tail = align(newest.end().ok_or_else(|| Error::corrupt("the newest record ends beyond any file"))?);
    let sequence = newest.sequence;
    let keep = options.keep.unwrap_or(reader.steps());
    let head = match keep {
        0 => None,
        keep => Some(reader.head_ending_at(keep)?),
    };
    let definitions = reader.definitions_record(keep.min(reader.steps()))?;
    if let Some(model) = model {
        same_model(path, &definitions.1, model)?;
    }
    let (id, session) = (reader.id(), session_of(&new_id(path)));
    let held = Held::found(place, id, Slot { sequence, offset: newest.offset }, head, lock)?;
    let definitions = Some(definitions);
    Ok((Opened { temporary: false, id, session, sequence, steps: keep, tail, definitions }, held))
}

/// An archive embeds one model: steps that need another would lie in it without theirs.
fn same_model(path: &Path, definitions: &[u8], model: &Package) -> Result<()> {
    let Some(known) = Definitions::read(definitions)?.model else { return Ok(()) };
    if *model.hash() == known.hash {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Model,
        format!(
            "{} embeds model '{}' ({}), and the steps to append would need another ({}), of which it has no place: append \
             with the same model, or with embed_model=off",
            path.display(),
            known.name,
            hex(&known.hash[..STREAM_HASH_BYTES]),
            hex(&model.hash()[..STREAM_HASH_BYTES])
        ),
    ))
}

/// The file that takes this rank's data: the archive, or one of those beside it.
pub(super) struct DataFile {
    /// The ranks that write it; `None` where those are all.
    pub(super) comm: Option<Box<dyn Communicator>>,
    pub(super) shared: Box<dyn SharedFile>,
    /// On the first of its ranks.
    pub(super) file: Option<File>,
    /// 0 for the archive.
    pub(super) number: u32,
    /// Where the next data begins in a file beside the archive.
    pub(super) tail: u64,
    /// Names of all files beside the archive, on rank 0.
    pub(super) names: Vec<String>,
}

impl DataFile {
    pub(super) fn open(
        comm: &dyn Communicator,
        path: &Path,
        archive: &Path,
        opened: &Opened,
        options: &WriterOptions,
    ) -> Result<Self> {
        if options.ranks_per_file == 0 {
            let opened = comm.open(archive, options);
            agree(comm, &[], opened.as_ref().err())?;
            return Ok(Self { comm: None, shared: opened?, file: None, number: 0, tail: 0, names: Vec::new() });
        }
        let color = comm.rank() / options.ranks_per_file;
        let group = comm.split(color)?;
        let folder = files::parts(path);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (short, session) = (hex(&opened.id[..4]), hex(&opened.session));
        let name = |color: usize| format!("{short}-{}-{session}-{color}", opened.sequence + 1);
        let own = folder.join(name(color));
        let mut file = Ok(None);
        if group.rank() == 0 {
            // Every group's first rank may be the one that makes the folder.
            file = fs::create_dir_all(&folder)
                .and_then(|()| files::create(&own))
                .map_err(|error| Error::at_path(&own, error))
                .and_then(|file| {
                    // Names, too, must outlast a crash of the machine: a commit makes only data durable.
                    if options.sync {
                        files::sync_folder(&own)?;
                        files::sync_folder(&folder)?;
                    }
                    Ok(Some(file))
                });
        }
        agree(comm, &[], file.as_ref().err())?;
        let opened = group.open(&own, options);
        agree(comm, &[], opened.as_ref().err())?;
        let groups = comm.size().div_ceil(options.ranks_per_file);
        let names = if comm.rank() == 0 { (0..groups).map(name).collect() } else { Vec::new() };
        Ok(Self { comm: Some(group), shared: opened?, file: file?, number: color as u32 + 1, tail: 0, names })
    }
}

//! Saving the sound parts of a damaged archive into a new one. The damaged file is only read.

use super::chain;
use super::decode::check_stream;
use super::definitions::Definitions;
use super::files::{self, Existing};
use super::front::Front;
use super::index::{Body, Chunk, Entry, Head, describe};
use super::layout::{ALIGN, ArchiveId, FRONT_BYTES, HEADER_BYTES, RecordHeader, RecordKind, Slot, align};
use super::lock::Lock;
use super::records::{read_section, read_whole};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes that are searched for records at a time.
const SCAN: usize = 1 << 20;

/// A part of an archive that could not be saved.
#[derive(Clone, Debug)]
pub struct Loss {
    /// The steps that it concerns.
    pub steps: Range<u64>,
    /// The variable; `None`: all of them.
    pub variable: Option<String>,
    /// Why, and where.
    pub error: Error,
}

/// Counts of saved parts, and the lost ones.
#[derive(Clone, Debug, Default)]
pub struct Repaired {
    /// Steps of the new archive; numbers are those of the old one.
    pub steps: u64,
    /// Chunks that were saved.
    pub chunks: u64,
    /// The lost parts. Their points read as ones that were never put.
    pub losses: Vec<Loss>,
}

/// Writes the sound parts of the archive `from` to `to`, which must not exist. Needs neither superblock nor slots:
/// records are searched for. Data files beside the archive become part of the new one.
///
/// # Errors
/// `Io`; `Corrupt` where there is nothing to save.
pub fn repair(from: &Path, to: &Path) -> Result<Repaired> {
    if to.try_exists()? {
        return Err(Error::invalid(format!("{} exists; nothing is overwritten", to.display())));
    }
    let source = Damaged::open(from).map_err(|error| error.context(from.display()))?;
    let name = files::temporary(to);
    let lock = Lock::take(&files::place(to, false))?;
    let file = files::create_temporary(&name, lock.is_some())?;
    let written = source.save(file);
    let done = written.and_then(|repaired| {
        files::take_name(&name, to, Existing::Keep)?;
        files::sync_folder(to)?;
        Ok(repaired)
    });
    if done.is_err() {
        // The error says more than what this one could add.
        let _ = fs::remove_file(&name);
    }
    drop(lock);
    done.map_err(|error| error.context(to.display()))
}

/// What has been saved.
#[derive(Default)]
struct Known {
    /// Of each box the last window: the step after it, and its depth.
    ends: HashMap<chain::BoxKey, (u64, u32)>,
    places: Places,
}

/// Which bytes of which file became which of the new archive: where chunks share them, they share them there, so that
/// it never holds more than the old files do.
#[derive(Default)]
struct Places(HashMap<String, BTreeMap<u64, (u64, Option<u64>)>>);

impl Places {
    /// Where a chunk's bytes of a file lie in the new archive; nothing yet where they were not copied before.
    ///
    /// # Errors
    /// `Corrupt` for bytes that are a part of another chunk's, too: no writer makes such.
    fn claim(&mut self, file: &str, chunk: &Chunk) -> Result<&mut Option<u64>> {
        let places = self.0.entry(file.to_owned()).or_default();
        let end = chunk.offset.saturating_add(chunk.bytes);
        let shared = places.get(&chunk.offset).is_some_and(|(known, _)| *known == end);
        let before = places.range(..end).next_back().is_some_and(|(_, (known, _))| *known > chunk.offset);
        if before && !shared {
            return Err(Error::corrupt("its bytes are a part of another chunk's"));
        }
        Ok(&mut places.entry(chunk.offset).or_insert((end, None)).1)
    }
}

/// A damaged archive, and the records found in it.
struct Damaged<'a> {
    path: &'a Path,
    file: File,
    bytes: u64,
    id: ArchiveId,
    records: BTreeMap<u64, RecordHeader>,
}

impl<'a> Damaged<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut records = BTreeMap::new();
        let mut at = 0;
        while at < bytes {
            let piece = read_whole(&file, at, (SCAN as u64).min(bytes - at), bytes)?;
            for place in (0..piece.len()).step_by(ALIGN as usize) {
                let offset = at + place as u64;
                let header = &piece[place..piece.len().min(place + HEADER_BYTES)];
                if let Ok(header) = RecordHeader::read(header, offset, bytes) {
                    records.insert(offset, header);
                }
            }
            at += SCAN as u64;
        }
        // A field may hold an archive's bytes; the archive itself has the most records.
        let mut counts: HashMap<ArchiveId, usize> = HashMap::new();
        records.values().for_each(|header| *counts.entry(header.id).or_default() += 1);
        let id = match Front::read(&file, bytes) {
            Ok(front) => front.superblock.id,
            Err(_) => counts
                .into_iter()
                .max_by_key(|&(_, count)| count)
                .map(|(id, _)| id)
                .ok_or_else(|| Error::corrupt("no record of an archive is left in it"))?,
        };
        records.retain(|_, header| header.id == id);
        Ok(Self { path, file, bytes, id, records })
    }

    fn body(&self, header: &RecordHeader) -> Result<Vec<u8>> {
        read_section(&self.file, header, HEADER_BYTES as u64 + header.head.bytes, header.body)
    }

    /// The commits that make up the archive's newest state, oldest first, and those of them whose record is lost as
    /// entries alone. The newest head that can be read names the ones before it; where a head that goes on is lost, it
    /// is the newest of those that end before what is known. Commits that a restart dropped are so left out: nothing
    /// that is newer names them.
    fn commits(&self) -> Vec<(Option<RecordHeader>, Entry)> {
        let heads = self.records.values().filter(|header| header.kind == RecordKind::Steps).filter_map(|header| {
            let head = Head::read(&read_section(&self.file, header, HEADER_BYTES as u64, header.head).ok()?).ok()?;
            // Every step has its time in a record before this one's end: a head that says more is none.
            (head.own.end() <= self.bytes / 8).then_some((*header, head))
        });
        let mut heads: Vec<(RecordHeader, Head)> = heads.collect();
        heads.sort_by_key(|(header, _)| std::cmp::Reverse(header.sequence));
        let mut commits: Vec<(Option<RecordHeader>, Entry)> = Vec::new();
        let places: HashMap<u64, &(RecordHeader, Head)> =
            heads.iter().map(|found| (found.1.own.offset, found)).collect();
        let named_by = |entry: &Entry| places.get(&entry.offset).copied().filter(|(_, head)| head.own == *entry);
        let mut named: Option<Entry> = None;
        loop {
            let found = match (&named, commits.last()) {
                (Some(entry), _) => named_by(entry),
                (None, None) => heads.first(),
                (None, Some((_, after))) => heads
                    .iter()
                    .find(|(_, head)| head.own.end() <= after.first_step && head.own.sequence < after.sequence),
            };
            let Some((header, head)) = found else {
                // Named, and lost.
                let Some(entry) = named.take() else { break };
                commits.push((None, entry));
                continue;
            };
            commits.push((Some(*header), head.own));
            for entry in head.recent.iter().rev() {
                commits.push((named_by(entry).map(|(header, _)| *header), *entry));
            }
            named = head.back;
        }
        commits.reverse();
        commits
    }

    /// A loss that no gap between commits shows: of a newest commit that the superblock names.
    fn lost_newest(&self, commits: &[(Option<RecordHeader>, Entry)]) -> Option<Loss> {
        let front = Front::read(&self.file, self.bytes).ok().filter(|front| front.superblock.id == self.id)?;
        let named = front.slots.first()?.sequence;
        let newest = commits.last()?.1;
        (named > newest.sequence).then(|| Loss {
            steps: newest.end()..newest.end() + 1,
            variable: None,
            error: Error::corrupt(
                "the newest commit is lost; where it belonged to a restart from an earlier step, what is saved is from before that",
            ),
        })
    }

    /// The definitions that the newest of some commits refers to, or the newest that can be read; numbers of variables
    /// never change.
    fn definitions(&self, commits: &[(Option<RecordHeader>, Entry)]) -> Result<Definitions> {
        let in_force = commits.iter().rev().find_map(|(header, entry)| {
            let place = Body::definitions_of(&self.body(header.as_ref()?).ok()?, entry).ok()?;
            let header = self.records.get(&place).filter(|header| header.kind == RecordKind::Definitions)?;
            Definitions::read(&self.body(header).ok()?).ok()
        });
        if let Some(definitions) = in_force {
            return Ok(definitions);
        }
        let mut found: Vec<&RecordHeader> =
            self.records.values().filter(|header| header.kind == RecordKind::Definitions).collect();
        found.sort_by_key(|header| std::cmp::Reverse(header.sequence));
        let mut all = found.iter().filter_map(|header| Definitions::read(&self.body(header).ok()?).ok());
        all.next().ok_or_else(|| Error::corrupt("the definitions of its variables are lost"))
    }

    fn save(&self, to: File) -> Result<Repaired> {
        let commits = self.commits();
        if commits.is_empty() {
            return Err(Error::corrupt("no committed step is left in it"));
        }
        let mut definitions = self.definitions(&commits)?;
        let mut target = Target::create(to, self.id)?;
        if let Some(model) = &mut definitions.model {
            let body = self.records.get(&model.record).map(|header| self.body(header));
            match body {
                Some(Ok(bytes)) => model.record = target.record(RecordKind::Model, &[], &bytes)?,
                _ => definitions.model = None,
            }
        }
        let place = target.record(RecordKind::Definitions, &[], &definitions.write())?;
        let mut repaired = Repaired::default();
        let mut known = Known::default();
        for (header, entry) in &commits {
            let next = target.steps();
            if entry.first_step > next {
                repaired.losses.push(lost_steps(next..entry.first_step));
                target.commit(Body::empty(entry.first_step - next, place))?;
            }
            let Some(header) = header else {
                repaired.losses.push(lost_steps(entry.first_step..entry.end()));
                target.commit(Body::empty(entry.steps, place))?;
                continue;
            };
            let body = match self.body(header).and_then(|bytes| Body::read(&bytes, entry, &definitions)) {
                Ok(body) => body,
                Err(error) => {
                    repaired.losses.push(Loss { steps: entry.first_step..entry.end(), variable: None, error });
                    target.commit(Body::empty(entry.steps, place))?;
                    continue;
                }
            };
            let mut body = self.save_chunks(body, &definitions, &mut target, &mut known, &mut repaired)?;
            body.definitions = place;
            target.commit(body)?;
        }
        repaired.losses.extend(self.lost_newest(&commits));
        repaired.steps = target.steps();
        target.finish()?;
        Ok(repaired)
    }

    /// Copies the sound chunks of a commit into the new archive; its body then names them there, and no others.
    fn save_chunks(
        &self,
        mut body: Body,
        definitions: &Definitions,
        target: &mut Target,
        known: &mut Known,
        repaired: &mut Repaired,
    ) -> Result<Body> {
        let files = std::mem::take(&mut body.files);
        for index in &mut body.variables {
            let info = &definitions.variables[index.variable];
            let mut saved = Vec::new();
            for mut chunk in std::mem::take(&mut index.chunks) {
                let box_key = chain::key(index.variable, &chunk.region);
                let follows =
                    |&(end, depth): &(u64, u32)| end == chunk.steps.start && depth.checked_add(1) == Some(chunk.depth);
                let bytes = if chunk.depth == 0 || known.ends.get(&box_key).is_some_and(follows) {
                    self.chunk(&chunk, &files)
                } else {
                    Err(Error::corrupt(format!("{} follows a window that is lost", describe(&chunk))))
                };
                let file = chunk.file.checked_sub(1).and_then(|k| files.get(k as usize)).map_or("", String::as_str);
                let room = known.places.claim(file, &chunk);
                let bytes = bytes.and_then(|bytes| {
                    check_stream(&bytes, &chunk, info.dtype).map_err(|error| error.context(describe(&chunk)))?;
                    Ok((bytes, room.map_err(|error| error.context(describe(&chunk)))?))
                });
                match bytes {
                    Ok((bytes, place)) => {
                        known.ends.insert(box_key, (chunk.steps.end, chunk.depth));
                        let offset = match *place {
                            Some(offset) => offset,
                            None => *place.insert(target.append(&bytes)?),
                        };
                        (chunk.file, chunk.offset) = (0, offset);
                        repaired.chunks += 1;
                        saved.push(chunk);
                    }
                    Err(error) => {
                        let (steps, variable) = (chunk.steps.clone(), Some(info.name.clone()));
                        repaired.losses.push(Loss { steps, variable, error });
                    }
                }
            }
            index.chunks = saved;
        }
        Ok(body)
    }

    fn chunk(&self, chunk: &Chunk, files: &[String]) -> Result<Vec<u8>> {
        let read = || {
            let bytes = match chunk.file.checked_sub(1) {
                None => read_whole(&self.file, chunk.offset, chunk.bytes, self.bytes)?,
                Some(k) => {
                    let file = File::open(files::parts(self.path).join(&files[k as usize]))?;
                    read_whole(&file, chunk.offset, chunk.bytes, file.metadata()?.len())?
                }
            };
            if !chunk.holds(&bytes) {
                return Err(Error::corrupt("its checksum does not match"));
            }
            Ok(bytes)
        };
        read().map_err(|error| error.context(describe(chunk)))
    }
}

fn lost_steps(steps: Range<u64>) -> Loss {
    Loss { steps, variable: None, error: Error::corrupt("the record of these steps is lost") }
}

impl Body {
    /// Steps of which nothing is left.
    fn empty(steps: u64, definitions: u64) -> Self {
        Self { times: vec![f64::NAN; steps as usize], definitions, files: Vec::new(), variables: Vec::new() }
    }
}

/// The new archive.
struct Target {
    file: File,
    id: ArchiveId,
    at: u64,
    head: Option<Head>,
}

impl Target {
    fn create(file: File, id: ArchiveId) -> Result<Self> {
        Front::write_new(&file, id)?;
        Ok(Self { file, id, at: FRONT_BYTES, head: None })
    }

    fn steps(&self) -> u64 {
        self.head.as_ref().map_or(0, |head| head.own.end())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        let place = self.at;
        self.file.write_all_at(bytes, place)?;
        self.at += bytes.len() as u64;
        Ok(place)
    }

    fn record(&mut self, kind: RecordKind, head: &[u8], body: &[u8]) -> Result<u64> {
        let place = align(self.at);
        let sequence = self.head.as_ref().map_or(0, |head| head.own.sequence) + 1;
        self.file.write_all_at(&RecordHeader::record(kind, self.id, sequence, place, head, body), place)?;
        self.at = align(place + (HEADER_BYTES + head.len() + body.len()) as u64);
        Ok(place)
    }

    fn commit(&mut self, body: Body) -> Result<()> {
        let (place, steps) = (align(self.at), body.times.len() as u64);
        let head = match &self.head {
            None => Head::first(1, place, steps),
            Some(head) => head.next(head.own.sequence + 1, place, steps),
        };
        self.record(RecordKind::Steps, &head.write(), &body.write(head.own.first_step))?;
        self.head = Some(head);
        Ok(())
    }

    /// Names the newest commit.
    fn finish(self) -> Result<()> {
        self.file.sync_data()?;
        if let Some(head) = self.head {
            let slot = Slot { sequence: head.own.sequence, offset: head.own.offset };
            self.file.write_all_at(&slot.write(&self.id), Slot::place(slot.sequence))?;
        }
        Ok(self.file.sync_all()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head that declares more steps than a file of its size can hold is no head, and costs no memory.
    #[test]
    fn heads_are_believed_what_a_file_can_hold() {
        let folder = std::env::temp_dir().join(format!("fieldpress-greedy-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (from, to, id) = (folder.join("a.fpa"), folder.join("b.fpa"), [7; 16]);
        for (first_step, steps) in [(0, 1 << 50), (1 << 61, 1)] {
            let place = FRONT_BYTES;
            let own = Entry { sequence: 2, offset: place, first_step, steps };
            let back = (first_step > 0).then_some(Entry { sequence: 1, offset: 0, first_step: 0, steps: first_step });
            let head = Head { own, back, recent: Vec::new() }.write();
            let mut bytes = vec![0; FRONT_BYTES as usize];
            bytes.extend(RecordHeader::record(RecordKind::Steps, id, 2, place, &head, &[0; 64]));
            bytes.resize(align(bytes.len() as u64) as usize, 0);
            let definitions = Definitions::default().write();
            bytes.extend(RecordHeader::record(RecordKind::Definitions, id, 2, bytes.len() as u64, &[], &definitions));
            fs::write(&from, bytes).unwrap();
            let error = repair(&from, &to).unwrap_err();
            assert!(error.message().contains("no committed step is left"), "{error}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    /// An index may name one stream for many boxes: what is saved of it is no longer than it was.
    #[test]
    fn chunks_that_share_their_bytes_share_them_afterwards() {
        use crate::archive::{Reader, Selection, Serial, VariableInfo, Writer, WriterOptions};
        use crate::field::{DType, FieldView, FieldViewMut, Shape};
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (points, boxes) = (5000, 60);
        let shape = Shape::new(&[points * boxes]).unwrap();
        let info = VariableInfo { name: "t".into(), shape, dtype: DType::F64, attributes: Vec::new() };
        let mut writer = Writer::open(Box::new(Serial), &path("one.fpa"), WriterOptions::default()).unwrap();
        let id = writer.define(info).unwrap();
        let noise: Vec<f64> = (0..points).map(|k| (k * k % 7919) as f64 * 1e-3).collect();
        writer.begin_step(0.0).unwrap();
        writer.put(id, &[0], &FieldView::new(&noise, &[points]).unwrap(), crate::Bound::Lossless).unwrap();
        writer.end_step().unwrap();
        writer.close().unwrap();

        let from = path("one.fpa");
        let one = Damaged::open(&from).unwrap();
        let commits = one.commits();
        let mut body =
            Body::read(&one.body(&commits[0].0.unwrap()).unwrap(), &commits[0].1, &one.definitions(&commits).unwrap())
                .unwrap();
        let chunk = body.variables[0].chunks[0].clone();
        let bytes = one.chunk(&chunk, &[]).unwrap();
        let mut make = |shift: u64| {
            let mut target = Target::create(files::create(&path("many.fpa")).unwrap(), one.id).unwrap();
            let at = target.append(&bytes).unwrap();
            let definitions = one.definitions(&commits).unwrap().write();
            body.definitions = target.record(RecordKind::Definitions, &[], &definitions).unwrap();
            let several = (0..boxes).map(|k| {
                let region = crate::field::Region { start: vec![k * points], count: vec![points] };
                let more = shift * (k as u64 % 2);
                let crc = crc32fast::hash(&bytes[more as usize..]);
                Chunk { region, offset: at + more, bytes: chunk.bytes - more, crc, rank: k as u64, ..chunk.clone() }
            });
            body.variables[0].chunks = several.collect();
            target.commit(body.clone()).unwrap();
            target.finish().unwrap();
            let repaired = repair(&path("many.fpa"), &path("saved.fpa")).unwrap();
            let sizes = ["many.fpa", "saved.fpa"].map(|name| fs::metadata(path(name)).unwrap().len());
            let read = Reader::open(&path("saved.fpa")).map(|reader| {
                let mut out = vec![0.0; points * boxes];
                let selection = Selection { missing: Some(-1.0), ..Selection::step(0) };
                reader.read(0, &selection, &mut FieldViewMut::new(&mut out, &[points * boxes]).unwrap()).unwrap();
                out
            });
            ["many.fpa", "saved.fpa"].iter().for_each(|name| fs::remove_file(path(name)).unwrap());
            (repaired, sizes, read.unwrap())
        };
        let (repaired, [many, saved], read) = make(0);
        assert_eq!((repaired.chunks, repaired.losses.len()), (boxes as u64, 0));
        assert!(saved <= many && read.chunks(points).all(|part| part == noise));
        // Bytes that are parts of others' are nobody's chunk.
        let (repaired, [many, saved], _) = make(1);
        assert_eq!((repaired.chunks, repaired.losses.len()), (boxes as u64 / 2, boxes / 2));
        assert!(saved <= many && repaired.losses[0].error.message().contains("chunk"));
    }
}

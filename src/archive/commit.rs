//! Committing a window: lengths become offsets, data goes out, and the index that makes it count is written last.

use super::agreement::{agree, agree_and_reduce};
use super::budget::Global;
use super::coded::Coded;
use super::communicator::{Communicator, SyncBy};
use super::definitions::{Definitions, EmbeddedModel};
use super::files;
use super::held::{Held, Records};
use super::index::{Body, Chunk, Context, Head, VariableIndex};
use super::layout::{ArchiveId, RecordKind, align};
use super::opening::{DataFile, Opened, open_first};
use super::options::WriterOptions;
use super::overlap::overlapping;
use super::progress::{Observer, Phase, enter};
use super::signal;
use crate::bytes;
use crate::error::{Error, Result};
use crate::model::Package;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The archive's files as one rank sees them.
pub(super) struct Output {
    path: PathBuf,
    /// Whether the archive still has its temporary name.
    temporary: bool,
    id: ArchiveId,
    /// The archive's file, where this rank writes the index: on rank 0.
    held: Option<Held>,
    /// The last commit's number, and the steps committed.
    sequence: u64,
    steps: u64,
    /// Where the next commit's data begins, in the archive.
    tail: u64,
    /// Where the definitions in force are, and their digest.
    definitions: Option<(u64, u64)>,
    data: DataFile,
}

/// A window to be committed.
pub(super) struct Window<'a> {
    /// The package to be embedded.
    pub(super) model: Option<&'a Package>,
    /// The time of each of its steps, as the caller gave it.
    pub(super) times: &'a [f64],
    /// This rank's streams.
    pub(super) coded: Vec<Coded>,
    /// Bound, range and points of each variable, of all ranks together.
    pub(super) globals: &'a [Option<Global>],
}

impl Output {
    /// Opens the files; collective. `model`: the package to be embedded.
    pub(super) fn open(
        comm: &dyn Communicator,
        path: &Path,
        options: &WriterOptions,
        model: Option<&Package>,
    ) -> Result<(Self, Definitions)> {
        let mut held = None;
        let mut failure = None;
        let mut bytes = Vec::new();
        if comm.rank() == 0 {
            match open_first(path, options, model) {
                Ok((opened, own)) => {
                    held = Some(own);
                    bytes = opened.write();
                }
                Err(error) => failure = Some(error),
            }
        }
        agree(comm, &[], failure.as_ref())?;
        comm.broadcast(0, &mut bytes)?;
        let opened = Opened::read(&bytes)?;
        let definitions = match &opened.definitions {
            None => Definitions::default(),
            Some((_, bytes)) => Definitions::read(bytes)?,
        };
        let name = if opened.temporary { files::temporary(path) } else { path.to_owned() };
        let data = match DataFile::open(comm, path, &name, &opened, options) {
            Ok(data) => data,
            Err(error) => {
                if let Some(held) = held {
                    held.close();
                }
                return Err(error);
            }
        };
        let output = Self {
            path: path.to_owned(),
            temporary: opened.temporary,
            id: opened.id,
            held,
            sequence: opened.sequence,
            steps: opened.steps,
            tail: opened.tail,
            definitions: opened.definitions.map(|(place, _)| (place, definitions.digest())),
            data,
        };
        Ok((output, definitions))
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Writes and commits a window's chunks; collective. Returns the bytes of index and definitions, on rank 0.
    ///
    /// # Errors
    /// On all ranks alike; nothing is committed then.
    pub(super) fn commit(
        &mut self,
        comm: &dyn Communicator,
        options: &WriterOptions,
        definitions: &mut Definitions,
        mut window: Window<'_>,
        observer: &mut Observer,
    ) -> Result<u64> {
        let _blocked = signal::Blocked::new();
        let steps = self.steps..self.steps + window.times.len() as u64;
        let (place, rows) = self.place(comm, &window.coded, &steps)?;
        let prepared = self.prepare_all(comm, definitions, &window, &place, rows)?;
        enter(observer, Phase::Data);
        self.write_data(comm, options, std::mem::take(&mut window.coded), &place)?;
        let written = self.commit_index(comm, options, prepared.as_ref(), observer)?;
        self.tail = written.tail;
        self.definitions = Some(written.definitions);
        self.data.tail = align(place.data_end);
        self.sequence += 1;
        self.steps = steps.end;
        self.temporary = false;
        if let Some(prepared) = prepared {
            definitions.model = prepared.model;
        }
        Ok(written.bytes)
    }

    /// Turns the lengths of all ranks' chunks into places, and gathers the rows of the index on rank 0; collective.
    fn place(
        &self,
        comm: &dyn Communicator,
        coded: &[Coded],
        window: &Range<u64>,
    ) -> Result<(DataPlace, Option<Vec<Vec<u8>>>)> {
        let _span = tracing::info_span!("archive.place", rank = comm.rank()).entered();
        let length: u64 = coded.iter().map(|chunk| chunk.bytes.len() as u64).sum();
        let group = self.data.comm.as_deref().unwrap_or(comm);
        let start = if self.data.number == 0 { self.tail } else { self.data.tail };
        // An offset takes ten bytes at most, and only a rank's first row has one.
        let most_rows = self.rows(comm, coded, window, 0).len() as u64 + 10;
        let placed = group.place([length, most_rows])?;
        let (offset, data_end) = (start + placed.before[0], start + placed.total[0]);
        let most_rows = match &self.data.comm {
            None => placed.total[1],
            Some(_) => comm.place([0, most_rows])?.total[1],
        };
        let rows = comm.gather(&self.rows(comm, coded, window, offset), most_rows)?;
        Ok((DataPlace { length, offset, start, data_end, total: placed.total[0] }, rows))
    }

    /// Prepares the records on rank 0 and reserves room on all: everything that can be refused is refused before a byte
    /// is written; collective.
    fn prepare_all(
        &mut self,
        comm: &dyn Communicator,
        definitions: &Definitions,
        window: &Window<'_>,
        place: &DataPlace,
        rows: Option<Vec<Vec<u8>>>,
    ) -> Result<Option<Prepared>> {
        let unchanged = self.held.as_mut().map_or(Ok(()), |held| held.begin(self.tail));
        let prepared = rows.map(|rows| {
            unchanged?;
            let index_start = if self.data.number == 0 { place.data_end } else { self.tail };
            self.prepare(definitions, window, &rows, index_start)
        });
        let mut failure = match &prepared {
            Some(Err(error)) => Some(error.clone()),
            _ => None,
        };
        let index_end =
            prepared.as_ref().and_then(|prepared| prepared.as_ref().ok()).map(|prepared| prepared.records.end());
        if failure.is_none() {
            failure = self.reserve(place, index_end).err();
        }
        if let Err(error) = agree(comm, &[], failure.as_ref()) {
            self.drop_tail();
            return Err(error);
        }
        prepared.transpose()
    }

    /// Writes this rank's streams where they belong; collective.
    fn write_data(
        &mut self,
        comm: &dyn Communicator,
        options: &WriterOptions,
        coded: Vec<Coded>,
        place: &DataPlace,
    ) -> Result<()> {
        let mut data = Vec::with_capacity(place.length as usize);
        coded.iter().for_each(|chunk| data.extend_from_slice(&chunk.bytes));
        drop(coded);
        let written = {
            let _span = tracing::info_span!("archive.write", rank = comm.rank(), bytes = place.length).entered();
            let written = self.data.shared.write_at_all(place.offset, &data, place.total);
            // Also where writing failed here: it is collective.
            let by = if comm.rank() == 0 && self.data.number == 0 { SyncBy::LaterSync } else { SyncBy::ThisCall };
            let synced = if options.sync { self.data.shared.sync(by) } else { Ok(()) };
            written.and(synced).map_err(|error| Error::at_path(&self.name(), error))
        };
        agree(comm, &[], written.err().as_ref()).inspect_err(|_| self.drop_tail())
    }

    /// Writes the index on rank 0, and tells all ranks its place and size; collective.
    fn commit_index(
        &mut self,
        comm: &dyn Communicator,
        options: &WriterOptions,
        prepared: Option<&Prepared>,
        observer: &mut Observer,
    ) -> Result<IndexWritten> {
        let span = tracing::info_span!("archive.index", rank = comm.rank()).entered();
        let mut failure = None;
        let mut droppable = false;
        let mut words = [0; 3];
        let mut bytes = 0;
        if let Some(prepared) = prepared {
            let written = match &mut self.held {
                Some(held) => held.commit(&prepared.records, &prepared.head, options, observer),
                None => Err((Error::internal("rank 0 has no file"), false)),
            };
            match written {
                Ok(()) => {
                    let (place, digest) = prepared.definitions;
                    words = [prepared.records.next(), place, digest];
                    bytes = prepared.records.total();
                }
                Err((error, nothing_names_it)) => {
                    failure = Some(error);
                    droppable = nothing_names_it;
                }
            }
        }
        drop(span);
        if let Err(error) = agree_and_reduce(comm, failure.as_ref(), &mut words, &mut []) {
            // Elsewhere what remains is overwritten by the next attempt.
            if droppable {
                self.drop_tail();
            }
            return Err(error);
        }
        Ok(IndexWritten { tail: words[0], definitions: (words[1], words[2]), bytes })
    }

    fn name(&self) -> PathBuf {
        if self.temporary { files::temporary(&self.path) } else { self.path.clone() }
    }

    /// This rank's rows of the index: for each chunk its variable, its squared error (which rank 0 adds up), its entry.
    fn rows(&self, comm: &dyn Communicator, coded: &[Coded], window: &Range<u64>, offset: u64) -> Vec<u8> {
        let mut rows = bytes::Writer::default();
        let mut at = offset;
        let mut context = Context::default();
        for chunk in coded {
            rows.varint(chunk.variable as u64);
            rows.f64(chunk.squared_error);
            let row = Chunk {
                rank: comm.rank() as u64,
                steps: window.start + chunk.first..window.start + chunk.first + chunk.steps,
                region: chunk.region.clone(),
                bytes: chunk.bytes.len() as u64,
                depth: chunk.depth,
                file: self.data.number,
                offset: at,
                crc: chunk.crc,
            };
            row.write(&mut rows, window, &mut context);
            at += row.bytes;
        }
        rows.bytes
    }

    /// The records of a commit, from the rows of all ranks; on rank 0.
    fn prepare(
        &self,
        definitions: &Definitions,
        window: &Window<'_>,
        rows: &[Vec<u8>],
        index_start: u64,
    ) -> Result<Prepared> {
        let steps = self.steps..self.steps + window.times.len() as u64;
        let sequence = self.sequence + 1;
        let mut records = Records::new(self.id, sequence, index_start);

        let mut definitions = definitions.clone();
        let new_model = window.model.filter(|_| definitions.model.is_none());
        if let Some(package) = new_model {
            let record = records.add(RecordKind::Model, &[], &package.to_bytes());
            let name = package.manifest().name.clone();
            definitions.model = Some(EmbeddedModel { name, hash: *package.hash(), record });
        }
        let digest = definitions.digest();
        let place = match self.definitions {
            Some((place, known)) if known == digest && new_model.is_none() => place,
            _ => records.add(RecordKind::Definitions, &[], &definitions.write()),
        };

        let variables = index_variables(rows, &steps, &definitions, window.globals)?;
        let (count, at) = (window.times.len() as u64, records.next());
        let head = match self.held.as_ref().and_then(Held::head) {
            None => Head::first(sequence, at, count),
            Some(head) => head.next(sequence, at, count),
        };
        let files = self.data.names.clone();
        let body = Body { times: window.times.to_vec(), definitions: place, files, variables };
        records.add(RecordKind::Steps, &head.write(), &body.write(steps.start));
        Ok(Prepared { records, head, definitions: (place, digest), model: definitions.model })
    }

    /// Makes sure that there is room for data and index, as far as the operating system can tell.
    fn reserve(&self, place: &DataPlace, index_end: Option<u64>) -> Result<()> {
        let &DataPlace { start, data_end, .. } = place;
        let name = self.name();
        let end = index_end.unwrap_or(data_end).max(data_end);
        files::check_file_size_limit(end).map_err(|error| Error::at_path(&name, error))?;
        if let (Some(held), Some(end)) = (&self.held, index_end) {
            held.reserve(self.tail, end)?;
        }
        match (&self.data.file, self.data.number) {
            (Some(file), 1..) => files::reserve(file, start, data_end).map_err(|error| Error::at_path(&name, error)),
            _ => Ok(()),
        }
    }

    /// Gives back the room that an attempt took on disk.
    fn drop_tail(&mut self) {
        if let Some(held) = &mut self.held {
            held.drop_tail(self.tail);
        }
        if let (Some(file), 1..) = (&self.data.file, self.data.number) {
            // Nothing names what remains.
            let _ = file.set_len(self.data.tail);
        }
    }

    /// Closes the files; collective. An archive without a commit is removed.
    pub(super) fn close(self, comm: &dyn Communicator) -> Result<()> {
        let mut failure = self.data.shared.close().err();
        if let Some(group) = self.data.comm {
            let freed = group.free();
            failure = failure.or(freed.err());
        }
        if let Some(held) = self.held {
            held.close();
        }
        agree(comm, &[], failure.as_ref())
    }
}

/// Where this rank's streams go, in the file that takes its data.
struct DataPlace {
    /// Bytes of this rank's streams, and where they begin.
    length: u64,
    offset: u64,
    /// Where the window's data begins and ends, of all ranks that write the file.
    start: u64,
    data_end: u64,
    /// Bytes of all these ranks.
    total: u64,
}

/// The index of a commit as all ranks know it once it is written.
struct IndexWritten {
    /// Where the next commit's data begins.
    tail: u64,
    /// Where the definitions in force are, and their digest.
    definitions: (u64, u64),
    /// Bytes of index and definitions, on rank 0.
    bytes: u64,
}

/// The records that rank 0 is about to write.
struct Prepared {
    records: Records,
    /// Of the newest.
    head: Head,
    definitions: (u64, u64),
    model: Option<EmbeddedModel>,
}

/// All ranks' chunks and their squared errors, by variable.
fn parse_rows(rows: &[Vec<u8>], window: &Range<u64>, definitions: &Definitions) -> Result<Vec<Vec<(Chunk, f64)>>> {
    let mut chunks: Vec<Vec<(Chunk, f64)>> = vec![Vec::new(); definitions.variables.len()];
    for rows in rows {
        let mut reader = bytes::Reader::new(rows);
        let mut context = Context::default();
        while reader.remaining() > 0 {
            let variable = reader.varint()? as usize;
            let info = definitions.variables.get(variable).ok_or_else(|| Error::internal("a row of no variable"))?;
            let squared_error = reader.f64()?;
            chunks[variable].push((Chunk::read(&mut reader, window, &info.shape, &mut context)?, squared_error));
        }
    }
    Ok(chunks)
}

/// The index of each variable, from the rows of all ranks.
fn index_variables(
    rows: &[Vec<u8>],
    window: &Range<u64>,
    definitions: &Definitions,
    globals: &[Option<Global>],
) -> Result<Vec<VariableIndex>> {
    let measured = parse_rows(rows, window, definitions)?;
    let mut variables = Vec::new();
    for (variable, (mut measured, global)) in measured.into_iter().zip(globals).enumerate() {
        let (false, Some(global)) = (measured.is_empty(), global) else { continue };
        // Added up in an order that does not depend on which rank had which box.
        measured.sort_by(|(a, _), (b, _)| (a.steps.start, &a.region.start).cmp(&(b.steps.start, &b.region.start)));
        let squared_error = measured.iter().map(|(_, error)| error).sum();
        let mut chunks: Vec<Chunk> = measured.into_iter().map(|(chunk, _)| chunk).collect();
        chunks.sort_by_key(|chunk| (chunk.steps.start, chunk.rank, chunk.offset));
        if let Some((a, b)) = overlapping(chunks.iter().map(|chunk| (&chunk.steps, &chunk.region)))? {
            return Err(overlap_error(&definitions.variables[variable].name, &chunks[a], &chunks[b]));
        }
        variables.push(VariableIndex {
            variable,
            bound: global.bound,
            range: global.range,
            squared_error,
            points: global.points as u64,
            chunks,
        });
    }
    Ok(variables)
}

fn overlap_error(name: &str, a: &Chunk, b: &Chunk) -> Error {
    let rank =
        |chunk: &Chunk| format!("rank {} (start {:?}, count {:?})", chunk.rank, chunk.region.start, chunk.region.count);
    Error::invalid(format!(
        "variable {name}: the boxes of {} and {} overlap at step {}; put each point once, without halo cells",
        rank(a),
        rank(b),
        a.steps.start.max(b.steps.start)
    ))
}

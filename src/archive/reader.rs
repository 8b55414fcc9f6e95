//! Reading: the contents of an archive, and boxes of its variables at some of its steps; only chunks that a box touches
//! are decoded.

use super::chain::Link;
use super::definitions::{Definitions, EmbeddedModel, VariableInfo};
use super::files;
use super::index::{Body, Chunk, Entry, Head, VariableIndex, describe};
use super::layout::{ArchiveId, Extent, HEADER_BYTES, RecordHeader, RecordKind};
use super::records::{read_head, read_header, read_section, read_whole};
use super::selection::{Piece, Selection, Target};
use super::summary::{Summary, definitions_in_force};
use crate::bound::Bound;
use crate::codec::Codec;
use crate::error::{Error, ErrorKind, Result};
use crate::field::{Element, FieldViewMut, ValuesMut};
use crate::fork_lock::ForkLock;
use crate::model::{MODEL_PATH, Package, hex, is_installed, register};
use crate::options::Options;
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Indices of commits kept in memory.
const KEPT: usize = 8;

/// One commit's part of one variable.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitInfo {
    /// The steps committed together.
    pub steps: Range<u64>,
    /// The bound on the global field that was asked for.
    pub bound: Bound,
    /// Largest minus smallest value of the global field.
    pub range: f64,
    /// Root mean square error over the range, as achieved on all ranks together; 0 for a range of 0.
    pub nrmse: f64,
    /// Chunks, and the bytes of their streams.
    pub chunks: u64,
    /// Bytes of their streams.
    pub stream_bytes: u64,
    /// Bytes of the values that they hold.
    pub input_bytes: u64,
}

/// An archive opened for reading. Usable from several threads.
pub struct Reader {
    path: PathBuf,
    file: File,
    file_bytes: u64,
    id: ArchiveId,
    newest: RecordHeader,
    newest_is_damaged: bool,
    front_is_damaged: bool,
    /// All commits, oldest first.
    entries: Vec<Entry>,
    pub(super) definitions: Definitions,
    bodies: ForkLock<Vec<(u64, Arc<Body>)>>,
    /// By variable, and first step, file and offset of the window's chunk; a file's number is of its commit alone.
    pub(super) links: ForkLock<HashMap<(usize, u64, u32, u64), Arc<Link>>>,
    parts: ForkLock<HashMap<String, Arc<File>>>,
    pub(super) codec: Codec,
}

impl Reader {
    /// Opens an archive.
    ///
    /// # Errors
    /// `Io`; `Corrupt` for a file that is not a sound archive, or holds no committed step; `Unsupported`.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, Options::default())
    }

    /// As [`Reader::open`], with options for decoding.
    ///
    /// # Errors
    /// As [`Reader::open`]; `Runtime`.
    pub fn open_with(path: &Path, options: Options) -> Result<Self> {
        Self::open_file(path, options).map_err(|error| error.context(path.display()))
    }

    fn open_file(path: &Path, options: Options) -> Result<Self> {
        let file = File::open(path)?;
        let summary = Summary::of(&file)?;
        let reader = Self::new(path, file, summary, options)?;
        if let Some(model) = reader.wanted_model() {
            reader.use_model(model, &reader.model_record(model)?)?;
        }
        Ok(reader)
    }

    pub(super) fn new(path: &Path, file: File, summary: Summary, options: Options) -> Result<Self> {
        let Summary { id, file_bytes, newest, newest_is_damaged, front_is_damaged, entries, definitions } = summary;
        Ok(Self {
            path: path.to_owned(),
            file,
            file_bytes,
            id,
            newest,
            newest_is_damaged,
            front_is_damaged,
            entries,
            definitions: Definitions::read(&definitions)?,
            bodies: ForkLock::default(),
            links: ForkLock::default(),
            parts: ForkLock::default(),
            codec: Codec::new(options)?,
        })
    }

    /// Name and SHA-256 of the model package that the archive carries, if any.
    pub fn embedded_model(&self) -> Option<(&str, String)> {
        self.definitions.model.as_ref().map(|model| (model.name.as_str(), hex(&model.hash)))
    }

    /// The model that the archive carries, where it is not installed.
    fn missing_model(&self) -> Option<&EmbeddedModel> {
        let model = self.definitions.model.as_ref()?;
        (!is_installed(&model.name, &model.hash, self.codec.options())).then_some(model)
    }

    /// The same, where the caller trusts it.
    pub(super) fn wanted_model(&self) -> Option<&EmbeddedModel> {
        self.missing_model().filter(|_| self.codec.options().trust_embedded_model)
    }

    /// An error of decoding, with what to do where the model that is missing is the archive's own.
    pub(super) fn explained(&self, error: Error) -> Error {
        let trusted = self.codec.options().trust_embedded_model;
        let model = self.missing_model().filter(|_| error.kind() == ErrorKind::Model && !trusted);
        let Some(model) = model else { return error };
        Error::new(
            ErrorKind::Model,
            format!(
                "its model '{}' (SHA-256 {}) is not installed here. The archive carries it, but it was not run, since a \
                 model is a program: where you trust who wrote the archive, ask for it by trust_embedded_model=1 (the tool's \
                 --trust-model); or put the package on the search path ({MODEL_PATH})",
                model.name,
                hex(&model.hash)
            ),
        )
    }

    pub(super) fn model_record(&self, model: &EmbeddedModel) -> Result<Vec<u8>> {
        let header = self.header(model.record, RecordKind::Model)?;
        self.section(&header, HEADER_BYTES as u64, header.body)
    }

    /// Makes a model that the archive carries available to the codec.
    pub(super) fn use_model(&self, model: &EmbeddedModel, record: &[u8]) -> Result<()> {
        let package = Package::from_bytes(record)?;
        if *package.hash() != model.hash {
            return Err(Error::new(
                ErrorKind::Model,
                format!("the embedded model {} is not the one named", model.name),
            ));
        }
        register(package)
    }

    /// Variables and attributes.
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// The variable of a number.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn variable(&self, number: usize) -> Result<&VariableInfo> {
        let count = self.definitions.variables.len();
        self.definitions
            .variables
            .get(number)
            .ok_or_else(|| Error::invalid(format!("there is no variable number {number}; there are {count}")))
    }

    /// How many steps are committed.
    pub fn steps(&self) -> u64 {
        self.entries.last().map_or(0, Entry::end)
    }

    /// A step's time as the writer gave it, usually the simulated one; NaN for a step that [`super::repair()`] could
    /// not save.
    ///
    /// # Errors
    /// `InvalidArgument` for a step that is not there; `Corrupt`.
    pub fn time(&self, step: u64) -> Result<f64> {
        let entry = self.entry(step)?;
        let index = (step - entry.first_step) as usize;
        Ok(self.body(&entry)?.times[index])
    }

    /// The steps of each commit, in order.
    pub fn commits(&self) -> Vec<Range<u64>> {
        self.entries.iter().map(|entry| entry.first_step..entry.end()).collect()
    }

    /// The chunks of a variable that hold a step, in the order of their ranks.
    ///
    /// # Errors
    /// `InvalidArgument`, `Corrupt`.
    pub fn chunks(&self, variable: usize, step: u64) -> Result<Vec<Chunk>> {
        self.variable(variable)?;
        let body = self.body(&self.entry(step)?)?;
        let chunks = index_of(&body, variable).map_or(&[][..], |index| &index.chunks);
        Ok(chunks.iter().filter(|chunk| chunk.steps.contains(&step)).cloned().collect())
    }

    /// A variable's part of the commit that holds a step; `None` where it has none.
    ///
    /// # Errors
    /// `InvalidArgument`, `Corrupt`.
    pub fn commit_info(&self, variable: usize, step: u64) -> Result<Option<CommitInfo>> {
        let size = self.variable(variable)?.dtype.size() as u64;
        let entry = self.entry(step)?;
        let body = self.body(&entry)?;
        Ok(index_of(&body, variable).map(|index| {
            let points = |chunk: &Chunk| {
                let points: usize = chunk.region.count.iter().product();
                (chunk.steps.end - chunk.steps.start) * points as u64
            };
            CommitInfo {
                steps: entry.first_step..entry.end(),
                bound: index.bound,
                range: index.range,
                nrmse: if index.points == 0 { 0.0 } else { (index.squared_error / index.points as f64).sqrt() },
                chunks: index.chunks.len() as u64,
                stream_bytes: index.chunks.iter().map(|chunk| chunk.bytes).sum(),
                input_bytes: index.chunks.iter().map(points).sum::<u64>() * size,
            }
        }))
    }

    /// The stream of a chunk, its checksum tested.
    ///
    /// # Errors
    /// `Corrupt` that names the chunk; `Io`.
    pub fn stream(&self, chunk: &Chunk) -> Result<Vec<u8>> {
        let body = self.body(&self.entry(chunk.steps.start)?)?;
        self.chunk_bytes(&body, chunk)
    }

    /// Reads a part of a variable into `out`, whose shape must be [`Selection::output_shape`], or that after an axis of
    /// size 1 for a single step. Reads and decodes only the chunks that it touches.
    ///
    /// # Errors
    /// `InvalidArgument` for a selection or output that does not fit, or points that no rank put; `Corrupt`, `Io`,
    /// `Model`, `Runtime`. `out` is unspecified after an error.
    pub fn read(&self, variable: usize, selection: &Selection, out: &mut FieldViewMut<'_>) -> Result<()> {
        let info = self.variable(variable)?;
        let region = selection.region(info)?;
        let shape = selection.output_shape(info)?;
        let dims = out.shape.dims().to_vec();
        let with_axis: Vec<usize> = std::iter::once(1).chain(region.count.iter().copied()).collect();
        let has_axis = selection.steps.end - selection.steps.start > 1 || dims == with_axis;
        if dims != shape.dims() && dims != with_axis {
            return Err(Error::invalid(format!("the output has shape {}, but {shape} is wanted", out.shape)));
        }
        if out.dtype() != info.dtype {
            let (given, wanted) = (out.dtype().name(), info.dtype.name());
            return Err(Error::invalid(format!("the output has type {given}; variable {} has {wanted}", info.name)));
        }
        if selection.steps.end > self.steps() {
            return Err(Error::invalid(format!(
                "steps {} to {} are wanted; the archive has {}",
                selection.steps.start,
                selection.steps.end - 1,
                self.steps()
            )));
        }
        let axis = usize::from(has_axis);
        let target = Target {
            strides: out.strides[axis..axis + region.count.len()].to_vec(),
            step_stride: if has_axis { out.strides[0] } else { 0 },
            region,
            steps: selection.steps.clone(),
        };
        match &mut out.values {
            ValuesMut::F32(values) => self.read_into(variable, selection.missing, &target, values),
            ValuesMut::F64(values) => self.read_into(variable, selection.missing, &target, values),
        }
    }

    fn read_into<T: Element>(
        &self,
        variable: usize,
        missing: Option<f64>,
        target: &Target,
        out: &mut [T],
    ) -> Result<()> {
        if let Some(missing) = missing {
            target.fill(out, T::from_f64(missing));
        }
        let mut step = target.steps.start;
        while step < target.steps.end {
            let entry = self.entry(step)?;
            let body = self.body(&entry)?;
            let steps = step..target.steps.end.min(entry.end());
            let chunks = index_of(&body, variable).map_or(&[][..], |index| &index.chunks);
            let touched: Vec<Piece<'_>> =
                chunks.iter().filter_map(|chunk| Piece::of(chunk, &target.region, &steps)).collect();
            if missing.is_none() {
                let wanted = (steps.end - steps.start) as u128 * target.region.count.iter().product::<usize>() as u128;
                let there: u128 = touched.iter().map(Piece::points).sum();
                if there < wanted {
                    return Err(Error::invalid(format!(
                        "variable {}: {} of {wanted} points at steps {} to {} were never put; say what missing points get",
                        self.variable(variable)?.name,
                        wanted - there,
                        steps.start,
                        steps.end - 1
                    )));
                }
            }
            for piece in &touched {
                let bytes = self.chunk_bytes(&body, piece.chunk)?;
                self.decode(variable, piece, &bytes, target, out)
                    .map_err(|error| self.explained(error).context(describe(piece.chunk)))?;
            }
            step = steps.end;
        }
        Ok(())
    }

    pub(super) fn entry(&self, step: u64) -> Result<Entry> {
        let after = self.entries.partition_point(|entry| entry.first_step <= step);
        let entry = after.checked_sub(1).map(|index| self.entries[index]);
        entry.filter(|entry| step < entry.end()).ok_or_else(|| {
            Error::invalid(format!("there is no step {step}; the archive has {}, counted from 0", self.steps()))
        })
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn id(&self) -> ArchiveId {
        self.id
    }

    pub(super) fn newest(&self) -> Result<RecordHeader> {
        Ok(self.newest)
    }

    /// Whether the superblock names a newer commit, whose record cannot be read.
    pub fn newest_is_damaged(&self) -> bool {
        self.newest_is_damaged
    }

    /// Whether one of the two blocks that say where the newest commit is is lost; nothing else is. The next commit
    /// writes it anew.
    pub fn front_is_damaged(&self) -> bool {
        self.front_is_damaged
    }

    /// The head of the commit that ends with step `steps` − 1.
    pub(super) fn head_ending_at(&self, steps: u64) -> Result<Head> {
        let entry = self.entries.iter().find(|entry| entry.end() == steps).ok_or_else(|| {
            let ends: Vec<u64> = self.entries.iter().map(Entry::end).collect();
            let before = ends.iter().rev().find(|&&end| end < steps);
            Error::invalid(format!(
                "keep={steps} does not lie between two commits of the archive's {} steps; the nearest that does is {}",
                self.steps(),
                before.copied().unwrap_or(0)
            ))
        })?;
        read_head(&self.file, self.file_bytes, &self.id, entry).map(|(_, head)| head)
    }

    /// Place and bytes of the definitions in force after `steps` steps.
    pub(super) fn definitions_record(&self, steps: u64) -> Result<(u64, Vec<u8>)> {
        let entry = self.entry(steps.saturating_sub(1))?;
        definitions_in_force(&self.file, self.file_bytes, &self.id, &entry)
    }

    fn header(&self, place: u64, kind: RecordKind) -> Result<RecordHeader> {
        read_header(&self.file, self.file_bytes, &self.id, place, kind)
    }

    fn section(&self, header: &RecordHeader, from: u64, extent: Extent) -> Result<Vec<u8>> {
        read_section(&self.file, header, from, extent)
    }

    /// The index of a commit.
    pub(super) fn body(&self, entry: &Entry) -> Result<Arc<Body>> {
        let known = {
            let mut bodies = self.bodies.lock()?;
            let at = bodies.iter().position(|(sequence, _)| *sequence == entry.sequence);
            at.map(|at| {
                let found = bodies.remove(at);
                bodies.push(found.clone());
                found.1
            })
        };
        if let Some(body) = known {
            return Ok(body);
        }
        let body = Arc::new(Body::read(&self.body_bytes(entry)?, entry, &self.definitions)?);
        self.keep(entry, Arc::clone(&body))?;
        Ok(body)
    }

    pub(super) fn body_bytes(&self, entry: &Entry) -> Result<Vec<u8>> {
        let header = self.header(entry.offset, RecordKind::Steps)?;
        self.section(&header, HEADER_BYTES as u64 + header.head.bytes, header.body)
    }

    /// Keeps the index of a commit in memory, in place of the one that was used longest ago.
    pub(super) fn keep(&self, entry: &Entry, body: Arc<Body>) -> Result<()> {
        let mut bodies = self.bodies.lock()?;
        bodies.retain(|(sequence, _)| *sequence != entry.sequence);
        if bodies.len() >= KEPT {
            bodies.remove(0);
        }
        bodies.push((entry.sequence, body));
        Ok(())
    }

    /// The bytes of a chunk of a commit.
    pub(super) fn chunk_bytes(&self, body: &Body, chunk: &Chunk) -> Result<Vec<u8>> {
        let read = || {
            let bytes = match chunk.file.checked_sub(1) {
                None => read_whole(&self.file, chunk.offset, chunk.bytes, self.file_bytes),
                Some(k) => {
                    let file = self.part(&body.files[k as usize])?;
                    let length = file.metadata()?.len();
                    read_whole(&file, chunk.offset, chunk.bytes, length)
                }
            }?;
            if !chunk.holds(&bytes) {
                return Err(Error::corrupt("its checksum does not match: the archive is damaged"));
            }
            Ok(bytes)
        };
        read().map_err(|error| error.context(describe(chunk)))
    }

    /// A data file beside the archive.
    fn part(&self, name: &str) -> Result<Arc<File>> {
        let mut parts = self.parts.lock()?;
        if let Some(file) = parts.get(name) {
            return Ok(Arc::clone(file));
        }
        let path = files::parts(&self.path).join(name);
        let file = Arc::new(File::open(&path).map_err(|error| Error::from(error).context(path.display()))?);
        parts.insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }
}

pub(super) fn index_of(body: &Body, variable: usize) -> Option<&VariableIndex> {
    body.variables.iter().find(|index| index.variable == variable)
}

//! The record of a commit: its head, which leads to the records before it, and its body, the index of its chunks.

use super::definitions::{Definitions, count, read_text, write_text};
use super::overlap::overlapping;
use crate::bound::Bound;
use crate::bytes::{Reader, Writer};
use crate::error::{Error, Result};
use crate::field::{MAX_DIMS, Region, Shape};
use crate::stream::{read_bound, write_bound};
use std::ops::Range;

/// Commits of a block: the head of a record names the ones before it in its block, and the last one of the block
/// before. An archive of n commits is opened in n / 64 reads, and a damaged record hides no other.
pub(super) const BLOCK: usize = 64;

/// Where the record of a commit lies, and which steps it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) offset: u64,
    pub(super) first_step: u64,
    pub(super) steps: u64,
}

impl Entry {
    pub(super) fn end(&self) -> u64 {
        self.first_step.saturating_add(self.steps)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        for value in [self.sequence, self.offset, self.first_step, self.steps] {
            out.varint(value);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            sequence: reader.varint()?,
            offset: reader.varint()?,
            first_step: reader.varint()?,
            steps: reader.varint()?,
        })
    }
}

/// The head of a commit's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The record itself.
    pub(super) own: Entry,
    /// The last commit of the block before, whose head goes on.
    pub(super) back: Option<Entry>,
    /// The commits of this block before this one, oldest first.
    pub(super) recent: Vec<Entry>,
}

impl Head {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Writer::default();
        self.own.write(&mut out);
        out.u8(u8::from(self.back.is_some()));
        if let Some(back) = &self.back {
            back.write(&mut out);
        }
        out.varint(self.recent.len() as u64);
        self.recent.iter().for_each(|entry| entry.write(&mut out));
        out.bytes
    }

    /// # Errors
    /// `Corrupt`, also where the entries are not in order or their steps do not follow one another.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let own = Entry::read(&mut reader)?;
        let back = match reader.u8()? {
            0 => None,
            1 => Some(Entry::read(&mut reader)?),
            _ => return Err(Error::corrupt("the record's head is damaged")),
        };
        let n = count(&mut reader, 4)?;
        let recent = (0..n).map(|_| Entry::read(&mut reader)).collect::<Result<Vec<_>>>()?;
        if reader.remaining() > 0 || own.steps == 0 {
            return Err(Error::corrupt("the record's head is damaged"));
        }
        let all: Vec<&Entry> = back.iter().chain(&recent).chain([&own]).collect();
        if back.is_none() && all[0].first_step != 0 {
            return Err(Error::corrupt("the record's steps do not begin with the first"));
        }
        for pair in all.windows(2) {
            let (before, entry) = (pair[0], pair[1]);
            if entry.sequence <= before.sequence || entry.first_step != before.end() || entry.steps == 0 {
                return Err(Error::corrupt("the record's steps do not follow one another"));
            }
        }
        Ok(Self { own, back, recent })
    }

    /// The head of the commit after this one.
    pub(super) fn next(&self, sequence: u64, offset: u64, steps: u64) -> Self {
        let own = Entry { sequence, offset, first_step: self.own.end(), steps };
        if self.recent.len() + 1 >= BLOCK {
            return Self { own, back: Some(self.own), recent: Vec::new() };
        }
        let mut recent = self.recent.clone();
        recent.push(self.own);
        Self { own, back: self.back, recent }
    }

    /// The head of the first commit.
    pub(super) fn first(sequence: u64, offset: u64, steps: u64) -> Self {
        Self { own: Entry { sequence, offset, first_step: 0, steps }, back: None, recent: Vec::new() }
    }
}

/// One compressed box of a variable: the result of one put of one rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The rank that wrote it.
    pub rank: u64,
    /// The steps that it holds.
    pub steps: Range<u64>,
    /// Its box in the variable's global domain.
    pub region: Region,
    /// Bytes of its stream.
    pub bytes: u64,
    /// How many chunks before it, of the same box, must be decoded first; 0: none.
    pub depth: u32,
    /// 0: the archive itself; k: the k-th of the commit's other files.
    pub(super) file: u32,
    pub(super) offset: u64,
    /// Of its stream.
    pub(super) crc: u32,
}

/// The chunk row before, against which the next is coded.
#[derive(Default)]
pub(super) struct Context {
    rank: u64,
    file: u32,
    end: u64,
}

const SAME_RANK: u8 = 1;
const NEXT_RANK: u8 = 2;
const SAME_FILE: u8 = 4;
const AT_END: u8 = 8;
const WHOLE_WINDOW: u8 = 16;
const KEY: u8 = 32;

impl Chunk {
    /// Whether these are the bytes of its stream.
    pub(super) fn holds(&self, bytes: &[u8]) -> bool {
        cfg!(fuzzing) || crc32fast::hash(bytes) == self.crc
    }

    pub(super) fn write(&self, out: &mut Writer, window: &Range<u64>, context: &mut Context) {
        let mut flags = 0;
        let mut flag = |bit: u8, holds: bool| {
            flags |= if holds { bit } else { 0 };
            !holds
        };
        let own_rank = flag(SAME_RANK, self.rank == context.rank) && flag(NEXT_RANK, self.rank == context.rank + 1);
        let own_file = flag(SAME_FILE, self.file == context.file);
        let own_offset = flag(AT_END, self.offset == context.end);
        let own_steps = flag(WHOLE_WINDOW, self.steps == *window);
        let own_depth = flag(KEY, self.depth == 0);
        out.u8(flags);
        if own_rank {
            out.varint(self.rank);
        }
        if own_file {
            out.varint(self.file.into());
        }
        if own_offset {
            out.varint(self.offset);
        }
        if own_steps {
            out.varint(self.steps.start - window.start);
            out.varint(self.steps.end - self.steps.start);
        }
        if own_depth {
            out.varint(self.depth.into());
        }
        for &n in self.region.start.iter().chain(&self.region.count) {
            out.varint(n as u64);
        }
        out.varint(self.bytes);
        out.u32(self.crc);
        *context = Context { rank: self.rank, file: self.file, end: self.offset + self.bytes };
    }

    /// # Errors
    /// `Corrupt`, also for a box that is not inside `shape`, or steps outside `window`.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        window: &Range<u64>,
        shape: &Shape,
        context: &mut Context,
    ) -> Result<Self> {
        let damaged = || Error::corrupt("an entry of the index is damaged");
        let flags = reader.u8()?;
        let has = |bit: u8| flags & bit != 0;
        let rank = if has(SAME_RANK) {
            context.rank
        } else if has(NEXT_RANK) {
            context.rank.checked_add(1).ok_or_else(damaged)?
        } else {
            reader.varint()?
        };
        let file =
            if has(SAME_FILE) { context.file } else { u32::try_from(reader.varint()?).map_err(|_| damaged())? };
        let offset = if has(AT_END) { context.end } else { reader.varint()? };
        let steps = if has(WHOLE_WINDOW) {
            window.clone()
        } else {
            let start = window.start.checked_add(reader.varint()?).ok_or_else(damaged)?;
            start..start.checked_add(reader.varint()?).ok_or_else(damaged)?
        };
        if steps.start >= steps.end || steps.start < window.start || steps.end > window.end {
            return Err(damaged());
        }
        let depth = if has(KEY) { 0 } else { u32::try_from(reader.varint()?).map_err(|_| damaged())? };
        let mut numbers = [0usize; 2 * MAX_DIMS];
        let ndim = shape.ndim();
        for n in &mut numbers[..2 * ndim] {
            *n = usize::try_from(reader.varint()?).map_err(|_| damaged())?;
        }
        let region = Region { start: numbers[..ndim].to_vec(), count: numbers[ndim..2 * ndim].to_vec() };
        region.check(shape).map_err(|error| Error::corrupt(error.message()))?;
        let bytes = reader.varint()?;
        let end = offset.checked_add(bytes).ok_or_else(damaged)?;
        let crc = reader.u32()?;
        *context = Context { rank, file, end };
        Ok(Self { rank, steps, region, bytes, depth, file, offset, crc })
    }
}

/// A chunk, for messages.
pub(super) fn describe(chunk: &Chunk) -> String {
    let Chunk { rank, region, steps, .. } = chunk;
    let last = steps.end - 1;
    format!(
        "the chunk of rank {rank}, start {:?}, count {:?}, steps {} to {last}",
        region.start, region.count, steps.start
    )
}

/// A variable's part of a commit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct VariableIndex {
    /// Its number.
    pub(super) variable: usize,
    /// The bound that was asked for, on the global field.
    pub(super) bound: Bound,
    /// Largest minus smallest value of the global field over the commit's steps.
    pub(super) range: f64,
    /// Sum of squared errors over all valid points, over the squared range, and their number; 0 where no rank measured
    /// them.
    pub(super) squared_error: f64,
    pub(super) points: u64,
    /// Sorted by first step, then by rank.
    pub(super) chunks: Vec<Chunk>,
}

/// The body of a commit's record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Body {
    /// The caller's time of each step, usually the simulated one.
    pub(super) times: Vec<f64>,
    /// Where the definitions in force are.
    pub(super) definitions: u64,
    /// Names of the files beside the archive that hold chunks.
    pub(super) files: Vec<String>,
    pub(super) variables: Vec<VariableIndex>,
}

impl Body {
    pub(super) fn write(&self, first_step: u64) -> Vec<u8> {
        let mut out = Writer::default();
        let window = first_step..first_step + self.times.len() as u64;
        self.times.iter().for_each(|&time| out.f64(time));
        out.varint(self.definitions);
        out.varint(self.files.len() as u64);
        self.files.iter().for_each(|name| write_text(&mut out, name));
        out.varint(self.variables.len() as u64);
        for variable in &self.variables {
            out.varint(variable.variable as u64);
            write_bound(&mut out, &variable.bound);
            out.f64(variable.range);
            out.f64(variable.squared_error);
            out.varint(variable.points);
            out.varint(variable.chunks.len() as u64);
            let mut context = Context::default();
            variable.chunks.iter().for_each(|chunk| chunk.write(&mut out, &window, &mut context));
        }
        out.bytes
    }

    /// Where the definitions are that a body refers to, and nothing more of it.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn definitions_of(bytes: &[u8], own: &Entry) -> Result<u64> {
        let mut reader = Reader::new(bytes);
        read_times(&mut reader, own)?;
        reader.varint()
    }

    /// # Errors
    /// `Corrupt`.
    pub(super) fn read(bytes: &[u8], own: &Entry, definitions: &Definitions) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let times = read_times(&mut reader, own)?;
        let place = reader.varint()?;
        let n = count(&mut reader, 1)?;
        let files = (0..n).map(|_| read_text(&mut reader)).collect::<Result<Vec<_>>>()?;
        if files.iter().any(|name| !super::files::is_plain(name)) {
            return Err(Error::corrupt("the index names a file that is not a plain name"));
        }
        let window = own.first_step..own.end();
        let n = count(&mut reader, 28)?;
        let mut variables: Vec<VariableIndex> = Vec::with_capacity(n);
        for _ in 0..n {
            let number = reader.varint()?;
            let variable =
                usize::try_from(number).ok().filter(|&k| k < definitions.variables.len()).ok_or_else(|| {
                    Error::corrupt(format!("the index names variable {number} of {}", definitions.variables.len()))
                })?;
            if variables.last().is_some_and(|before| before.variable >= variable) {
                return Err(Error::corrupt("the index's variables are not in order"));
            }
            let bound = read_bound(&mut reader)?;
            let (range, squared_error, points) = (reader.f64()?, reader.f64()?, reader.varint()?);
            let shape = &definitions.variables[variable].shape;
            // Flags, box, length and checksum.
            let n = count(&mut reader, 6 + 2 * shape.ndim())?;
            let mut context = Context::default();
            let mut chunks = Vec::with_capacity(n);
            for _ in 0..n {
                let chunk = Chunk::read(&mut reader, &window, shape, &mut context)?;
                if chunk.file as usize > files.len() {
                    return Err(Error::corrupt(format!("the index names file {} of {}", chunk.file, files.len())));
                }
                chunks.push(chunk);
            }
            // Points that two chunks have would be counted twice, and others taken for read that nobody wrote.
            if let Some((a, b)) = overlapping(chunks.iter().map(|chunk| (&chunk.steps, &chunk.region)))? {
                let (a, b) = (describe(&chunks[a]), describe(&chunks[b]));
                return Err(Error::corrupt(format!("{a}, and {b} overlap")));
            }
            variables.push(VariableIndex { variable, bound, range, squared_error, points, chunks });
        }
        if reader.remaining() > 0 {
            return Err(Error::corrupt("bytes follow the index"));
        }
        Ok(Self { times, definitions: place, files, variables })
    }
}

fn read_times(reader: &mut Reader<'_>, own: &Entry) -> Result<Vec<f64>> {
    if own.steps > (reader.remaining() / 8) as u64 {
        return Err(Error::corrupt(format!("{} steps are more than the index has bytes for", own.steps)));
    }
    (0..own.steps).map(|_| reader.f64()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::archive::definitions::VariableInfo;
    use crate::field::DType;
    use proptest::prelude::*;

    fn definitions() -> Definitions {
        let variable = |name: &str, dims: &[usize]| VariableInfo {
            name: name.into(),
            shape: Shape::new(dims).unwrap(),
            dtype: DType::F32,
            attributes: Vec::new(),
        };
        Definitions { variables: vec![variable("a", &[40]), variable("b", &[9, 8, 7])], ..Default::default() }
    }

    fn chunk(ndim: usize) -> impl Strategy<Value = Chunk> {
        let numbers = (0..3u64, 0..3u64, 1..3u64, 0..2u32, 0..2u32);
        (numbers, 0..1u64 << 40, 0..1u64 << 20, any::<u32>(), prop::collection::vec((0..3usize, 1..4usize), ndim))
            .prop_map(|((rank, t0, n, depth, file), offset, bytes, crc, sides)| Chunk {
                rank,
                steps: 5 + t0.min(2)..5 + (t0.min(2) + n).min(3),
                region: Region {
                    start: sides.iter().map(|side| side.0).collect(),
                    count: sides.iter().map(|side| side.1).collect(),
                },
                bytes,
                depth,
                file,
                offset,
                crc,
            })
    }

    proptest! {
        #[test]
        fn bodies_survive(a in prop::collection::vec(chunk(1), 0..6), b in prop::collection::vec(chunk(3), 0..6)) {
            let index = |variable, chunks| VariableIndex {
                variable,
                bound: Bound::Nrmse(1e-3),
                range: 2.0,
                squared_error: 1e-7,
                points: 12,
                chunks,
            };
            let body = Body {
                times: vec![0.5, 1.0, 1.5],
                definitions: 4096,
                files: vec!["one".into()],
                variables: vec![index(0, a), index(1, b)],
            };
            let own = Entry { sequence: 4, offset: 1024, first_step: 5, steps: 3 };
            let bytes = body.write(5);
            prop_assert_eq!(Body::definitions_of(&bytes, &own).unwrap(), 4096);
            let boxes = |index: &VariableIndex| {
                let chunks = index.chunks.iter().map(|chunk| (&chunk.steps, &chunk.region));
                overlapping(chunks).unwrap()
            };
            if body.variables.iter().any(|index| boxes(index).is_some()) {
                let error = Body::read(&bytes, &own, &definitions()).unwrap_err();
                prop_assert!(error.message().contains("overlap"), "{}", error);
                return Ok(());
            }
            prop_assert_eq!(Body::read(&bytes, &own, &definitions()).unwrap(), body);
            for cut in 0..bytes.len() {
                prop_assert!(Body::read(&bytes[..cut], &own, &definitions()).is_err());
            }
        }

        #[test]
        fn any_bytes_are_an_error_or_an_index(bytes: Vec<u8>, steps in 1..4u64) {
            let own = Entry { sequence: 4, offset: 1024, first_step: 5, steps };
            let _ = Body::read(&bytes, &own, &definitions());
            let _ = Head::read(&bytes);
        }
    }

    #[test]
    fn heads_lead_to_every_commit() {
        let mut heads = vec![Head::first(1, 4096, 2)];
        for k in 2..300u64 {
            let next = heads.last().unwrap().next(k, k * 1000, 2);
            assert_eq!(Head::read(&next.write()).unwrap(), next);
            heads.push(next);
        }
        let mut found = Vec::new();
        let mut at = heads.last();
        while let Some(head) = at {
            found.push(head.own.sequence);
            found.extend(head.recent.iter().rev().map(|entry| entry.sequence));
            at = head.back.map(|back| &heads[back.sequence as usize - 1]);
        }
        assert_eq!(found, (1..300).rev().collect::<Vec<u64>>());
    }
}

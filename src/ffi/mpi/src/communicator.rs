//! The ranks of an MPI communicator, as an archive's writer sees them.

use crate::file::File;
use crate::raw::{self, Comm};
use fieldpress::Result;
use fieldpress::archive::{Communicator, Placed, SharedFile, SyncBy, Write, WriterOptions};
use mpi::ffi;
use std::path::Path;

/// The ranks of an MPI communicator. A duplicate of the caller's, so that no message of ours meets one of theirs, and
/// with errors returned instead of ending the job.
#[derive(Debug)]
pub struct MpiCommunicator(Comm);

impl MpiCommunicator {
    /// A duplicate of a communicator of the `mpi` crate; collective.
    ///
    /// # Errors
    /// `Runtime` where MPI cannot duplicate it.
    pub fn duplicate(comm: &impl mpi::traits::Communicator) -> Result<Self> {
        Self::of_raw(comm.as_raw())
    }

    /// A duplicate of a communicator from C; collective.
    pub(crate) fn of_raw(comm: ffi::MPI_Comm) -> Result<Self> {
        raw::check_comm(comm)?;
        Comm::duplicate(comm).map(Self)
    }
}

impl Communicator for MpiCommunicator {
    fn rank(&self) -> usize {
        self.0.rank
    }

    fn size(&self) -> usize {
        self.0.size
    }

    fn reduce(&self, most: &mut [u64], sums: &mut [f64]) -> Result<()> {
        self.0.reduce(most, sums)
    }

    fn place(&self, values: [u64; 2]) -> Result<Placed> {
        self.0.place(values)
    }

    fn gather(&self, bytes: &[u8], most: u64) -> Result<Option<Vec<Vec<u8>>>> {
        self.0.gather(bytes, most)
    }

    fn broadcast(&self, root: usize, bytes: &mut Vec<u8>) -> Result<()> {
        self.0.broadcast(root, bytes)
    }

    fn split(&self, color: usize) -> Result<Box<dyn Communicator>> {
        Ok(Box::new(Self(self.0.split(color)?)))
    }

    fn open(&self, path: &Path, options: &WriterOptions) -> Result<Box<dyn SharedFile>> {
        if options.write == Write::Collective {
            return Ok(Box::new(CollectiveFile(File::open(&self.0, path, &options.hints)?)));
        }
        let group = self.0.split(self.0.rank / self.0.ranks_per_node()?)?;
        let opened = (group.rank == 0).then(|| File::open_alone(path, &options.hints)).transpose();
        Ok(Box::new(GatheredFile { file: opened?, group }))
    }

    fn free(self: Box<Self>) -> Result<()> {
        self.0.free()
    }
}

/// A file that MPI's collective buffering writes.
struct CollectiveFile(File);

impl SharedFile for CollectiveFile {
    fn write_at_all(&mut self, offset: u64, bytes: &[u8], _total: u64) -> Result<()> {
        self.0.write_at_all(offset, bytes)
    }

    fn sync(&mut self, _by: SyncBy) -> Result<()> {
        self.0.sync()
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.0.close()
    }
}

/// Bytes that one rank gathers at most; where there are more, they go out in pieces of one rank each.
const MOST_GATHERED: u64 = 64 << 20;

/// A file that the first rank of each group has open for all of them.
struct GatheredFile {
    /// On the first rank of the group.
    file: Option<File>,
    group: Comm,
}

impl GatheredFile {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.write_at(offset, bytes))
    }
}

impl SharedFile for GatheredFile {
    fn write_at_all(&mut self, offset: u64, bytes: &[u8], total: u64) -> Result<()> {
        if self.group.size == 1 {
            return self.write(offset, bytes);
        }
        // What all ranks have together a node's surely have; only where that is much the node's own sum is asked for.
        if total <= MOST_GATHERED || self.group.place([bytes.len() as u64, 0])?.total[0] <= MOST_GATHERED {
            return match self.group.gather_flat(bytes)? {
                Some((gathered, _)) => self.write(offset, &gathered),
                None => Ok(()),
            };
        }
        // One rank after another, each in pieces; all go on whatever fails, since sending is collective.
        let mut outcome = Ok(());
        for rank in 0..self.group.size {
            let mut rounds =
                [if rank == self.group.rank { bytes.len().div_ceil(MOST_GATHERED as usize) as u64 } else { 0 }];
            self.group.reduce(&mut rounds, &mut [])?;
            for round in 0..rounds[0] as usize {
                let from = round * MOST_GATHERED as usize;
                let own = rank == self.group.rank;
                let piece = if own { bytes.chunks(MOST_GATHERED as usize).nth(round).unwrap_or(&[]) } else { &[] };
                let mut place = [if own { offset + from as u64 } else { 0 }];
                self.group.reduce(&mut place, &mut [])?;
                if let Some((gathered, _)) = self.group.gather_flat(piece)? {
                    let written = self.write(place[0], &gathered);
                    outcome = outcome.and(written);
                }
            }
        }
        outcome
    }

    fn sync(&mut self, by: SyncBy) -> Result<()> {
        match (&mut self.file, by) {
            (Some(file), SyncBy::ThisCall) => file.sync(),
            _ => Ok(()),
        }
    }

    fn close(self: Box<Self>) -> Result<()> {
        let closed = self.file.map_or(Ok(()), File::close);
        let freed = self.group.free();
        closed.and(freed)
    }
}

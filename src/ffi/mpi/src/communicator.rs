//! The ranks of an MPI communicator, as an archive's writer sees them.

use crate::raw::{self, Comm, File};
use fieldpress::Result;
use fieldpress::archive::{Communicator, SharedFile, Write, WriterOptions};
use mpi::ffi;
use std::path::Path;

/// The ranks of an MPI communicator. A duplicate of the caller's, so that no message of ours meets one of theirs, and with
/// errors returned instead of ending the job.
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

    fn all_max(&self, values: &mut [u64]) -> Result<()> {
        self.0.all_max(values)
    }

    fn all_sum(&self, values: &mut [f64]) -> Result<()> {
        self.0.all_sum(values)
    }

    fn sum_before(&self, value: u64) -> Result<u64> {
        self.0.sum_before(value)
    }

    fn gather(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>> {
        self.0.gather(bytes)
    }

    fn broadcast(&self, root: usize, bytes: &mut Vec<u8>) -> Result<()> {
        self.0.broadcast(root, bytes)
    }

    fn split(&self, color: usize) -> Result<Box<dyn Communicator>> {
        Ok(Box::new(Self(self.0.split(color)?)))
    }

    fn open(&self, path: &Path, options: &WriterOptions) -> Result<Box<dyn SharedFile>> {
        let group = match options.write {
            Write::Collective => None,
            Write::Gathered => Some(self.0.split(self.0.rank / self.0.ranks_per_node()?)?),
        };
        Ok(Box::new(MpiFile { file: File::open(&self.0, path, &options.hints)?, group }))
    }

    fn free(self: Box<Self>) -> Result<()> {
        self.0.free()
    }
}

struct MpiFile {
    file: File,
    /// The ranks that write through one; `None`: MPI's collective buffering does that.
    group: Option<Comm>,
}

impl SharedFile for MpiFile {
    fn write_at_all(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        match &self.group {
            None => self.file.write_at_all(offset, bytes),
            Some(group) => self.file.write_gathered(group, offset, bytes),
        }
    }

    fn sync(&mut self) -> Result<()> {
        self.file.sync()
    }

    fn close(self: Box<Self>) -> Result<()> {
        let closed = self.file.close();
        let freed = self.group.map_or(Ok(()), Comm::free);
        closed.and(freed)
    }
}

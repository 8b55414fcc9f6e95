//! The ranks of a job as writing needs them: a few collectives, and a file that all of them write.

use super::options::WriterOptions;
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The ranks of a job that write one archive. Every method but `rank` and `size` is collective: all ranks call it, in
/// the same order.
pub trait Communicator {
    /// This process among [`Communicator::size`], from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Replaces each of `most` by the largest of all ranks' values in its place, and each of `sums` by their sum. All
    /// give as many of both, and all get the same bits, as MPI has it.
    ///
    /// # Errors
    /// `Runtime` where communication fails.
    fn reduce(&self, most: &mut [u64], sums: &mut [f64]) -> Result<()>;

    /// Of each value the sum over the ranks before this one, and over all.
    ///
    /// # Errors
    /// `Runtime`.
    fn place(&self, values: [u64; 2]) -> Result<Placed>;

    /// Every rank's bytes, in the order of ranks, at rank 0; nothing elsewhere. `most`: what they are together, or
    /// more; the same on all ranks.
    ///
    /// # Errors
    /// `Runtime`; `Unsupported`, on all ranks, where `most` is more than can be gathered.
    fn gather(&self, bytes: &[u8], most: u64) -> Result<Option<Vec<Vec<u8>>>>;

    /// Rank `root`'s bytes on all ranks.
    ///
    /// # Errors
    /// `Runtime`.
    fn broadcast(&self, root: usize, bytes: &mut Vec<u8>) -> Result<()>;

    /// The ranks that gave the same `color` as this one, in the same order.
    ///
    /// # Errors
    /// `Runtime`.
    fn split(&self, color: usize) -> Result<Box<dyn Communicator>>;

    /// Opens a file that exists, for all ranks to write to; `write` and `hints` of the options say how.
    ///
    /// # Errors
    /// `Io` that names the file.
    fn open(&self, path: &Path, options: &WriterOptions) -> Result<Box<dyn SharedFile>>;

    /// Gives back what the communicator holds of the job; collective. Dropping does not, since a rank may drop alone.
    ///
    /// # Errors
    /// `Runtime`.
    fn free(self: Box<Self>) -> Result<()>;
}

/// The sums of [`Communicator::place`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// Sums over the ranks before this one.
    pub before: [u64; 2],
    /// Sums over all ranks.
    pub total: [u64; 2],
}

/// What brings the data of a rank to stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncBy {
    /// This call of [`SharedFile::sync`].
    ThisCall,
    /// The rank syncs the same file by itself before anything refers to the data; what its machine wrote to the file is
    /// on stable storage then, too.
    LaterSync,
}

/// A file that all ranks of a [`Communicator`] write.
pub trait SharedFile {
    /// Writes this rank's bytes at `offset`; collective. Each rank's bytes follow those of the rank before it; `total`:
    /// of all ranks together.
    ///
    /// # Errors
    /// `Io`, perhaps on some ranks only.
    fn write_at_all(&mut self, offset: u64, bytes: &[u8], total: u64) -> Result<()>;

    /// Returns when everything that ranks with [`SyncBy::ThisCall`] wrote so far is on stable storage; collective.
    ///
    /// # Errors
    /// `Io`, perhaps on some ranks only.
    fn sync(&mut self, by: SyncBy) -> Result<()>;

    /// Closes it; collective. Dropping does not close, since a rank may drop alone.
    ///
    /// # Errors
    /// `Io`.
    fn close(self: Box<Self>) -> Result<()>;
}

/// One process alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Communicator for Serial {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn reduce(&self, _most: &mut [u64], _sums: &mut [f64]) -> Result<()> {
        Ok(())
    }

    fn place(&self, values: [u64; 2]) -> Result<Placed> {
        Ok(Placed { before: [0; 2], total: values })
    }

    fn gather(&self, bytes: &[u8], _most: u64) -> Result<Option<Vec<Vec<u8>>>> {
        Ok(Some(vec![bytes.to_vec()]))
    }

    fn broadcast(&self, _root: usize, _bytes: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn split(&self, _color: usize) -> Result<Box<dyn Communicator>> {
        Ok(Box::new(Self))
    }

    fn open(&self, path: &Path, _options: &WriterOptions) -> Result<Box<dyn SharedFile>> {
        let file = OpenOptions::new().write(true).open(path);
        Ok(Box::new(SerialFile(file.map_err(|error| Error::from(error).context(path.display()))?)))
    }

    fn free(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

struct SerialFile(File);

impl SharedFile for SerialFile {
    fn write_at_all(&mut self, offset: u64, bytes: &[u8], _total: u64) -> Result<()> {
        Ok(self.0.write_all_at(bytes, offset)?)
    }

    fn sync(&mut self, by: SyncBy) -> Result<()> {
        match by {
            SyncBy::ThisCall => Ok(self.0.sync_data()?),
            SyncBy::LaterSync => Ok(()),
        }
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

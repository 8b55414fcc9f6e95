//! What writing needs of the ranks of a job: a few collectives, and a file that all of them write.

use super::options::WriterOptions;
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The ranks of a job that write one archive. Every method but `rank` and `size` is collective: all ranks call it, in the
/// same order.
pub trait Communicator {
    /// This process among [`Communicator::size`], from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// Replaces each value by the largest of all ranks' values in its place. All give as many.
    ///
    /// # Errors
    /// `Runtime` where communication fails.
    fn all_max(&self, values: &mut [u64]) -> Result<()>;

    /// Replaces each value by the sum of all ranks' values in its place. All give as many.
    ///
    /// # Errors
    /// `Runtime`.
    fn all_sum(&self, values: &mut [f64]) -> Result<()>;

    /// The sum of the values of the ranks before this one.
    ///
    /// # Errors
    /// `Runtime`.
    fn sum_before(&self, value: u64) -> Result<u64>;

    /// Every rank's bytes, in the order of ranks, at rank 0; nothing elsewhere.
    ///
    /// # Errors
    /// `Runtime`.
    fn gather(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>>;

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

/// A file that all ranks of a [`Communicator`] write.
pub trait SharedFile {
    /// Writes this rank's bytes at `offset`; collective. Each rank's bytes follow those of the rank before it.
    ///
    /// # Errors
    /// `Io`, perhaps on some ranks only.
    fn write_at_all(&mut self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Returns when everything written so far is on stable storage; collective. `covered` on a rank that will sync the same file
    /// by itself before anything refers to the data: what this machine wrote to it is on stable storage then, too.
    ///
    /// # Errors
    /// `Io`, perhaps on some ranks only.
    fn sync(&mut self, covered: bool) -> Result<()>;

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

    fn all_max(&self, _values: &mut [u64]) -> Result<()> {
        Ok(())
    }

    fn all_sum(&self, _values: &mut [f64]) -> Result<()> {
        Ok(())
    }

    fn sum_before(&self, _value: u64) -> Result<u64> {
        Ok(0)
    }

    fn gather(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>> {
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
    fn write_at_all(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        Ok(self.0.write_all_at(bytes, offset)?)
    }

    fn sync(&mut self, covered: bool) -> Result<()> {
        if covered { Ok(()) } else { Ok(self.0.sync_data()?) }
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

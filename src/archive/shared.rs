//! Reading by all ranks of a job: the parts of the file that all of them need are read once, on rank 0.

use super::agreement::{agree, agreed};
use super::communicator::Communicator;
use super::index::Body;
use super::reader::Reader;
use super::summary::Summary;
use crate::error::{Error, Result};
use crate::options::Options;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

impl Reader {
    /// Opens an archive on all ranks of a job, collectively: rank 0 finds out what is in it and tells the others, so
    /// that the file system is asked once, however many ranks there are. All see the same steps, also while the archive
    /// grows.
    ///
    /// # Errors
    /// As [`Reader::open_with`], on all ranks alike, naming the rank.
    pub fn open_shared(comm: &dyn Communicator, path: &Path, options: Options) -> Result<Self> {
        let name = |error: Error| error.context(path.display());
        let find = || File::open(path).map_err(Error::from).and_then(|file| Summary::of(&file));
        let found = (comm.rank() == 0).then(|| find().map_err(name)).transpose();
        let mut bytes = agreed(comm, found)?.map_or_else(Vec::new, |summary: Summary| summary.write());
        comm.broadcast(0, &mut bytes)?;
        let opened = Summary::read(&bytes).and_then(|summary| Self::new(path, File::open(path)?, summary, options));
        let reader = agreed(comm, opened.map_err(name))?;

        let mut wanted = [u64::from(reader.wanted_model().is_some())];
        comm.reduce(&mut wanted, &mut [])?;
        if let (1, Some(model)) = (wanted[0], &reader.definitions.model) {
            let read = (comm.rank() == 0).then(|| reader.model_record(model).map_err(name)).transpose();
            let mut bytes = agreed(comm, read)?.unwrap_or_default();
            comm.broadcast(0, &mut bytes)?;
            let used = reader.wanted_model().map_or(Ok(()), |model| reader.use_model(model, &bytes));
            agreed(comm, used.map_err(name))?;
        }
        Ok(reader)
    }

    /// Reads the index of the commit that holds a step on rank 0 and hands it to all ranks, collectively; what each
    /// rank then reads of the step takes from the file only the chunks that it touches.
    ///
    /// # Errors
    /// As [`Reader::time`], on all ranks alike; `InvalidArgument` where ranks name different steps.
    pub fn share_index(&self, comm: &dyn Communicator, step: u64) -> Result<()> {
        let entry = self.entry(step);
        let read = match (&entry, comm.rank()) {
            (Ok(entry), 0) => self.body_bytes(entry).map(Some),
            (Ok(_), _) => Ok(None),
            (Err(error), _) => Err(error.clone()),
        };
        agree(comm, &[("the step", step)], read.as_ref().err())?;
        let mut bytes = read?.unwrap_or_default();
        comm.broadcast(0, &mut bytes)?;
        let entry = entry?;
        let body = Body::read(&bytes, &entry, &self.definitions);
        self.keep(&entry, Arc::new(agreed(comm, body)?))
    }

    /// In place of [`Reader::open_shared`] or [`Reader::share_index`] on a rank that has found an error before: all
    /// ranks get it.
    pub fn refuse_to_share(comm: &dyn Communicator, error: Error) -> Error {
        agree(comm, &[], Some(&error)).err().unwrap_or(error)
    }
}

//! Ranks without MPI: threads of this process. What they write is what an archive must be, whichever MPI there is.

use super::scenario::Scenario;
use fieldpress::Result;
use fieldpress::archive::{Communicator, Placed, SharedFile, SyncBy, Writer, WriterOptions};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex};

/// What the threads of one communicator share.
struct Meeting {
    barrier: Barrier,
    said: Mutex<Vec<Vec<u8>>>,
    groups: Mutex<HashMap<usize, Arc<Meeting>>>,
}

impl Meeting {
    fn new(size: usize) -> Arc<Self> {
        let said = Mutex::new(vec![Vec::new(); size]);
        Arc::new(Self { barrier: Barrier::new(size), said, groups: Mutex::default() })
    }
}

struct Threads {
    rank: usize,
    size: usize,
    meeting: Arc<Meeting>,
}

impl Threads {
    /// Every rank's bytes, on all.
    fn exchange(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.meeting.said.lock().unwrap()[self.rank] = bytes.to_vec();
        self.meeting.barrier.wait();
        let all = self.meeting.said.lock().unwrap().clone();
        // Nobody says the next thing before all have heard this one.
        self.meeting.barrier.wait();
        all
    }

    fn exchange_words(&self, words: &[u64]) -> Vec<Vec<u64>> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        self.exchange(&bytes).iter().map(|bytes| bytes.chunks(8).map(word).collect()).collect()
    }
}

impl Communicator for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn reduce(&self, most: &mut [u64], sums: &mut [f64]) -> Result<()> {
        let own: Vec<u64> = most.iter().copied().chain(sums.iter().map(|sum| sum.to_bits())).collect();
        let all = self.exchange_words(&own);
        for (k, value) in most.iter_mut().enumerate() {
            *value = all.iter().map(|words| words[k]).max().unwrap();
        }
        for (k, value) in sums.iter_mut().enumerate() {
            *value = all.iter().map(|words| f64::from_bits(words[most.len() + k])).sum();
        }
        Ok(())
    }

    fn place(&self, values: [u64; 2]) -> Result<Placed> {
        let all = self.exchange_words(&values);
        let sum = |ranks: &[Vec<u64>]| [0, 1].map(|k| ranks.iter().map(|words| words[k]).sum());
        Ok(Placed { before: sum(&all[..self.rank]), total: sum(&all) })
    }

    fn gather(&self, bytes: &[u8], most: u64) -> Result<Option<Vec<Vec<u8>>>> {
        let all = self.exchange(bytes);
        assert!(all.iter().map(|bytes| bytes.len() as u64).sum::<u64>() <= most, "what callers say is enough");
        Ok((self.rank == 0).then_some(all))
    }

    fn broadcast(&self, root: usize, bytes: &mut Vec<u8>) -> Result<()> {
        *bytes = self.exchange(bytes).swap_remove(root);
        Ok(())
    }

    fn split(&self, color: usize) -> Result<Box<dyn Communicator>> {
        let colors: Vec<usize> = self.exchange_words(&[color as u64]).iter().map(|words| words[0] as usize).collect();
        let among = |ranks: &[usize]| ranks.iter().filter(|&&other| other == color).count();
        let (rank, size) = (among(&colors[..self.rank]), among(&colors));
        let mut groups = self.meeting.groups.lock().unwrap();
        let meeting = Arc::clone(groups.entry(color).or_insert_with(|| Meeting::new(size)));
        Ok(Box::new(Self { rank, size, meeting }))
    }

    fn open(&self, path: &Path, _: &WriterOptions) -> Result<Box<dyn SharedFile>> {
        Ok(Box::new(Shared(OpenOptions::new().write(true).open(path)?)))
    }

    fn free(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

struct Shared(File);

impl SharedFile for Shared {
    fn write_at_all(&mut self, offset: u64, bytes: &[u8], _: u64) -> Result<()> {
        Ok(self.0.write_all_at(bytes, offset)?)
    }

    fn sync(&mut self, _: SyncBy) -> Result<()> {
        Ok(self.0.sync_data()?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// Does what the tester does under `mpirun`, for a scenario without faults.
pub fn write(ranks: usize, scenario: &Scenario) {
    let meeting = Meeting::new(ranks);
    std::thread::scope(|scope| {
        for rank in 0..ranks {
            let comm = Threads { rank, size: ranks, meeting: Arc::clone(&meeting) };
            scope.spawn(move || write_as(comm, scenario).unwrap());
        }
    });
}

fn write_as(comm: Threads, scenario: &Scenario) -> Result<()> {
    let rank = comm.rank;
    let options = format!("threads=1;fm=off;{}", scenario.options).parse()?;
    let mut writer = Writer::open(Box::new(comm), scenario.path.as_ref(), options)?;
    let ids = scenario.define(&mut writer)?;
    for step in scenario.first_step..scenario.first_step + scenario.steps {
        writer.begin_step(step as f64)?;
        for put in scenario.puts.iter().filter(|put| put.rank == rank && put.step.is_none_or(|k| k == step)) {
            scenario.put(&mut writer, ids[put.variable], put, &put.start, step)?;
        }
        writer.end_step()?;
    }
    writer.close().map(drop)
}

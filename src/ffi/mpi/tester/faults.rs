//! Making things go wrong at a phase.

use crate::scenario::{Fault, What};
use fieldpress::archive::Phase;
use std::cell::{Cell, RefCell};
use std::io::Write;

pub struct Faults {
    waiting: RefCell<Vec<Fault>>,
    step: Cell<usize>,
}

impl Faults {
    pub fn new(faults: &[Fault], rank: usize) -> Self {
        let own = faults.iter().filter(|fault| fault.rank == rank).cloned().collect();
        Self { waiting: RefCell::new(own), step: Cell::new(0) }
    }

    pub fn begin(&self, step: usize) {
        self.step.set(step);
    }

    /// Whether such a fault is due at a phase of this step; it is then over.
    pub fn take(&self, phase: &str, kind: impl Fn(&What) -> bool) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        let due = |fault: &Fault| fault.step == self.step.get() && fault.phase == phase && kind(&fault.what);
        let found = waiting.iter().position(due);
        found.map(|index| waiting.remove(index)).is_some()
    }

    pub fn enter(&self, phase: Phase) {
        let name = match phase {
            Phase::Put => "put",
            Phase::Compress => "compress",
            Phase::Data => "data",
            Phase::Index => "index",
            Phase::Commit => "commit",
            Phase::Close => "close",
        };
        let mut waiting = self.waiting.borrow_mut();
        let strikes = |fault: &Fault| {
            let due = fault.phase == name && (fault.step == self.step.get() || phase == Phase::Close);
            due && match &fault.what {
                What::Kill => {
                    let own = rustix::process::getpid();
                    rustix::process::kill_process(own, rustix::process::Signal::KILL).expect("kill");
                    true
                }
                What::FillDisk(folder) => {
                    fill(folder);
                    true
                }
                What::Limit(bytes) => {
                    use rustix::process::{Resource, getrlimit, setrlimit};
                    let mut limit = getrlimit(Resource::Fsize);
                    limit.current = Some(*bytes);
                    setrlimit(Resource::Fsize, limit).expect("setrlimit");
                    true
                }
                What::Wait(milliseconds) => {
                    std::thread::sleep(std::time::Duration::from_millis(*milliseconds));
                    true
                }
                What::WrongBox | What::CloseEarly => false,
            }
        };
        waiting.retain(|fault| !strikes(fault));
    }
}

/// Writes until nothing more fits.
fn fill(folder: &str) {
    let mut file = std::fs::File::create(format!("{folder}/filler")).expect("filler");
    for size in [1 << 16, 4096, 512, 1] {
        while file.write_all(&vec![1u8; size]).is_ok() {}
    }
}

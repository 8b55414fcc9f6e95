//! What the tests share: starting ranks under the `mpirun` of the MPI that this was built with, with a watchdog.
#![allow(dead_code)] // each test uses its part

#[path = "../../tester/scenario.rs"]
pub mod scenario;
pub mod threads;

use scenario::{Report, Scenario};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that any run may take: nothing here works for more than a few seconds, so a run that is still there
/// hangs.
const WATCHDOG: Duration = Duration::from_secs(60);

/// `mpicc`, `mpicc.openmpi` or `mpicc.mpich`, as when this was built.
pub fn mpicc() -> &'static str {
    env!("FIELDPRESS_MPICC")
}

fn beside(name: &str) -> String {
    match mpicc().rsplit_once("mpicc") {
        Some((folder, suffix)) => format!("{folder}{name}{suffix}"),
        None => name.to_owned(),
    }
}

/// The Fortran and C++ compilers that belong to it.
pub fn compiler(name: &str) -> String {
    beside(name)
}

pub fn is_open_mpi() -> bool {
    let shown = Command::new(mpicc()).arg("-show").output().expect("mpicc runs");
    String::from_utf8_lossy(&shown.stdout).contains("openmpi")
}

/// `mpirun -n N`, with what an Open MPI needs to start more ranks than cores, also as root in a container.
pub fn mpirun(ranks: usize) -> Command {
    let mut command = Command::new(beside("mpirun"));
    command.arg("-n").arg(ranks.to_string());
    if is_open_mpi() {
        command.args(["--oversubscribe", "--bind-to", "none", "--mca", "btl_vader_single_copy_mechanism", "none"]);
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        command.env("OMPI_MCA_mpi_yield_when_idle", "1");
    }
    command
}

/// The tester's program.
pub fn tester() -> &'static str {
    env!("CARGO_BIN_EXE_fieldpress-mpi-tester")
}

/// A folder for a test, empty.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mpi").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    pub success: bool,
    pub output: String,
    pub seconds: f64,
    /// What each rank wrote down; `None` where it wrote nothing.
    pub ranks: Vec<Option<Report>>,
}

impl Outcome {
    /// What a call returned on each rank; "-" where it did not return.
    pub fn call(&self, name: &str) -> Vec<String> {
        let find = |report: &Option<Report>| {
            let report = report.as_ref()?;
            report.calls.iter().find(|(call, _)| call == name).map(|(_, outcome)| outcome.clone())
        };
        self.ranks.iter().map(|report| find(report).unwrap_or_else(|| "-".into())).collect()
    }
}

/// Waits for a command; one that outlives the watchdog is ended, and that is a failure of the test.
pub fn watch(command: &mut Command, what: &str) -> (bool, String, f64) {
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let read = |mut pipe: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let out = read(Box::new(child.stdout.take().unwrap()));
    let err = read(Box::new(child.stderr.take().unwrap()));
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > WATCHDOG {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{what}: still there after {WATCHDOG:?}: a rank hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let text = out.join().unwrap() + &err.join().unwrap();
    (status.success(), text, begin.elapsed().as_secs_f64())
}

/// Runs a scenario on so many ranks.
pub fn run(ranks: usize, folder: &Path, scenario: &Scenario) -> Outcome {
    run_through(mpirun(ranks), ranks, folder, scenario)
}

pub fn run_through(mut command: Command, ranks: usize, folder: &Path, scenario: &Scenario) -> Outcome {
    let mut scenario = scenario.clone();
    scenario.report = folder.join("report").display().to_string();
    for rank in 0..ranks {
        let _ = std::fs::remove_file(format!("{}.{rank}", scenario.report));
    }
    let file = folder.join("scenario.json");
    std::fs::write(&file, serde_json::to_vec(&scenario).unwrap()).unwrap();
    command.arg(tester()).arg(&file);
    let (success, output, seconds) = watch(&mut command, &format!("{scenario:?}"));
    let report = |rank: usize| {
        let bytes = std::fs::read(format!("{}.{rank}", scenario.report)).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    Outcome { success, output, seconds, ranks: (0..ranks).map(report).collect() }
}

/// The boxes of a cut of a domain: planes along random axes, more boxes than ranks or fewer, dealt out in turn.
pub fn cut(dims: &[usize], boxes: usize, seed: &mut u64) -> Vec<(Vec<usize>, Vec<usize>)> {
    let mut all = vec![(vec![0; dims.len()], dims.to_vec())];
    while all.len() < boxes {
        let at = random(seed) as usize % all.len();
        let (start, count) = all.swap_remove(at);
        let axis = random(seed) as usize % dims.len();
        if count[axis] < 2 {
            all.push((start, count));
            if all.iter().all(|(_, count)| count.iter().all(|&n| n < 2)) {
                break;
            }
            continue;
        }
        let split = 1 + random(seed) as usize % (count[axis] - 1);
        let (mut first, mut second) = (count.clone(), count.clone());
        first[axis] = split;
        second[axis] = count[axis] - split;
        let mut middle = start.clone();
        middle[axis] += split;
        all.push((start, first));
        all.push((middle, second));
    }
    all
}

/// The next number of a sequence.
pub fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

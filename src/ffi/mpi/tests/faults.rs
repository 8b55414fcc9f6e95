//! Things that go wrong, in every phase: no rank hangs, all ranks get the same error, which names the rank at fault,
//! and what was committed before reads back whole. `FIELDPRESS_WRITE_FAULTS=1` writes what was seen to
//! `docs/faults.md`.

mod run;

use fieldpress::archive::{Reader, Selection, VerifyDepth, verify};
use fieldpress::{FieldView, FieldViewMut};
use run::scenario::{Fault, Put, Scenario, Variable, What, values};
use run::{Outcome, folder, mpicc, mpirun, run_through, watch};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

const RANKS: usize = 4;
const STEPS: usize = 3;
/// The step in which things go wrong; the first that is not there afterwards.
const BAD: usize = 1;
const DIMS: [usize; 3] = [16, 16, 12];

/// One job at a time: these tests measure how long jobs take to end.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn scenario(path: &Path) -> Scenario {
    let bound = "lossless".to_owned();
    let mut scenario = Scenario {
        path: path.display().to_string(),
        options: "mode=create".into(),
        steps: STEPS,
        variables: vec![Variable { name: "u".into(), dims: DIMS.to_vec(), double: true, bound }],
        ..Default::default()
    };
    for rank in 0..RANKS {
        let (start, count) = (vec![4 * rank, 0, 0], vec![4, 16, 12]);
        scenario.puts.push(Put { rank, variable: 0, step: None, start, count });
    }
    scenario
}

/// The times of the steps that read back, each compared bit by bit.
fn readable(path: &Path) -> Vec<usize> {
    let Ok(reader) = Reader::open(path) else { return Vec::new() };
    assert!(verify(&reader, VerifyDepth::Decode).unwrap().damage.is_empty());
    (0..reader.steps())
        .map(|step| {
            let time = reader.time(step).unwrap() as usize;
            let mut out = vec![0.0; DIMS.iter().product()];
            reader.read(0, &Selection::step(step), &mut FieldViewMut::new(&mut out, &DIMS).unwrap()).unwrap();
            let exact = values(0, time, &[0; 3], &DIMS);
            assert!(FieldView::new(&exact, &DIMS).is_ok() && exact == out, "step {step} reads back whole");
            time
        })
        .collect()
}

/// What was seen of one fault in one phase.
struct Seen {
    fault: String,
    phase: &'static str,
    outcome: Outcome,
    readable: Vec<usize>,
}

impl Seen {
    /// What each rank got, in a few words.
    fn got(&self) -> String {
        let wrong = |calls: Vec<String>| (calls[0] != "ok" && calls[0] != "-").then(|| calls[0].clone());
        let calls = ["open".into(), format!("end_step {BAD}"), format!("end_step {}", BAD + 1), "close".into()];
        match calls.iter().find_map(|call| Some((call, wrong(self.outcome.call(call))?))) {
            Some((call, message)) => {
                // Paths of this machine are no part of the message.
                let words: Vec<&str> =
                    message.split(' ').map(|word| if word.starts_with('/') { "FILE:" } else { word }).collect();
                format!("all: `{call}` gives {}", words.join(" ").replace('|', "/"))
            }
            None if self.outcome.success => "all: done".into(),
            None => "the job ends (killed by its launcher)".into(),
        }
    }

    fn row(&self) -> String {
        let steps: Vec<String> = self.readable.iter().map(usize::to_string).collect();
        let steps = if steps.is_empty() { "none".into() } else { steps.join(", ") };
        format!("| {} | {} | {} | {} |", self.fault, self.phase, self.got(), steps)
    }
}

fn strike(folder: &Path, fault: &str, phase: &'static str, rank: usize, what: What) -> Seen {
    let path = folder.join("a.fpa");
    for name in ["a.fpa", "a.fpa.partial", "filler"] {
        let _ = std::fs::remove_file(folder.join(name));
    }
    let mut scenario = scenario(&path);
    let step = if phase == "close" { STEPS - 1 } else { BAD };
    scenario.faults.push(Fault { rank, step, phase: phase.into(), what });
    let reports = folder_of_reports();
    let outcome = run_through(mpirun(RANKS), RANKS, &reports, &scenario);
    let readable = readable(&path);
    Seen { fault: format!("{fault}, rank {rank}"), phase, outcome, readable }
}

/// Reports must be written where the disk is not full.
fn folder_of_reports() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fault-reports");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// All ranks have the same error, which begins so and holds that.
fn agreed(outcome: &Outcome, call: &str, begins: &str, holds: &str) {
    let calls = outcome.call(call);
    assert!(calls.iter().all(|call| *call == calls[0]), "all alike: {calls:?}");
    assert!(calls[0].starts_with(begins) && calls[0].contains(holds), "{call}: {}", calls[0]);
}

const PHASES: [&str; 5] = ["put", "data", "index", "commit", "close"];

fn killed(table: &mut Vec<String>) {
    let folder = folder("killed");
    for phase in PHASES {
        // Index and commit are phases of rank 0.
        let ranks: &[usize] = if ["index", "commit"].contains(&phase) { &[0] } else { &[0, 2] };
        for &rank in ranks {
            let seen = strike(&folder, "SIGKILL", phase, rank, What::Kill);
            assert!(!seen.outcome.success, "{:?}", seen.outcome);
            let wanted: &[usize] = if phase == "close" { &[0, 1, 2] } else { &[0] };
            assert_eq!(seen.readable, wanted, "{phase}, rank {rank}");
            table.push(seen.row());
        }
    }
}

/// A file system of a megabyte, as long as it is held.
struct Small(PathBuf);

impl Small {
    /// `None`, with the reason printed, where this process may not mount.
    fn mount() -> Option<Self> {
        let folder = folder("small-disk");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&folder).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder)),
            Ok(output) => {
                println!("left out, a tmpfs cannot be mounted here: {}", String::from_utf8_lossy(&output.stderr));
                None
            }
            Err(error) => {
                println!("left out, there is no mount here: {error}");
                None
            }
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn full_disk(table: &mut Vec<String>) {
    let Some(small) = Small::mount() else { return };
    for phase in PHASES {
        let rank = if ["index", "commit"].contains(&phase) { 0 } else { 2 };
        let what = What::FillDisk(small.0.display().to_string());
        let seen = strike(&small.0, "disk full", phase, rank, what);
        assert!(seen.outcome.success, "{:?}", seen.outcome);
        match phase {
            // Found before a byte is written.
            "put" => {
                agreed(&seen.outcome, &format!("end_step {BAD}"), "Io: rank 0: ", "No space left");
                assert_eq!(seen.readable, [0]);
            }
            // The room was reserved before; the next step finds none.
            "data" | "index" | "commit" => {
                agreed(&seen.outcome, &format!("end_step {BAD}"), "ok", "");
                agreed(&seen.outcome, &format!("end_step {}", BAD + 1), "Io: rank 0: ", "No space left");
                assert_eq!(seen.readable, [0, 1]);
            }
            _ => assert_eq!(seen.readable, [0, 1, 2]),
        }
        table.push(seen.row());
    }
}

fn limited(table: &mut Vec<String>) {
    let folder = folder("limited");
    for phase in PHASES {
        for rank in if ["index", "commit"].contains(&phase) { vec![0] } else { vec![0, 2] } {
            // Less than the file has by then; a rank may still write below it.
            let seen = strike(&folder, "RLIMIT_FSIZE", phase, rank, What::Limit(4096));
            assert!(seen.outcome.success, "the signal of the limit ends no rank: {:?}", seen.outcome);
            match phase {
                "put" => {
                    let begins = format!("Io: rank {rank}: ");
                    agreed(&seen.outcome, &format!("end_step {BAD}"), &begins, "RLIMIT_FSIZE");
                    assert_eq!(seen.readable, [0]);
                }
                "close" => assert_eq!(seen.readable, [0, 1, 2]),
                // Set after the check, by another hand: the write itself fails, or another rank did it.
                _ => {
                    let calls = seen.outcome.call(&format!("end_step {BAD}"));
                    assert!(calls.iter().all(|call| *call == calls[0]), "all alike: {calls:?}");
                    assert!(calls[0] == "ok" || calls[0].starts_with("Io: rank"), "{calls:?}");
                    assert_eq!(seen.readable.contains(&BAD), calls[0] == "ok");
                    assert_eq!(seen.readable[0], 0);
                }
            }
            table.push(seen.row());
        }
    }
}

/// A limit that the write of the data meets halfway, and that is gone when the index is written: MPI may call that a
/// success.
fn torn(table: &mut Vec<String>) {
    let folder = folder("torn");
    let path = folder.join("a.fpa");
    let reports = folder_of_reports();
    let mut first = scenario(&path);
    first.steps = BAD;
    assert!(run_through(mpirun(RANKS), RANKS, &reports, &first).success);
    // A step has five times as many.
    let halfway = std::fs::metadata(&path).unwrap().len() + 4096;
    std::fs::remove_file(&path).unwrap();
    let mut scenario = scenario(&path);
    for (step, phase, bytes) in [(BAD, "data", halfway), (BAD, "index", 1 << 40), (BAD + 1, "put", 1 << 40)] {
        scenario.faults.push(Fault { rank: 0, step, phase: phase.into(), what: What::Limit(bytes) });
    }
    let outcome = run_through(mpirun(RANKS), RANKS, &reports, &scenario);
    let readable = readable(&path);
    agreed(&outcome, &format!("end_step {BAD}"), "Io: rank 0: ", "MPI_File_write_at: ");
    assert_eq!(readable, [0, 2]);
    table.push(Seen { fault: "RLIMIT_FSIZE within the data, rank 0".into(), phase: "data", outcome, readable }.row());
}

fn unwritable(table: &mut Vec<String>) {
    let folder = folder("unwritable");
    let locked = folder.join("locked");
    std::fs::create_dir(&locked).unwrap();
    let mut permissions = std::fs::metadata(&locked).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o555);
    std::fs::set_permissions(&locked, permissions).unwrap();
    let scenario = scenario(&locked.join("a.fpa"));
    // Root may write everywhere: one job without that power. It stays root's, since another user need not reach the
    // programs of a clone below root's home.
    let reports = folder_of_reports();
    let plain = mpirun(RANKS);
    let mut command = Command::new("setpriv");
    command.arg("--bounding-set=-dac_override").arg(plain.get_program()).args(plain.get_args());
    for (key, value) in plain.get_envs() {
        command.env(key, value.unwrap_or_default());
    }
    let is_root = rustix::process::getuid().is_root();
    let command = if is_root { command } else { plain };
    for rank in 0..RANKS {
        let _ = std::fs::remove_file(reports.join(format!("report.{rank}")));
    }
    let outcome = run_through(command, RANKS, &reports, &scenario);
    agreed(&outcome, "open", "Io: rank 0: ", "ermission denied");
    assert!(!locked.join("a.fpa").exists() && !locked.join("a.fpa.partial").exists());
    table.push(Seen { fault: "unwritable folder".into(), phase: "open", outcome, readable: Vec::new() }.row());
    let outcome = {
        let scenario = self::scenario(&folder.join("no/such/a.fpa"));
        run_through(mpirun(RANKS), RANKS, &reports, &scenario)
    };
    agreed(&outcome, "open", "Io: rank 0: ", "No such file");
    table.push(Seen { fault: "no such folder".into(), phase: "open", outcome, readable: Vec::new() }.row());
}

fn incompressible(table: &mut Vec<String>) {
    let folder = folder("incompressible");
    let path = folder.join("a.fpa");
    let mut scenario = scenario(&path);
    // One rank is told to use a model that is not there.
    scenario.options += ";fm=auto";
    scenario.odd_options = Some((2, "model=/no/such/model".into()));
    scenario.variables[0].bound = "abs=1e-9".into();
    let outcome = run_through(mpirun(RANKS), RANKS, &folder_of_reports(), &scenario);
    assert!(outcome.success);
    agreed(&outcome, "end_step 0", "Model: rank 2: variable u: ", "/no/such/model");
    agreed(&outcome, "close", "ok", "");
    assert!(!path.exists() && !path.with_extension("fpa.partial").exists(), "an archive without steps is removed");
    table.push(Seen { fault: "data fail to compress".into(), phase: "compress", outcome, readable: Vec::new() }.row());

    let seen = strike(&folder, "box outside the domain", "put", 1, What::WrongBox);
    agreed(&seen.outcome, &format!("end_step {BAD}"), "InvalidArgument: rank 1: variable u: ", "axis 0");
    assert_eq!(seen.readable, [0, 2]);
    table.push(seen.row());

    let seen = strike(&folder, "one rank closes early", "end", 3, What::CloseEarly);
    let (ended, closed) = (seen.outcome.call(&format!("end_step {BAD}")), seen.outcome.call("close"));
    let message = "InvalidArgument: rank 3: the archive is closed during a step, which is dropped";
    assert!(ended[..3].iter().chain(&closed[3..]).all(|call| call == message), "{ended:?} {closed:?}");
    assert!(closed[..3].iter().all(|call| call.contains("another rank closed it")), "{closed:?}");
    assert_eq!(seen.readable, [0]);
    table.push(seen.row());
}

fn overlapping(table: &mut Vec<String>) {
    let folder = folder("overlapping");
    let path = folder.join("a.fpa");
    let mut scenario = scenario(&path);
    // The halo cells of rank 1 and 2.
    scenario.puts.push(Put { rank: 2, variable: 0, step: Some(BAD), start: vec![7, 0, 0], count: vec![1, 16, 12] });
    let outcome = run_through(mpirun(RANKS), RANKS, &folder_of_reports(), &scenario);
    agreed(&outcome, &format!("end_step {BAD}"), "InvalidArgument: rank 0: variable u: the boxes of rank 1", "rank 2");
    let readable = readable(&path);
    assert_eq!(readable, [0, 2]);
    table.push(Seen { fault: "boxes overlap".into(), phase: "index", outcome, readable }.row());
}

fn different(table: &mut Vec<String>) {
    let folder = folder("different");
    let path = folder.join("a.fpa");
    let mut scenario = scenario(&path);
    // The first is of the codec, and decides which points have data, and so what the range is.
    let mut outcome = None;
    for odd in ["fill_value=-1e30", "window=3"] {
        scenario.odd_options = Some((1, odd.into()));
        let seen = outcome.insert(run_through(mpirun(RANKS), RANKS, &folder_of_reports(), &scenario));
        agreed(seen, "open", "InvalidArgument: rank 1: options differs", "");
    }
    let outcome = outcome.expect("there were two runs");
    table.push(Seen { fault: "options differ".into(), phase: "open", outcome, readable: Vec::new() }.row());
}

/// An outcome without the number and the host of a process, which are other ones at each run.
fn named(mut outcome: Outcome) -> Outcome {
    for (_, said) in outcome.ranks.iter_mut().flatten().flat_map(|report| &mut report.calls) {
        let words: Vec<&str> = said.split(' ').collect();
        let mut plain: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        for k in 1..plain.len() {
            match words[k - 1] {
                "process" => plain[k] = "N".into(),
                "host" => plain[k] = "HOST;".into(),
                _ => {}
            }
        }
        *said = plain.join(" ");
    }
    outcome
}

/// Two jobs and one archive: the second is told who the first one is, on all ranks, and the first one goes on.
fn two_jobs(table: &mut Vec<String>) {
    let folder = folder("two-jobs");
    let path = folder.join("a.fpa");
    let mut first = scenario(&path);
    first.faults.push(Fault { rank: 0, step: BAD, phase: "put".into(), what: What::Wait(6000) });
    let reports = folder.join("first");
    std::fs::create_dir_all(&reports).unwrap();
    let job = std::thread::spawn(move || run_through(mpirun(RANKS), RANKS, &reports, &first));
    let begin = std::time::Instant::now();
    while !path.exists() {
        assert!(begin.elapsed().as_secs() < 60, "the first job commits a step");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for mode in ["append", "replace"] {
        let mut second = scenario(&path);
        second.options = format!("mode={mode}");
        let outcome = run_through(mpirun(RANKS), RANKS, &folder_of_reports(), &second);
        agreed(&outcome, "open", "Io: rank 0: ", "is open in another writer, process ");
        if mode == "append" {
            table.push(
                Seen { fault: "a second job".into(), phase: "open", outcome: named(outcome), readable: vec![0] }.row(),
            );
        }
    }
    let outcome = job.join().unwrap();
    assert!(outcome.success, "{outcome:?}");
    assert_eq!(readable(&path), [0, 1, 2]);
    assert!(!path.with_extension("fpa.lock").exists());
}

#[test]
fn faults() {
    let _alone = alone();
    let mut table = Vec::new();
    for part in [killed, full_disk, limited, torn, unwritable, incompressible, overlapping, different, two_jobs] {
        part(&mut table);
    }
    println!("{}", table.join("\n"));
    if std::env::var_os("FIELDPRESS_WRITE_FAULTS").is_some() {
        let begin = "| fault | phase | what each rank got | steps readable after |\n| --- | --- | --- | --- |\n";
        let name = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../../../docs/faults/{}.md", if run::is_open_mpi() { "open-mpi" } else { "mpich" }));
        std::fs::write(name, format!("{begin}{}\n", table.join("\n"))).unwrap();
    }
}

/// Writes that end early are gone on with where a rank writes alone, and an error of all ranks where all write
/// together.
#[test]
fn writes_that_end_early() {
    let _alone = alone();
    let folder = folder("short");
    let (path, library) = (folder.join("a.fpa"), folder.join("short_writes.so"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/short_writes.c");
    let mut compiler = Command::new(mpicc());
    compiler.args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]).arg(source).arg("-o").arg(&library);
    let (compiled, output, _) = watch(&mut compiler, "compiling");
    assert!(compiled, "{output}");
    let run = |write: &str| {
        let mut scenario = scenario(&path);
        scenario.options = format!("mode=replace;write={write}");
        let mut command = mpirun(RANKS);
        command.arg("env").arg(format!("LD_PRELOAD={}", library.display()));
        run_through(command, RANKS, &folder_of_reports(), &scenario)
    };
    let outcome = run("collective");
    agreed(&outcome, &format!("end_step {BAD}"), "Io: rank 2: ", "MPI_File_write_at_all: wrote ");
    assert_eq!(readable(&path), [0; 0]);
    let outcome = run("gathered");
    agreed(&outcome, &format!("end_step {BAD}"), "ok", "");
    assert_eq!(readable(&path), [0, 1, 2]);
}

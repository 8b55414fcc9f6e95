//! Writers that are two: the second is refused and named the first, nothing that was committed goes, and no writer that
//! was killed keeps an archive closed.

mod common;

use common::archive::{folder, global, options, put_step, read, variable, write};
use fieldpress::archive::{Mode, Reader, Selection, Serial, VariableId, Writer, WriterOptions, repair};
use fieldpress::{Bound, DType, Error, ErrorKind};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const DIMS: [usize; 2] = [8, 30];

fn open(path: &Path, mode: Mode) -> Result<Writer, Error> {
    Writer::open(Box::new(Serial), path, WriterOptions { mode, ..options() })
}

/// As where the file system has no locks.
fn open_unlocked(path: &Path, mode: Mode) -> Result<Writer, Error> {
    Writer::open(Box::new(Serial), path, WriterOptions { mode, lock: false, ..options() })
}

fn define(writer: &mut Writer) -> VariableId {
    writer.define(variable("t", &DIMS, DType::F64)).unwrap()
}

fn step(writer: &mut Writer, id: VariableId, step: usize) -> Result<(), Error> {
    put_step(writer, id, &DIMS, step, Bound::Lossless);
    writer.end_step().map(drop)
}

/// The fields of an archive's steps, as numbers of the steps that were put.
fn steps(path: &Path) -> Vec<usize> {
    let reader = Reader::open(path).unwrap();
    let time = |step| (reader.time(step).unwrap() * 2.0) as usize;
    (0..reader.steps())
        .map(|step| {
            assert_eq!(read(&reader, 0, &Selection::step(step)).unwrap(), global(&DIMS, time(step)));
            time(step)
        })
        .collect()
}

fn refused(opened: Result<Writer, Error>, process: u32) {
    let error = opened.map(drop).unwrap_err();
    let host = rustix::system::uname();
    let host = host.nodename().to_str().unwrap();
    let named = error.message().contains(&format!("process {process}")) && error.message().contains(host);
    assert!(error.kind() == ErrorKind::Io && named, "{error}");
}

#[test]
fn a_second_writer_is_refused_while_the_first_has_the_archive() {
    let path = folder("two").join("a.fpa");
    let mut first = open(&path, Mode::Create).unwrap();
    let id = define(&mut first);
    let own = std::process::id();
    // Before the first commit, and after it.
    for k in 0..2 {
        for mode in [Mode::Create, Mode::Append, Mode::Replace] {
            refused(open(&path, mode), own);
        }
        step(&mut first, id, k).unwrap();
    }
    first.close().unwrap();
    assert_eq!(steps(&path), [0, 1]);
    // Two that append, by two names.
    let alias = path.with_file_name("alias.fpa");
    symlink(&path, &alias).unwrap();
    let mut first = open(&path, Mode::Append).unwrap();
    let id = define(&mut first);
    refused(open(&alias, Mode::Append), own);
    refused(open(&path, Mode::Replace), own);
    step(&mut first, id, 2).unwrap();
    first.close().unwrap();
    let mut second = open(&alias, Mode::Append).unwrap();
    let id = define(&mut second);
    step(&mut second, id, 3).unwrap();
    second.close().unwrap();
    assert_eq!(steps(&path), [0, 1, 2, 3]);
    // Nothing is left but the archive and its other name.
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 2);
}

/// Says so when it has the archive, and waits to be killed.
#[test]
#[ignore = "started by the other tests, with an archive"]
fn writes_until_it_is_killed() {
    let path = std::env::var_os("FIELDPRESS_TEST_ARCHIVE").expect("the archive's path");
    let mode = if std::env::var_os("FIELDPRESS_TEST_APPEND").is_some() { Mode::Append } else { Mode::Create };
    let mut writer = open(path.as_ref(), mode).unwrap();
    let id = define(&mut writer);
    if mode == Mode::Append {
        step(&mut writer, id, 7).unwrap();
    }
    writer.begin_step(0.0).unwrap();
    println!("\nhas it");
    std::thread::sleep(std::time::Duration::from_secs(60));
}

fn writer_elsewhere(path: &Path, append: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "writes_until_it_is_killed", "--ignored", "--nocapture"]);
    command.env("FIELDPRESS_TEST_ARCHIVE", path).stdout(Stdio::piped());
    if append {
        command.env("FIELDPRESS_TEST_APPEND", "1");
    }
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "has it"), "the other writer opens the archive");
    child
}

#[test]
fn a_writer_of_another_process_is_named_and_its_lock_ends_with_it() {
    let path = folder("processes").join("a.fpa");
    let mut child = writer_elsewhere(&path, false);
    for mode in [Mode::Create, Mode::Append, Mode::Replace] {
        refused(open(&path, mode), child.id());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it left is no archive, and in nobody's way.
    write(&path, options(), &DIMS, 0..3, Bound::Lossless);
    let mut child = writer_elsewhere(&path, true);
    for mode in [Mode::Append, Mode::Replace] {
        refused(open(&path, mode), child.id());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let mut writer = open(&path, Mode::Append).unwrap();
    assert_eq!(writer.committed_steps(), 4);
    let id = define(&mut writer);
    step(&mut writer, id, 4).unwrap();
    writer.close().unwrap();
    assert_eq!(steps(&path), [0, 1, 2, 7, 4]);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

/// Links that lie where files of a writer would, and files that are nobody's, stay as they are.
#[test]
fn no_link_is_followed_and_no_strange_file_touched() {
    let folder = folder("links");
    let (path, precious) = (folder.join("a.fpa"), folder.join("precious"));
    let text = "not to be lost";
    for suffix in ["partial", "lock"] {
        let place = folder.join(format!("a.fpa.{suffix}"));
        std::fs::write(&precious, text).unwrap();
        for kind in ["symbolic", "dangling", "hard", "plain"] {
            match kind {
                "symbolic" => symlink(&precious, &place).unwrap(),
                "dangling" => symlink(folder.join("nothing"), &place).unwrap(),
                "hard" => std::fs::hard_link(&precious, &place).unwrap(),
                _ => std::fs::write(&place, text).unwrap(),
            }
            let error = open(&path, Mode::Create).map(drop).unwrap_err();
            assert!(error.kind() == ErrorKind::Io && error.message().contains(suffix), "{kind}: {error}");
            assert_eq!(std::fs::read_to_string(&precious).unwrap(), text, "{kind}");
            assert!(!folder.join("nothing").exists() && place.symlink_metadata().is_ok());
            std::fs::remove_file(&place).unwrap();
        }
    }
    // The file that repair writes first, too.
    write(&path, options(), &DIMS, 0..1, Bound::Lossless);
    let saved = folder.join("b.fpa");
    symlink(&precious, folder.join("b.fpa.partial")).unwrap();
    assert!(repair(&path, &saved).unwrap_err().message().contains("b.fpa.partial"));
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), text);
}

/// Where nothing locks, two may open; the first that commits wins, and the other one is told.
#[test]
fn without_locks_the_slot_tells() {
    let path = folder("unlocked").join("a.fpa");
    write(&path, options(), &DIMS, 0..2, Bound::Lossless);
    let (mut a, mut b) = (open_unlocked(&path, Mode::Append).unwrap(), open_unlocked(&path, Mode::Append).unwrap());
    let ids = (define(&mut a), define(&mut b));
    step(&mut a, ids.0, 2).unwrap();
    for _ in 0..2 {
        let error = step(&mut b, ids.1, 9).unwrap_err();
        assert!(error.kind() == ErrorKind::Io && error.message().contains("another writer"), "{error}");
        assert_eq!(steps(&path), [0, 1, 2]);
    }
    step(&mut a, ids.0, 3).unwrap();
    b.close().unwrap();
    a.close().unwrap();
    assert_eq!(steps(&path), [0, 1, 2, 3]);

    // One that appends, and one that replaces: whoever commits first.
    let (mut a, mut b) = (open_unlocked(&path, Mode::Append).unwrap(), open_unlocked(&path, Mode::Replace).unwrap());
    let ids = (define(&mut a), define(&mut b));
    step(&mut a, ids.0, 4).unwrap();
    assert!(step(&mut b, ids.1, 9).unwrap_err().message().contains("another writer"));
    b.close().unwrap();
    a.close().unwrap();
    assert_eq!(steps(&path), [0, 1, 2, 3, 4]);
    let (mut a, mut b) = (open_unlocked(&path, Mode::Append).unwrap(), open_unlocked(&path, Mode::Replace).unwrap());
    let ids = (define(&mut a), define(&mut b));
    step(&mut b, ids.1, 9).unwrap();
    assert!(step(&mut a, ids.0, 5).unwrap_err().message().contains("replaced"));
    b.close().unwrap();
    a.close().unwrap();
    assert_eq!(steps(&path), [9]);

    // Two that create: the second finds the first one's file.
    let path = path.with_file_name("b.fpa");
    let mut a = open_unlocked(&path, Mode::Create).unwrap();
    let id = define(&mut a);
    let error = open_unlocked(&path, Mode::Create).map(drop).unwrap_err();
    assert!(error.message().contains("b.fpa.partial"), "{error}");
    step(&mut a, id, 0).unwrap();
    a.close().unwrap();
    assert_eq!(steps(&path), [0]);
}

/// Data that another writer has in the file, uncommitted, is not cut off: its commit would name what is not there.
#[test]
fn without_locks_the_length_tells() {
    let path = folder("length").join("a.fpa");
    write(&path, options(), &DIMS, 0..1, Bound::Lossless);
    let mut writer = open_unlocked(&path, Mode::Append).unwrap();
    let id = define(&mut writer);
    let whole = std::fs::read(&path).unwrap();
    let longer = [&whole[..], &[7; 5000]].concat();
    std::fs::write(&path, &longer).unwrap();
    assert!(step(&mut writer, id, 1).unwrap_err().message().contains("another writer"));
    assert!(std::fs::read(&path).unwrap() == longer);
    writer.close().unwrap();
    assert!(std::fs::read(&path).unwrap() == longer);
}

/// An uncommitted tail stays until there is something to put in its place.
#[test]
fn nothing_is_cut_before_the_first_commit() {
    let path = folder("tail").join("a.fpa");
    write(&path, options(), &DIMS, 0..1, Bound::Lossless);
    let whole = std::fs::read(&path).unwrap();
    let longer = [&whole[..], &[7; 50000]].concat();
    std::fs::write(&path, &longer).unwrap();
    open(&path, Mode::Append).unwrap().close().unwrap();
    assert!(std::fs::read(&path).unwrap() == longer);
    let mut writer = open(&path, Mode::Append).unwrap();
    let id = define(&mut writer);
    step(&mut writer, id, 1).unwrap();
    writer.close().unwrap();
    assert_eq!(steps(&path), [0, 1]);
    assert!(std::fs::metadata(&path).unwrap().size() < longer.len() as u64);
}

/// Files beside the archive that a session makes are its own, whatever another left or has under way.
#[test]
fn files_beside_the_archive_are_never_shared() {
    let path = folder("parts").join("a.fpa");
    let options = |lock| WriterOptions { ranks_per_file: 1, mode: Mode::Append, lock, ..options() };
    write(&path, options(true), &DIMS, 0..1, Bound::Lossless);
    let open = || Writer::open(Box::new(Serial), &path, options(false)).unwrap();
    let (mut a, mut b) = (open(), open());
    let ids = (define(&mut a), define(&mut b));
    step(&mut a, ids.0, 1).unwrap();
    assert!(step(&mut b, ids.1, 9).is_err());
    a.close().unwrap();
    b.close().unwrap();
    assert_eq!(steps(&path), [0, 1]);
}

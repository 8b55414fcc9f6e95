//! Archives that are damaged, cut short or left by a crash: what is sound reads back, and nothing else is taken for it.

mod common;

use common::archive::{errors, folder, global, options, put_step, range, read, variable, write};
use fieldpress::archive::{
    Mode, Reader, Selection, Serial, VerifyDepth, Writer, WriterOptions, is_archive, repair, verify,
};
use fieldpress::{Bound, DType, ErrorKind};

#[test]
fn damage_is_found_named_and_left_behind() {
    let folder = folder("damage");
    let path = folder.join("a.fpa");
    let dims = [8, 30];
    write(&path, options(), &dims, 0..4, Bound::Abs(1e-3));
    let reader = Reader::open(&path).unwrap();
    assert!(verify(&reader, VerifyDepth::Decode).unwrap().damage.is_empty());
    let bytes = std::fs::read(&path).unwrap();
    let chunk = reader.chunks(0, 1).unwrap()[1].clone();
    let stream = reader.stream(&chunk).unwrap();
    let at = bytes.windows(stream.len()).position(|window| window == stream).unwrap();

    let mut damaged = bytes.clone();
    damaged[at + stream.len() / 2] ^= 1;
    let broken = folder.join("broken.fpa");
    std::fs::write(&broken, &damaged).unwrap();
    let reader = Reader::open(&broken).unwrap();
    let verified = verify(&reader, VerifyDepth::Checksums).unwrap();
    assert_eq!((verified.chunks, verified.damage.len()), (8, 1));
    let message = verified.damage[0].error.message();
    assert!(message.contains("rank 0") && message.contains("start [4, 0]"), "{message}");
    assert!(read(&reader, 0, &Selection::step(1)).is_err());
    assert!(read(&reader, 0, &Selection::step(2)).is_ok());

    // Without superblock and slots, too.
    damaged[..8192].fill(0);
    std::fs::write(&broken, &damaged).unwrap();
    assert_eq!(Reader::open(&broken).err().unwrap().kind(), ErrorKind::Corrupt);
    let saved = folder.join("saved.fpa");
    let repaired = repair(&broken, &saved).unwrap();
    assert_eq!((repaired.steps, repaired.chunks, repaired.losses.len()), (4, 7, 1), "{repaired:?}");
    let reader = Reader::open(&saved).unwrap();
    assert!(verify(&reader, VerifyDepth::Decode).unwrap().damage.is_empty());
    let whole = Reader::open(&path).unwrap();
    for step in [0, 2, 3] {
        assert_eq!(read(&reader, 0, &Selection::step(step)).unwrap(), read(&whole, 0, &Selection::step(step)).unwrap());
    }
    assert!(read(&reader, 0, &Selection::step(1)).unwrap_err().message().contains("120 of 240"));
    assert!(repair(&broken, &saved).unwrap_err().message().contains("exists"));

    // The index of one commit: its steps are lost, the others keep their numbers.
    let mut damaged = bytes.clone();
    let record = (at + stream.len()).next_multiple_of(512);
    damaged[record + 90] ^= 1;
    std::fs::write(&broken, &damaged).unwrap();
    let _ = std::fs::remove_file(&saved);
    let repaired = repair(&broken, &saved).unwrap();
    assert_eq!((repaired.steps, repaired.losses.len()), (4, 1), "{repaired:?}");
    assert_eq!(repaired.losses[0].steps, 1..2);
    assert!(Reader::open(&saved).unwrap().time(1).unwrap().is_nan());
}

/// The loss of a block of a disk takes nothing but what lies in it; of the first two, nothing at all.
#[test]
fn either_block_of_the_front_may_be_lost() {
    let folder = folder("front");
    let path = folder.join("a.fpa");
    let dims = [8, 30];
    write(&path, options(), &dims, 0..3, Bound::Abs(1e-3));
    let whole = std::fs::read(&path).unwrap();
    let steps = |path: &std::path::Path| {
        let reader = Reader::open(path).unwrap();
        (0..reader.steps()).map(|step| read(&reader, 0, &Selection::step(step)).unwrap()).collect::<Vec<_>>()
    };
    let sound = steps(&path);
    let append = || WriterOptions { mode: Mode::Append, ..options() };
    for block in 0..2 {
        for fill in ["zeros", "noise", "old"] {
            let mut bytes = whole.clone();
            let lost = &mut bytes[4096 * block..4096 * (block + 1)];
            match fill {
                "zeros" => lost.fill(0),
                "noise" => lost.iter_mut().enumerate().for_each(|(k, byte)| *byte = ((k * 7919) >> 3) as u8),
                // As it was a commit before: a write that never reached the disk.
                _ => lost[1024..1064].fill(0),
            }
            let broken = folder.join("broken.fpa");
            std::fs::write(&broken, &bytes).unwrap();
            assert!(is_archive(&broken));
            assert_eq!(steps(&broken), sound, "block {block}, {fill}");
            let reader = Reader::open(&broken).unwrap();
            assert_eq!(reader.front_is_damaged(), fill != "old");
            let damage = verify(&reader, VerifyDepth::Decode).unwrap().damage;
            assert_eq!(damage.len(), usize::from(fill != "old"), "{damage:?}");
            // The next commit writes it anew.
            write(&broken, append(), &dims, 3..5, Bound::Abs(1e-3));
            let reader = Reader::open(&broken).unwrap();
            assert!(
                reader.steps() == 5 && verify(&reader, VerifyDepth::Decode).unwrap().damage.is_empty(),
                "block {block}, {fill}"
            );
            let mended = std::fs::read(&broken).unwrap();
            assert_eq!(mended[..4096], mended[4096..8192]);
        }
    }
    // Both, and a file whose second block alone says so.
    let mut bytes = whole.clone();
    bytes[..8192].fill(0);
    let broken = folder.join("broken.fpa");
    std::fs::write(&broken, &bytes).unwrap();
    assert!(!is_archive(&broken) && Reader::open(&broken).is_err());
    std::fs::write(&broken, [&[7; 4096][..], b"FPAR", &[7; 4096]].concat()).unwrap();
    assert!(!is_archive(&broken));
}

/// Windows that follow each other: smaller, any step reachable, and a lost one takes only those after it.
#[test]
fn windows_follow_each_other_until_a_key() {
    let folder = folder("following");
    let dims = [24, 30];
    let mut sizes = Vec::new();
    for keyframe in [1, 3] {
        let path = folder.join(format!("{keyframe}.fpa"));
        let options = WriterOptions { window: 4, keyframe, ..options() };
        write(&path, options, &dims, 0..22, Bound::Nrmse(1e-3));
        let reader = Reader::open(&path).unwrap();
        let depth = |step: u64| reader.chunks(0, step).unwrap().iter().map(|chunk| chunk.depth).collect::<Vec<_>>();
        let wanted: Vec<u32> = if keyframe == 1 { vec![0; 6] } else { vec![0, 1, 2, 0, 1, 2] };
        for (commit, depth_wanted) in reader.commits().iter().zip(wanted) {
            assert_eq!(depth(commit.start), [depth_wanted; 2], "{commit:?}");
        }
        // From the end, so that every chain is walked anew.
        for step in (0..22).rev() {
            let values = global(&dims, step as usize);
            let decoded = read(&Reader::open(&path).unwrap(), 0, &Selection::step(step)).unwrap();
            assert_eq!(decoded, read(&reader, 0, &Selection::step(step)).unwrap());
            assert!(errors(&values, &decoded).0 <= 3e-3 * range(&values), "step {step}");
        }
        let info: Vec<_> = reader.commits().iter().map(|c| reader.commit_info(0, c.start).unwrap().unwrap()).collect();
        assert!(info.iter().all(|info| info.nrmse <= 1e-3));
        sizes.push(info.iter().map(|info| info.stream_bytes).sum::<u64>());
    }
    println!("alone {} bytes, following {}", sizes[0], sizes[1]);
    assert!(sizes[1] < sizes[0]);

    let path = folder.join("3.fpa");
    let reader = Reader::open(&path).unwrap();
    let stream = reader.stream(&reader.chunks(0, 4).unwrap()[0]).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(stream.len()).position(|window| window == stream).unwrap();
    bytes[at + stream.len() / 2] ^= 1;
    let (broken, saved) = (folder.join("broken.fpa"), folder.join("saved.fpa"));
    std::fs::write(&broken, &bytes).unwrap();
    assert!(read(&Reader::open(&broken).unwrap(), 0, &Selection::step(9)).is_err());
    let repaired = repair(&broken, &saved).unwrap();
    assert_eq!(repaired.losses.len(), 2, "{repaired:?}");
    assert!(repaired.losses[1].error.message().contains("follows a window that is lost"));
    let saved = Reader::open(&saved).unwrap();
    assert!(verify(&saved, VerifyDepth::Decode).unwrap().damage.is_empty());
    assert!(read(&saved, 0, &Selection::step(9)).is_err() && read(&saved, 0, &Selection::step(13)).is_ok());
}

/// A rank that dies leaves some prefix of what was to be written, and before a sync perhaps any part of it.
#[test]
fn a_crash_at_any_write_leaves_the_steps_before() {
    use crash::{Recorder, Write};
    let path = folder("crash").join("a.fpa");
    let dims = [4, 12];
    let log = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let steps = 3;
    let mut states = Vec::new();
    let mut writer = Writer::open(Box::new(Recorder(log.clone())), &path, options()).unwrap();
    let id = writer.define(variable("t", &dims, DType::F64)).unwrap();
    for step in 0..steps {
        put_step(&mut writer, id, &dims, step, Bound::Lossless);
        writer.end_step().unwrap();
        states.push(std::fs::read(&path).unwrap());
    }
    writer.close().unwrap();
    assert_eq!(log.borrow().iter().filter(|write| matches!(write, Write::Data { .. })).count(), steps);

    let torn = path.with_extension("torn");
    let mut survived = 0;
    for step in 1..steps {
        // What changed on disk between two commits, in sectors, in the order data, index, slot.
        let (before, after) = (&states[step - 1], &states[step]);
        let sectors: Vec<usize> = (0..after.len().div_ceil(512))
            .filter(|&k| {
                let range = k * 512..after.len().min(k * 512 + 512);
                before.get(range.clone()) != Some(&after[range])
            })
            .collect();
        let (slots, rest): (Vec<usize>, Vec<usize>) = sectors.into_iter().partition(|&k| k < 16);
        assert!(slots.len() == 2 && slots[0] + 8 == slots[1], "a commit writes one slot, in both blocks: {slots:?}");
        let check = |bytes: &[u8], what: &str| {
            std::fs::write(&torn, bytes).unwrap();
            let reader = Reader::open(&torn).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(reader.steps() as usize >= step, "{what}");
            for k in 0..reader.steps() {
                assert_eq!(read(&reader, 0, &Selection::step(k)).unwrap(), global(&dims, k as usize), "{what}");
            }
            reader.steps()
        };
        // Any subset of the sectors before the slot: prefixes, suffixes, and random ones.
        let mut state = 12345u64;
        for round in 0..200 {
            let mut bytes = before.clone();
            bytes.resize(after.len(), 0);
            for (k, &sector) in rest.iter().enumerate() {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let keep = match round % 3 {
                    0 => k < round / 3,
                    1 => k + round / 3 >= rest.len(),
                    _ => state & 1 == 1,
                };
                if keep {
                    let range = sector * 512..after.len().min(sector * 512 + 512);
                    bytes[range.clone()].copy_from_slice(&after[range]);
                }
            }
            assert_eq!(check(&bytes, &format!("step {step}, round {round}")), step as u64);
            survived += 1;
        }
        // The slot itself, byte by byte, in both blocks.
        for cuts in (0..=40).flat_map(|a| [0, 20, 39, 40].map(|b| [[a, b], [b, a]])).flatten() {
            let mut bytes = after.clone();
            for (slot, cut) in slots.iter().zip(cuts) {
                let place = slot * 512;
                let old = &before[place..place + 512];
                bytes[place + cut..place + 512].copy_from_slice(&old[cut..]);
            }
            let there = check(&bytes, &format!("step {step}, {cuts:?} bytes of the slots"));
            let whole = cuts.iter().any(|&cut| cut >= 36);
            assert!(there == step as u64 || whole && there == step as u64 + 1);
        }
        assert_eq!(check(after, "whole"), step as u64 + 1);
    }
    assert_eq!(survived, 200 * (steps - 1));
}

mod crash {
    use fieldpress::Result;
    use fieldpress::archive::{Communicator, Placed, Serial, SharedFile, SyncBy, WriterOptions};
    use std::cell::RefCell;
    use std::path::Path;
    use std::rc::Rc;

    /// What went to the shared file.
    #[derive(Debug)]
    pub enum Write {
        Data { offset: u64, bytes: usize },
        Sync,
    }

    /// One process, and a record of what it wrote.
    pub struct Recorder(pub Rc<RefCell<Vec<Write>>>);

    impl Communicator for Recorder {
        fn rank(&self) -> usize {
            0
        }
        fn size(&self) -> usize {
            1
        }
        fn reduce(&self, most: &mut [u64], sums: &mut [f64]) -> Result<()> {
            Serial.reduce(most, sums)
        }
        fn place(&self, values: [u64; 2]) -> Result<Placed> {
            Serial.place(values)
        }
        fn gather(&self, bytes: &[u8], most: u64) -> Result<Option<Vec<Vec<u8>>>> {
            Serial.gather(bytes, most)
        }
        fn broadcast(&self, _: usize, _: &mut Vec<u8>) -> Result<()> {
            Ok(())
        }
        fn split(&self, _: usize) -> Result<Box<dyn Communicator>> {
            Ok(Box::new(Self(self.0.clone())))
        }
        fn open(&self, path: &Path, options: &WriterOptions) -> Result<Box<dyn SharedFile>> {
            Ok(Box::new(File(Serial.open(path, options)?, self.0.clone())))
        }
        fn free(self: Box<Self>) -> Result<()> {
            Ok(())
        }
    }

    struct File(Box<dyn SharedFile>, Rc<RefCell<Vec<Write>>>);

    impl SharedFile for File {
        fn write_at_all(&mut self, offset: u64, bytes: &[u8], total: u64) -> Result<()> {
            self.1.borrow_mut().push(Write::Data { offset, bytes: bytes.len() });
            self.0.write_at_all(offset, bytes, total)
        }
        fn sync(&mut self, by: SyncBy) -> Result<()> {
            assert_eq!(by, SyncBy::LaterSync, "one process syncs the file with its index");
            let last = self.1.borrow();
            assert!(matches!(last.last(), Some(Write::Data { offset, bytes }) if *offset >= 4096 && *bytes > 0));
            drop(last);
            self.1.borrow_mut().push(Write::Sync);
            self.0.sync(by)
        }
        fn close(self: Box<Self>) -> Result<()> {
            self.0.close()
        }
    }
}

/// Every flip of every byte, and every truncation, gives an error or the right data.
#[test]
fn hostile_bytes() {
    let folder = folder("hostile");
    let path = folder.join("a.fpa");
    let dims = [3, 8];
    write(&path, WriterOptions { window: 2, ..options() }, &dims, 0..4, Bound::Abs(1e-2));
    let right: Vec<Vec<f64>> = {
        let reader = Reader::open(&path).unwrap();
        (0..4).map(|step| read(&reader, 0, &Selection::step(step)).unwrap()).collect()
    };
    let bytes = std::fs::read(&path).unwrap();
    let broken = folder.join("broken.fpa");
    let saved = folder.join("saved.fpa");
    let check = |bytes: &[u8], what: &str, deep: bool| {
        std::fs::write(&broken, bytes).unwrap();
        let same = |reader: &Reader| {
            for step in 0..reader.steps() {
                match read(reader, 0, &Selection::step(step)) {
                    Ok(values) => assert!(values == right[step as usize], "{what}: step {step} has other values"),
                    Err(error) => assert!(error.kind() != ErrorKind::Internal, "{what}: {error}"),
                }
            }
        };
        match Reader::open(&broken) {
            Ok(reader) => same(&reader),
            Err(error) => assert!(error.kind() != ErrorKind::Internal, "{what}: {error}"),
        }
        if deep {
            let _ = std::fs::remove_file(&saved);
            if repair(&broken, &saved).is_ok() {
                same(&Reader::open(&saved).unwrap());
            }
        }
    };
    // Padding is never read; everything else is flipped.
    let mut damaged = bytes.clone();
    for at in 0..bytes.len() {
        if bytes[at] == 0 && at % 61 != 0 {
            continue;
        }
        damaged[at] ^= 1 << (at % 8);
        check(&damaged, &format!("byte {at} flipped"), at % 7 == 0);
        damaged[at] = bytes[at];
    }
    for len in (0..bytes.len()).step_by(31) {
        check(&bytes[..len], &format!("cut to {len}"), len % 5 == 0);
    }
}

/// What a restart from an earlier step dropped stays dropped, whatever else is lost.
#[test]
fn repair_brings_no_dropped_step_back() {
    let folder = folder("restarted");
    let path = folder.join("a.fpa");
    let dims = [8, 30];
    write(&path, options(), &dims, 0..6, Bound::Abs(1e-3));
    let again = WriterOptions { mode: Mode::Append, keep: Some(2), ..options() };
    let mut writer = Writer::open(Box::new(Serial), &path, again).unwrap();
    let id = writer.define(variable("t", &dims, DType::F64)).unwrap();
    for step in 102..104 {
        put_step(&mut writer, id, &dims, step, Bound::Abs(1e-3));
        writer.end_step().unwrap();
    }
    writer.close().unwrap();
    let times = |path: &std::path::Path| {
        let reader = Reader::open(path).unwrap();
        (0..reader.steps()).map(|step| reader.time(step).unwrap()).collect::<Vec<f64>>()
    };
    let whole = times(&path);
    assert_eq!(whole.len(), 4);
    let saved = folder.join("saved.fpa");
    assert!(repair(&path, &saved).unwrap().losses.is_empty());
    assert_eq!(times(&saved), whole);

    // The records of the new steps 2 and 3, in turn: the head of either.
    let bytes = std::fs::read(&path).unwrap();
    let is_commit = |at: &usize| bytes[*at..].starts_with(b"FPRC") && bytes[at + 6] == 1;
    let records: Vec<usize> = (0..bytes.len() - 64).step_by(512).filter(is_commit).collect();
    assert_eq!(records.len(), 8);
    for (damaged, lost, kept) in [(&[6][..], 2..3, 4), (&[7], 3..4, 3), (&[6, 7], 6..7, 6)] {
        let mut bytes = bytes.clone();
        damaged.iter().for_each(|&k| bytes[records[k] + 64] ^= 0xff);
        let broken = folder.join("broken.fpa");
        std::fs::write(&broken, &bytes).unwrap();
        let _ = std::fs::remove_file(&saved);
        let repaired = repair(&broken, &saved).unwrap();
        assert_eq!((repaired.steps, repaired.losses.len()), (kept, 1), "{repaired:?}");
        assert_eq!(repaired.losses[0].steps, lost, "{repaired:?}");
        let times = times(&saved);
        match damaged {
            [6] => assert!(times[2].is_nan() && times[3] == whole[3], "{times:?}"),
            [7] => assert_eq!(times, whole[..3]),
            // Nothing is left that tells of the restart but the superblock.
            _ => assert!(repaired.losses[0].error.message().contains("restart"), "{repaired:?}"),
        }
    }
}

//! The archive's format: a golden archive reads back to the same bits for ever. `FIELDPRESS_REGENERATE=1 cargo test
//! --release --test archive_format` writes it anew; see `tests/assets/golden/README.md`.

mod common;

use common::archive::{folder, options, variable};
use common::fields::{field, flow, noise};
use fieldpress::archive::{Attribute, Mode, Reader, Selection, Serial, VerifyDepth, Writer, WriterOptions, verify};
use fieldpress::{Bound, DType, FieldView, FieldViewMut};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

// As small as a window that follows another can be: fuzzing starts from this archive.
const DIMS: [usize; 2] = [12, 16];

fn regenerates() -> bool {
    std::env::var_os("FIELDPRESS_REGENERATE").is_some_and(|v| v == "1")
}

fn golden(name: &str) -> PathBuf {
    common::golden::folder().join("archives").join(name)
}

/// What a step holds, from integers.
fn step(k: usize) -> Vec<f64> {
    let k = k as i64;
    field(&DIMS, |_, _, y, x| {
        let (y, x) = (y as i64, x as i64);
        (flow(5, 60 * k, 90 * y, 90 * x) + (noise(6, k as usize, y as usize, x as usize) >> 8)) as f64 / 1024.0
    })
}

/// One of everything: both types, all kinds of attributes, windows that follow others, a constant box, boxes without
/// data, a restart from an earlier step, definitions that grow.
fn write_golden(path: &std::path::Path) {
    let open = |more: &WriterOptions| Writer::open(Box::new(Serial), path, more.clone()).unwrap();
    let first = WriterOptions { mode: Mode::Replace, window: 4, keyframe: 2, ..options() };
    let again = WriterOptions { mode: Mode::Append, keep: Some(8), ..options() };
    for (run, from, until) in [(&first, 0, 12), (&again, 20, 22)] {
        let mut writer = open(run);
        let wide = writer.define(variable("wide", &DIMS, DType::F64)).unwrap();
        let narrow = writer.define(variable("narrow", &DIMS, DType::F32)).unwrap();
        if from > 0 {
            let late = writer.define(variable("late", &[3], DType::F64)).unwrap();
            writer.set_attribute(Some(late), "numbers", Attribute::Reals(vec![1.5, -2.25])).unwrap();
        }
        writer.set_attribute(None, "title", Attribute::Text("golden, naïve, 金".into())).unwrap();
        writer.set_attribute(None, "counts", Attribute::Integers(vec![i64::MIN, 0, i64::MAX])).unwrap();
        for k in from..until {
            let values = step(k);
            let single: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            writer.begin_step(0.25 * k as f64).unwrap();
            let half = values.len() / 2;
            for (start, part) in [(0, &values[..half]), (DIMS[0] / 2, &values[half..])] {
                let view = FieldView::new(part, &[DIMS[0] / 2, DIMS[1]]).unwrap();
                writer.put(wide, &[start, 0], &view, Bound::Nrmse(1e-3)).unwrap();
            }
            // A corner is never put; another is constant.
            writer.put(narrow, &[0, 0], &FieldView::new(&single[..96], &[6, 16]).unwrap(), Bound::Abs(0.05)).unwrap();
            writer.put(narrow, &[6, 0], &FieldView::new(&[7.5f32; 30], &[6, 5]).unwrap(), Bound::Abs(0.05)).unwrap();
            if from > 0 {
                let late = fieldpress::archive::VariableId::from_number(2);
                writer.put(late, &[0], &FieldView::new(&[1.0, f64::NAN, 3.0], &[3]).unwrap(), Bound::Lossless).unwrap();
            }
            writer.end_step().unwrap();
        }
        writer.close().unwrap();
    }
}

/// Everything that a reader says of an archive, with a digest of every step of every variable.
fn told(path: &std::path::Path) -> String {
    let reader = Reader::open_with(path, options().codec).unwrap();
    assert!(verify(&reader, VerifyDepth::Decode).unwrap().damage.is_empty());
    let mut out = format!("{:?}\n", reader.definitions().attributes);
    for (number, info) in reader.definitions().variables.iter().enumerate() {
        out += &format!("{} {} {} {:?}\n", info.name, info.shape, info.dtype.name(), info.attributes);
        for step in 0..reader.steps() {
            let (time, commit) = (reader.time(step).unwrap(), reader.commit_info(number, step).unwrap());
            let Some(commit) = commit else {
                out += &format!("  {step} {time} nothing\n");
                continue;
            };
            let selection = Selection { missing: Some(-1.0), ..Selection::step(step) };
            let bytes = match info.dtype {
                DType::F32 => {
                    let mut values = vec![0f32; info.shape.len()];
                    reader
                        .read(number, &selection, &mut FieldViewMut::new(&mut values, info.shape.dims()).unwrap())
                        .unwrap();
                    common::bytes(&values)
                }
                DType::F64 => {
                    let mut values = vec![0f64; info.shape.len()];
                    reader
                        .read(number, &selection, &mut FieldViewMut::new(&mut values, info.shape.dims()).unwrap())
                        .unwrap();
                    common::bytes(&values)
                }
            };
            let depths: Vec<u32> = reader.chunks(number, step).unwrap().iter().map(|chunk| chunk.depth).collect();
            let hex: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            out += &format!("  {step} {time} {:?} {} {depths:?} {hex}\n", commit.steps, commit.bound);
        }
    }
    out
}

/// Of every version of the format one; only the newest is ever written anew.
const VERSIONS: [(u8, &str); 2] = [(1, "everything"), (2, NEWEST)];
const NEWEST: &str = "everything-2";

#[test]
fn the_golden_archives_read_back() {
    if regenerates() {
        let path = golden(&format!("{NEWEST}.fpa"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_golden(&path);
        std::fs::write(golden(&format!("{NEWEST}.txt")), told(&path)).unwrap();
    }
    for (version, name) in VERSIONS {
        let path = golden(&format!("{name}.fpa"));
        assert_eq!(std::fs::read(&path).unwrap()[4], version);
        assert_eq!(told(&path), std::fs::read_to_string(golden(&format!("{name}.txt"))).unwrap());
        // It shows what it is there for.
        let reader = Reader::open(&path).unwrap();
        assert_eq!(reader.commits(), [0..4, 4..8, 8..9, 9..10]);
        let depths = |step| reader.chunks(0, step).unwrap().iter().map(|chunk| chunk.depth).collect::<Vec<_>>();
        assert_eq!((depths(0), depths(4)), (vec![0; 2], vec![1; 2]));
    }
}

/// An archive stays of its version, whoever appends to it, and those who read that version read it.
#[test]
fn archives_of_old_versions_go_on_as_they_are() {
    let path = folder("old").join("a.fpa");
    std::fs::copy(golden("everything.fpa"), &path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let append = WriterOptions { mode: Mode::Append, ..options() };
    let mut writer = Writer::open(Box::new(Serial), &path, append).unwrap();
    let values = step(30);
    for k in 0..2 {
        let wide = fieldpress::archive::VariableId::from_number(0);
        writer.begin_step(f64::from(k)).unwrap();
        writer.put(wide, &[0, 0], &FieldView::new(&values, &DIMS).unwrap(), Bound::Lossless).unwrap();
        writer.end_step().unwrap();
    }
    writer.close().unwrap();
    let after = std::fs::read(&path).unwrap();
    assert_eq!((&before[..512], &before[1536..]), (&after[..512], &after[1536..before.len()]));
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.steps(), 12);
    let mut out = vec![0.0; values.len()];
    reader.read(0, &Selection::step(11), &mut FieldViewMut::new(&mut out, &DIMS).unwrap()).unwrap();
    assert_eq!(out, values);
}

/// What is written today still is the golden archive, but for its id: a change that the golden archive does not show
/// would otherwise go unnoticed until the next one.
#[test]
fn what_is_written_reads_as_the_golden_archive_does() {
    if regenerates() {
        return println!("left out, the golden archive is being written anew");
    }
    let path = folder("golden").join("everything.fpa");
    write_golden(&path);
    let stored = std::fs::read_to_string(golden(&format!("{NEWEST}.txt"))).unwrap();
    assert_eq!(told(&path), stored, "where the encoder was changed on purpose, write it anew (see the README there)");
}

//! Archives that carry their model: they read back where the model is not installed.

mod common;

use common::archive::{folder, options, read, variable};
use fieldpress::archive::{Mode, Reader, Selection, Serial, Writer, WriterOptions};
use fieldpress::model::{MODEL_PATH, Package};
use fieldpress::{Bound, Codec, DType, ErrorKind, FieldView, FieldViewMut, FmMode, Options, Request, inspect};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

const DIMS: [usize; 2] = [64, 64];
const STEPS: usize = 9;
/// The archive that the process that is started reads.
const PATH: &str = "FIELDPRESS_TEST_ARCHIVE";

/// The shipped package under another manifest, as one that a user has tuned: the same name, another hash.
fn tuned(folder: &Path) -> PathBuf {
    let (from, to) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("models/default"), folder.join("tuned"));
    std::fs::create_dir_all(&to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let manifest = to.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let changed = text.replacen("\"created\": \"", "\"created\": \"tuned ", 1);
    assert_ne!(text, changed);
    std::fs::write(manifest, changed).unwrap();
    to
}

fn step(k: usize) -> Vec<f64> {
    let (k, n) = (k as f64, DIMS[0] * DIMS[1]);
    (0..n)
        .map(|i| ((i / DIMS[1]) as f64 * 0.21 + 0.3 * k).sin() + ((i % DIMS[1]) as f64 * 0.17 - 0.2 * k).cos())
        .collect()
}

/// Writes steps as one window, in whose streams the model is used. What is embedded is what was there when the archive
/// was opened.
fn write(path: &Path, model: &Path, embed_model: bool) -> fieldpress::Result<()> {
    let codec = options().codec.with_fm(FmMode::On).with_model(model.to_owned());
    let writer_options = WriterOptions { codec, embed_model, window: STEPS, ..Default::default() };
    let mut writer = Writer::open(Box::new(Serial), path, writer_options)?;
    let aside = model.with_extension("aside");
    if embed_model {
        std::fs::rename(model, &aside).unwrap();
    }
    let id = writer.define(variable("u", &DIMS, DType::F64))?;
    for k in 0..STEPS {
        writer.begin_step(k as f64)?;
        writer.put(id, &[0, 0], &FieldView::new(&step(k), &DIMS)?, Bound::Nrmse(1e-3))?;
        writer.end_step()?;
    }
    if embed_model {
        std::fs::rename(aside, model).unwrap();
    }
    writer.close().map(drop)
}

fn digest(path: &Path, codec: Options) -> fieldpress::Result<String> {
    let reader = Reader::open_with(path, codec)?;
    let mut bytes = Vec::new();
    for step in 0..reader.steps() {
        bytes.extend(common::bytes(&read(&reader, 0, &Selection::step(step))?));
    }
    Ok(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Set where that process trusts models of archives.
const TRUST: &str = "FIELDPRESS_TEST_TRUST";

/// What a process says that knows no model but the compiled-in one, and none from before.
fn read_elsewhere(path: &Path, trust: bool) -> String {
    reading(path, trust, None)
}

fn reading(path: &Path, trust: bool, models: Option<&Path>) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "reads_alone", "--ignored", "--nocapture"]).env(PATH, path);
    for (key, value) in [(TRUST, trust.then(|| Path::new("1"))), (MODEL_PATH, models)] {
        match value {
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[test]
#[ignore = "started by the other test, with an archive"]
fn reads_alone() {
    let path = std::env::var_os(PATH).expect("the archive's path");
    let trust = std::env::var_os(TRUST).is_some();
    // That the archive says which model it carries runs nothing.
    let reader = Reader::open(path.as_ref()).unwrap();
    println!("carries {:?}", reader.embedded_model());
    match digest(path.as_ref(), options().codec.with_trust_embedded_model(trust)) {
        Ok(digest) => println!("digest {digest}"),
        Err(error) => println!("{:?} {error}", error.kind()),
    }
}

#[test]
fn an_archive_that_carries_its_model_needs_none_installed() {
    let folder = folder("model");
    let model = tuned(&folder);
    let hash = Package::folder_hash(&model).unwrap();
    assert_ne!(Some(hash), Package::builtin_hash());
    let (with, without) = (folder.join("with.fpa"), folder.join("without.fpa"));
    match write(&with, &model, true) {
        Err(error) if error.kind() == ErrorKind::Runtime => {
            return println!("left out, no model can run here: {error}");
        }
        written => written.unwrap(),
    }
    write(&without, &model, false).unwrap();

    // Steps of another model find no place for theirs in it.
    let codec = options().codec.with_fm(FmMode::On);
    let append = WriterOptions { codec, embed_model: true, mode: Mode::Append, ..Default::default() };
    let before = std::fs::read(&with).unwrap();
    let error = Writer::open(Box::new(Serial), &with, append.clone()).map(drop).unwrap_err();
    assert!(error.kind() == ErrorKind::Model && error.message().contains("embed_model=off"), "{error}");
    assert!(std::fs::read(&with).unwrap() == before, "an archive that cannot be appended to stays as it is");
    let same = append.codec.clone().with_model(model.clone());
    Writer::open(Box::new(Serial), &with, WriterOptions { codec: same, ..append }).unwrap().close().unwrap();

    let reader = Reader::open(&with).unwrap();
    let chunk = &reader.chunks(0, 0).unwrap()[0];
    let (name, named) = inspect(&reader.stream(chunk).unwrap()).unwrap().model.expect("the stream needs the model");
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(hex.starts_with(&named), "{named} {hex}");
    assert!(std::fs::metadata(&with).unwrap().len() > std::fs::metadata(&without).unwrap().len() + 100_000);
    let wanted = digest(&without, options().codec.with_model(model.clone())).unwrap();
    let installed = folder.join("installed");
    std::fs::rename(&model, &installed).unwrap();

    // A model is a program: one that is not known here runs only where the caller says so.
    let found = read_elsewhere(&with, false);
    assert!(found.contains(&format!("carries Some((\"{name}\", \"{hex}\"))")), "{found}");
    for part in ["Model ", &hex, "trust_embedded_model=1", "--trust-model"] {
        assert!(found.contains(part) && !found.contains("digest "), "{part}: {found}");
    }
    for found in [read_elsewhere(&with, true), reading(&with, false, Some(&installed))] {
        assert!(found.contains(&format!("digest {wanted}")), "{found}");
    }
    // The same archive without its model: an error that names it.
    for trust in [false, true] {
        let found = read_elsewhere(&without, trust);
        assert!(found.contains("Model ") && found.contains(&name), "{found}");
    }

    // A repaired one still carries it, and it can be checked.
    let again = folder.join("again.fpa");
    let repaired = fieldpress::archive::repair(&with, &again).unwrap();
    assert!(repaired.losses.is_empty() && repaired.steps == STEPS as u64);
    let found = read_elsewhere(&again, true);
    assert!(found.contains(&format!("digest {wanted}")), "{found}");

    // Damage of the model is found.
    let mut bytes = std::fs::read(&with).unwrap();
    let inside = bytes.windows(13).position(|window| window == b"manifest.json").unwrap() + 5000;
    bytes[inside] ^= 1;
    std::fs::write(&again, bytes).unwrap();
    let found = read_elsewhere(&again, true);
    assert!(found.contains("Corrupt ") || found.contains("Model "), "{found}");
}

/// What one reader in a process trusts, another one does not.
#[test]
fn trust_is_each_readers_own() {
    let folder = folder("trust");
    let model = tuned(&folder);
    let path = folder.join("a.fpa");
    match write(&path, &model, true) {
        Err(error) if error.kind() == ErrorKind::Runtime => {
            return println!("left out, no model can run here: {error}");
        }
        written => written.unwrap(),
    }
    std::fs::remove_dir_all(&model).unwrap();
    let said = reading_both(&path);
    assert!(said.contains("trusting true, not trusting false"), "{said}");
}

fn reading_both(path: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "reads_twice", "--ignored", "--nocapture"])
        .env(PATH, path)
        .env_remove(MODEL_PATH)
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
#[ignore = "started by the other test, with an archive"]
fn reads_twice() {
    let path = std::env::var_os(PATH).expect("the archive's path");
    let reads = |trust| digest(path.as_ref(), options().codec.with_trust_embedded_model(trust)).is_ok();
    println!("trusting {}, not trusting {}", reads(true), reads(false));
}

#[test]
fn a_model_that_is_open_outlives_its_package() {
    let folder = folder("replaced");
    let model = tuned(&folder);
    let codec = Codec::new(options().codec.with_fm(FmMode::On).with_model(model.clone())).unwrap();
    let values: Vec<f64> = (0..STEPS).flat_map(step).collect();
    let dims = [STEPS, DIMS[0], DIMS[1]];
    let stream = match codec.compress(&FieldView::new(&values, &dims).unwrap(), Bound::Nrmse(1e-3)) {
        Err(error) if error.kind() == ErrorKind::Runtime => {
            return println!("left out, no model can run here: {error}");
        }
        stream => stream.unwrap().0,
    };
    assert!(inspect(&stream).unwrap().model.is_some());
    std::fs::remove_dir_all(&model).unwrap();
    let mut out = vec![0.0; values.len()];
    codec.decompress(&stream, &Request::default(), &mut FieldViewMut::new(&mut out, &dims).unwrap()).unwrap();
    let errors = values.iter().zip(&out).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / values.len() as f64;
    let span = values.iter().fold(f64::MIN, |a, b| a.max(*b)) - values.iter().fold(f64::MAX, |a, b| a.min(*b));
    assert!(errors.sqrt() <= 1e-3 * span);
}

//! The format: golden streams decode to the same bits for ever, and `compress` makes them anew until it is changed on
//! purpose. `FIELDPRESS_REGENERATE=1 cargo test --release --test format` writes them all again (those with a model need
//! ONNX Runtime); see `tests/assets/golden/README.md`.

mod common;

use common::golden::{Case, by_hand, cases, folder};
use common::structure::Structure;
use common::{decode, reader};
use fieldpress::{Bound, Codec, Effort, ErrorKind, FieldView, FieldViewMut, Options, Region, Request, Scale, inspect};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::num::NonZeroU16;

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn regenerates() -> bool {
    std::env::var_os("FIELDPRESS_REGENERATE").is_some_and(|v| v == "1")
}

/// Whether graphs can run here. Streams that need them are left out, loudly, where they cannot.
fn has_model() -> bool {
    let case = cases().into_iter().find(Case::needs_model).expect("some case needs the model");
    match case.compress(1) {
        Ok(_) => true,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Runtime | ErrorKind::Model), "{error}");
            println!("left out, no model can run here: {error}");
            false
        }
    }
}

/// What a stream shows, in words.
fn features(bytes: &[u8]) -> BTreeSet<String> {
    let info = inspect(bytes).unwrap();
    let structure = Structure::of(bytes);
    assert_eq!(structure.dims, info.shape.dims());
    assert_eq!(structure.axes, info.axes.is_some());
    assert_eq!(structure.model, info.model.is_some());
    let mut out = BTreeSet::new();
    let mut show = |word: &str, there: bool| {
        if there {
            out.insert(word.to_owned());
        }
    };
    show(info.dtype.name(), true);
    show(info.bound.name(), true);
    show("axes", structure.axes);
    show("volumes", info.axes.is_some_and(|axes| axes.planes.is_some()));
    show("specials", structure.specials > 0);
    show("masked", structure.specials > 0 && structure.content != 2);
    show("payloads", structure.specials > 15);
    show("clamped", structure.clamped);
    show("model", structure.model);
    show("segments", structure.sections.len() > 1);
    show("segment", structure.segment);
    match structure.content {
        0 => show("constant", true),
        3 => show("raw", true),
        4 => show("repeats", true),
        1 => {
            for section in &structure.sections {
                show(["raw", "pco"][usize::from(bytes[section.start])], true);
            }
        }
        5 if structure.of_logarithms != Some(2) => show("logarithms", true),
        _ => {
            show("logarithms", structure.content == 5);
            for section in &structure.sections[..structure.beside] {
                let code = usize::from(bytes[section.clone()].first().copied().unwrap_or(0));
                show("signs", code > 0);
                show("kept", section.len() > code + 1);
            }
            show(if structure.double { "double" } else { "single" }, true);
            for index in structure.beside..structure.sections.len() {
                let segment = structure.segment(bytes, index);
                let way = ["transform", "previous", "hierarchical", "latents-way", "closed-loop"];
                show(way[usize::from(segment.way)], true);
                show(if segment.mixing { "mixing" } else { "plain" }, true);
                show("tables", segment.tables);
                let [_, mask, latents, _, corrections] = segment.lengths;
                if segment.way == 4 {
                    let predictor = ["levels", "lorenzo", "lorenzo-2", "fitted"];
                    show(predictor[usize::from(segment.predictor)], true);
                    show("lattice", segment.lattice);
                    show("balanced", segment.balanced);
                } else {
                    show(if segment.basis { "basis" } else { "cosine" }, true);
                }
                show("enhanced", segment.enhanced);
                show("mask", mask > 0);
                show("latents", latents > 0);
                show("corrections", corrections > 0);
            }
        }
    }
    out
}

/// Digests of what the golden streams decode to, by name.
fn digests() -> BTreeMap<String, String> {
    let path = folder().join("digests.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("name and digest"))
        .map(|(name, digest)| (name.to_owned(), digest.trim().to_owned()))
        .collect()
}

/// Golden streams by name: those of the cases, and those made by hand.
fn streams() -> Vec<(String, Case, Vec<u8>)> {
    let cases = cases();
    let mut out: Vec<(String, Case, Vec<u8>)> =
        cases.iter().map(|case| (case.name.to_owned(), case.clone(), case.stored())).collect();
    for (name, from, _) in by_hand() {
        let case = cases.iter().find(|case| case.name == from).expect("made from a case");
        let path = folder().join(name).with_extension("fp");
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        out.push((name.to_owned(), case.clone(), bytes));
    }
    out
}

/// Writes all golden streams and their digests anew, but those that are kept. Those with a model stay as they are where
/// none can run.
fn regenerate() {
    let with_model = has_model();
    let mut text = String::from("# stream, SHA-256 of its decoded values (little-endian)\n");
    let old = digests();
    let mut total = 0;
    let mut add = |name: &str, bytes: &[u8]| {
        std::fs::write(folder().join(name).with_extension("fp"), bytes).unwrap();
        let digest = hex(&decode(&reader(), bytes, &Request::default()).unwrap());
        writeln!(text, "{name} {digest}").unwrap();
        let (modes, features) = (inspect(bytes).unwrap().modes, features(bytes));
        println!("{name}: {} bytes, {modes:?}, {features:?}", bytes.len());
        total += bytes.len();
    };
    let mut kept = Vec::new();
    let cases = cases();
    for case in &cases {
        if case.kept || case.needs_model() && !with_model {
            kept.push(case.name);
            continue;
        }
        add(case.name, &case.compress(1).unwrap());
    }
    for (name, from, change) in by_hand() {
        let mut bytes = cases.iter().find(|case| case.name == from).unwrap().stored();
        let structure = Structure::of(&bytes);
        for section in &structure.sections {
            change(&mut bytes[section.clone()]);
        }
        structure.seal(&mut bytes);
        add(name, &bytes);
    }
    for name in kept {
        writeln!(text, "{name} {}", old[name]).unwrap();
    }
    std::fs::write(folder().join("digests.txt"), text).unwrap();
    println!("{total} bytes in all");
}

/// One test, so that writing anew comes before reading.
#[test]
fn golden_streams() {
    if regenerates() {
        regenerate();
    }
    let with_model = has_model();
    decode_to_the_same_bits(with_model);
    every_part_is_used();
    boxes_and_scales_agree(with_model);
    compress_makes_them(with_model);
}

fn decode_to_the_same_bits(with_model: bool) {
    let digests = digests();
    assert_eq!(digests.len(), streams().len(), "a digest for each stream, and no others");
    let mut total = 0;
    for (name, case, bytes) in streams() {
        total += bytes.len();
        if case.needs_model() && !with_model {
            let error = decode(&reader(), &bytes, &Request::default()).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Runtime | ErrorKind::Model), "{name}: {error}");
            continue;
        }
        let decoded = decode(&reader(), &bytes, &Request::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        holds(&name, &case, &decoded);
        // Another device's floats may flip a few values of a model by a grid step; the bound, checked above, covers
        // that.
        if hex(&decoded) != digests[&name] {
            assert!(case.needs_model(), "{name} decodes to other values than it did when it was made");
            println!("{name}: other floats than where it was made, within the bound");
        }
    }
    assert!(total < 200_000, "{total} bytes of golden streams");
}

/// Checks a case's bound on decoded bytes, by its definition.
fn holds(name: &str, case: &Case, decoded: &[u8]) {
    use common::golden::Data;
    let (original, decoded): (Vec<f64>, Vec<f64>) = match &case.data {
        Data::F32(values) => (
            values.iter().map(|&v| f64::from(v)).collect(),
            decoded.chunks(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
        ),
        Data::F64(values) => {
            (values.clone(), decoded.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect())
        }
    };
    let special = |v: f64| !v.is_finite() || case.options.fill_value == Some(v);
    let mut errors = Vec::new();
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (i, (&a, &b)) in original.iter().zip(&decoded).enumerate() {
        if special(a) {
            assert!(a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(), "{name}: point {i} lost its mark");
        } else {
            (low, high) = (low.min(a), high.max(a));
            errors.push((i, a - b));
        }
    }
    let range = case.options.range.unwrap_or(high - low);
    let largest = errors.iter().map(|e| e.1.abs()).fold(0.0, f64::max);
    let rms = (errors.iter().map(|e| e.1 * e.1).sum::<f64>() / errors.len().max(1) as f64).sqrt();
    match case.bound {
        Bound::Abs(e) => assert!(largest <= e, "{name}: {largest} > {e}"),
        Bound::Rel(e) => assert!(largest <= e * range, "{name}: {largest} > {e} of {range}"),
        Bound::Nrmse(e) => assert!(rms <= e * range * (1.0 + 1e-12), "{name}: {rms} > {e} of {range}"),
        Bound::Psnr(db) => assert!(20.0 * (range / rms).log10() >= db - 1e-9, "{name}"),
        Bound::BlockL2(tau) => {
            let [_, h, w] = case.dims else { panic!("blocks of three axes") };
            let mut blocks = BTreeMap::new();
            for (i, e) in errors {
                *blocks.entry((i / (h * w) / 8, i / w % h / 8, i % w / 8)).or_insert(0.0) += e * e;
            }
            assert!(blocks.values().all(|sum| f64::sqrt(*sum) <= tau * (1.0 + 1e-12)), "{name}");
        }
        Bound::Lossless => assert_eq!(largest, 0.0, "{name}"),
        Bound::PwRel(e) => assert!(errors.iter().all(|&(i, error)| error.abs() <= e * original[i].abs()), "{name}"),
        _ => unreachable!("no other bound is tried"),
    }
}

fn every_part_is_used() {
    let mut seen = BTreeSet::new();
    for (name, case, bytes) in streams() {
        let found = features(&bytes);
        for feature in case.shows {
            assert!(found.contains(*feature), "{name} does not show '{feature}': {found:?}");
        }
        let info = inspect(&bytes).unwrap();
        if name == case.name && !case.way.is_empty() {
            let modes: BTreeSet<&str> = info.modes.iter().map(|(mode, _)| mode.split(':').next().unwrap()).collect();
            assert_eq!(modes, BTreeSet::from([case.way]), "{name}");
        }
        seen.extend(found);
    }
    let all = [
        "f32",
        "f64",
        "abs",
        "rel",
        "nrmse",
        "psnr",
        "block_l2",
        "lossless",
        "pw_rel",
        "logarithms",
        "signs",
        "kept",
        "axes",
        "volumes",
        "specials",
        "model",
        "segments",
        "segment",
        "constant",
        "raw",
        "repeats",
        "pco",
        "double",
        "single",
        "transform",
        "previous",
        "hierarchical",
        "latents-way",
        "closed-loop",
        "levels",
        "lorenzo",
        "fitted",
        "lattice",
        "mixing",
        "plain",
        "tables",
        "basis",
        "cosine",
        "mask",
        "payloads",
        "latents",
        "corrections",
        "clamped",
        "masked",
    ];
    for feature in all {
        assert!(seen.contains(feature), "no golden stream shows '{feature}'");
    }
}

/// A box has the values of the whole, and reduced scales have sizes and values that follow from it.
fn boxes_and_scales_agree(with_model: bool) {
    let codec = reader();
    for (name, case, bytes) in streams() {
        if case.needs_model() && !with_model {
            continue;
        }
        let info = inspect(&bytes).unwrap();
        let whole = decode(&codec, &bytes, &Request::default()).unwrap();
        let dims = info.shape.dims();
        let region =
            Region { start: dims.iter().map(|n| n / 3).collect(), count: dims.iter().map(|n| n.div_ceil(3)).collect() };
        let request = Request { region: Some(region.clone()), ..Default::default() };
        let part = decode(&codec, &bytes, &request).unwrap();
        let size = info.dtype.size();
        for (i, value) in part.chunks(size).enumerate() {
            let (mut rest, mut at, mut stride) = (i, 0, 1);
            for axis in (0..dims.len()).rev() {
                at += (rest % region.count[axis] + region.start[axis]) * stride;
                rest /= region.count[axis];
                stride *= dims[axis];
            }
            assert_eq!(value, &whole[at * size..][..size], "{name}: value {i} of the box");
        }
        for scale in [Scale::Half, Scale::Quarter] {
            let request = Request { scale, region: None };
            let wanted = request.output_shape(&info).unwrap().len() * size;
            assert_eq!(decode(&codec, &bytes, &request).unwrap().len(), wanted, "{name}");
        }
    }
}

/// A box decodes the segments that it touches, tile by tile and run by run, and reads no others.
#[test]
fn boxes_read_the_segments_that_they_touch() {
    let dims = [24, 200, 1000];
    let values: Vec<f32> = (0..dims.iter().product())
        .map(|i: usize| ((i / 200_000) as f32 * 0.3 + (i % 1000) as f32 * 0.02 + (i / 1000 % 200) as f32 * 0.05).sin())
        .collect();
    let options = Options::default().with_segment(NonZeroU16::new(8)).with_effort(Effort::Fast).with_threads(1);
    let codec = Codec::new(options).unwrap();
    let (bytes, _) = codec.compress(&FieldView::new(&values, &dims).unwrap(), Bound::Nrmse(1e-3)).unwrap();
    let structure = Structure::of(&bytes);
    // Two tiles of three runs each, run by run.
    assert_eq!(structure.sections.len(), 6);
    let whole = decode(&codec, &bytes, &Request::default()).unwrap();
    // Frames of the second run, columns of the first tile.
    let region = Region { start: vec![9, 20, 30], count: vec![7, 100, 400] };
    let request = Request { region: Some(region), ..Default::default() };
    let with_spoilt = |spoils: fn(usize) -> bool| {
        let mut bytes = bytes.clone();
        for (_, section) in structure.sections.iter().enumerate().filter(|(k, _)| spoils(*k)) {
            bytes[section.clone()].iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
        let mut out = vec![0f32; 7 * 100 * 400];
        codec.decompress(&bytes, &request, &mut FieldViewMut::new(&mut out, &[7, 100, 400]).unwrap()).map(|_| out)
    };
    assert_eq!(with_spoilt(|k| k == 1).unwrap_err().kind(), ErrorKind::Corrupt);
    for (i, value) in with_spoilt(|k| k != 1).unwrap().iter().enumerate() {
        let (t, y, x) = (9 + i / 40_000, 20 + i / 400 % 100, 30 + i % 400);
        let at = 4 * ((t * 200 + y) * 1000 + x);
        assert_eq!(value.to_le_bytes(), whole[at..at + 4], "{t} {y} {x}");
    }
}

/// The encoder is free to change; this says that it did.
fn compress_makes_them(with_model: bool) {
    for case in cases() {
        if case.kept || case.needs_model() && !with_model {
            continue;
        }
        let [one, two] = [1, 2].map(|threads| case.compress(threads).unwrap());
        assert!(one == two, "{}: another stream with two threads", case.name);
        let stored = case.stored();
        if one == stored {
            continue;
        }
        // A model's floats, and so the encoder's choices, may differ where the golden stream was not made.
        assert!(
            case.needs_model() && !regenerates(),
            "{}: compress gives other bytes ({}) than the golden stream ({}). Where the encoder was changed on purpose, \
             check that the stored streams still decode, and write them anew with FIELDPRESS_REGENERATE=1",
            case.name,
            one.len(),
            stored.len()
        );
        println!("{}: compress gives other bytes here", case.name);
    }
}

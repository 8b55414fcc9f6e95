//! Archives written under `mpirun`: random decompositions, all types and bounds, any number of ranks; what is in the
//! file is what the serial codec makes of the same boxes, whatever the number of ranks and whichever MPI.

mod run;

use fieldpress::archive::{Reader, Selection, VerifyDepth, verify};
use fieldpress::{Bound, Codec, FieldView, FieldViewMut, Options};
use proptest::prelude::*;
use run::scenario::{Put, Scenario, Variable, values};
use run::{cut, folder, random};

const RANKS: [usize; 4] = [1, 2, 4, 7];

fn codec_options() -> Options {
    Options::default().with_threads(1).with_fm(fieldpress::FmMode::Off)
}

fn read(reader: &Reader, variable: usize, step: u64) -> Vec<f64> {
    let info = reader.variable(variable).unwrap();
    let mut out = vec![0.0; info.shape.len()];
    match info.dtype {
        fieldpress::DType::F64 => reader
            .read(variable, &Selection::step(step), &mut FieldViewMut::new(&mut out, info.shape.dims()).unwrap())
            .unwrap(),
        fieldpress::DType::F32 => {
            let mut narrow = vec![0f32; out.len()];
            let mut view = FieldViewMut::new(&mut narrow, info.shape.dims()).unwrap();
            reader.read(variable, &Selection::step(step), &mut view).unwrap();
            out = narrow.iter().map(|&v| f64::from(v)).collect();
        }
    }
    out
}

/// A whole variable as it was put, rounded to its type.
fn original(scenario: &Scenario, variable: usize, step: usize) -> Vec<f64> {
    let info = &scenario.variables[variable];
    let exact = values(variable, step, &vec![0; info.dims.len()], &info.dims);
    if info.double { exact } else { exact.iter().map(|&v| f64::from(v as f32)).collect() }
}

/// Checks every bound on the global field, and every chunk against the serial codec.
fn check(scenario: &Scenario, window: usize) {
    let reader = Reader::open_with(scenario.path.as_ref(), codec_options()).unwrap();
    assert_eq!(reader.steps() as usize, scenario.steps);
    assert!(verify(&reader, VerifyDepth::Checksums).unwrap().damage.is_empty());
    for (number, variable) in scenario.variables.iter().enumerate() {
        let bound: Bound = variable.bound.parse().unwrap();
        for commit in reader.commits() {
            let (mut squared, mut points, mut largest) = (0.0, 0, 0.0f64);
            let (mut low, mut high, mut relative) = (f64::MAX, f64::MIN, 0.0f64);
            for step in commit.clone() {
                let (exact, decoded) = (original(scenario, number, step as usize), read(&reader, number, step));
                for (a, b) in exact.iter().zip(&decoded) {
                    squared += (a - b).powi(2);
                    largest = largest.max((a - b).abs());
                    relative = relative.max(if a == b { 0.0 } else { (a - b).abs() / a.abs() });
                    (low, high) = (low.min(*a), high.max(*a));
                }
                points += exact.len();
            }
            let (rmse, range) = ((squared / points as f64).sqrt(), high - low);
            let info = reader.commit_info(number, commit.start).unwrap().unwrap();
            assert_eq!((info.bound, info.range), (bound, range));
            match bound {
                Bound::Abs(e) => assert!(largest <= e),
                Bound::Rel(e) => assert!(largest <= e * range),
                Bound::Nrmse(e) => assert!(rmse <= e * range, "{rmse} {}", e * range),
                Bound::Psnr(db) => assert!(20.0 * (range / rmse).log10() >= db),
                Bound::BlockL2(_) => {}
                Bound::PwRel(e) => assert!(relative <= e),
                Bound::Lossless => assert_eq!(largest, 0.0),
                _ => unreachable!("no other bound is tried"),
            }
            // One budget for all ranks has no serial counterpart; everything else has.
            if matches!(bound, Bound::Nrmse(_) | Bound::Psnr(_)) {
                assert!((info.nrmse * range - rmse).abs() <= 1e-6 * range);
                continue;
            }
            if window == 1 {
                let codec = Codec::new(codec_options().with_range(range)).unwrap();
                for chunk in reader.chunks(number, commit.start).unwrap() {
                    let (start, count) = (&chunk.region.start, &chunk.region.count);
                    let part = values(number, commit.start as usize, start, count);
                    let narrow: Vec<f32> = part.iter().map(|&v| v as f32).collect();
                    let view = if variable.double {
                        FieldView::new(&part, count).unwrap()
                    } else {
                        FieldView::new(&narrow, count).unwrap()
                    };
                    assert!(reader.stream(&chunk).unwrap() == codec.compress(&view, bound).unwrap().0);
                }
            }
        }
    }
}

/// Deals the boxes of a cut out to ranks, leaving some ranks without.
fn deal(scenario: &mut Scenario, variable: usize, boxes: usize, ranks: usize, seed: &mut u64) {
    let dims = scenario.variables[variable].dims.clone();
    let writers = 1 + random(seed) as usize % ranks;
    for (start, count) in cut(&dims, boxes, seed) {
        let rank = ranks - 1 - random(seed) as usize % writers;
        scenario.puts.push(Put { rank, variable, step: None, start, count });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_decompositions(seed in 1u64.., ranks in prop::sample::select(&RANKS), window in 1usize..4, groups in 0usize..3, collective: bool) {
        let mut seed = seed;
        let folder = folder("round_trip");
        let mut scenario = Scenario {
            path: folder.join("a.fpa").display().to_string(),
            options: format!(
                "window={window};ranks_per_file={groups};sync=off;write={}",
                if collective { "collective;hints=cb_nodes:1" } else { "gathered" }
            ),
            steps: 1 + random(&mut seed) as usize % 4,
            read_back: true,
            ..Default::default()
        };
        let bounds = ["abs=1e-3", "rel=1e-3", "nrmse=1e-3", "psnr=55", "block_l2=0.05", "lossless", "pw_rel=1e-2"];
        for (k, bound) in bounds.iter().enumerate() {
            let ndim = 1 + random(&mut seed) as usize % 4;
            let dims = (0..ndim).map(|_| 3 + random(&mut seed) as usize % (40 / ndim)).collect();
            let double = random(&mut seed).is_multiple_of(2);
            scenario.variables.push(Variable { name: format!("v{k}"), dims, double, bound: (*bound).into() });
            let boxes = 1 + random(&mut seed) as usize % (2 * ranks);
            deal(&mut scenario, k, boxes, ranks, &mut seed);
        }
        let outcome = run::run(ranks, &folder, &scenario);
        prop_assert!(outcome.success, "{outcome:?}");
        for name in ["open", "close", "read", "run"] {
            prop_assert_eq!(outcome.call(name), vec!["ok"; ranks], "{}", &name);
        }
        check(&scenario, window);
    }
}

/// The same boxes written by 1, 2, 4 and 7 ranks: the same streams, byte by byte.
#[test]
fn the_number_of_ranks_changes_no_stream() {
    let folder = folder("ranks");
    let boxes = cut(&[20, 24, 18], 7, &mut 99);
    let mut streams: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut infos = Vec::new();
    for ranks in RANKS {
        let mut scenario = Scenario {
            path: folder.join(format!("{ranks}.fpa")).display().to_string(),
            options: "sync=off".into(),
            steps: 2,
            read_back: true,
            ..Default::default()
        };
        for (variable, bound) in ["rel=1e-3", "nrmse=1e-3"].into_iter().enumerate() {
            let name = bound.to_owned();
            scenario.variables.push(Variable { name, dims: vec![20, 24, 18], double: true, bound: bound.into() });
            for (k, (start, count)) in boxes.iter().cloned().enumerate() {
                scenario.puts.push(Put { rank: k % ranks, variable, step: None, start, count });
            }
        }
        let outcome = run::run(ranks, &folder, &scenario);
        assert!(outcome.success, "{outcome:?}");
        assert_eq!(outcome.call("read"), vec!["ok"; ranks]);
        check(&scenario, 1);
        let reader = Reader::open(scenario.path.as_ref()).unwrap();
        let mut chunks: Vec<_> = (0..2)
            .flat_map(|variable| (0..2).map(move |step| (variable, step)))
            .flat_map(|(variable, step)| {
                let mut chunks = reader.chunks(variable, step).unwrap();
                chunks.sort_by(|a, b| a.region.start.cmp(&b.region.start));
                chunks
            })
            .collect::<Vec<_>>();
        streams.push(chunks.drain(..).map(|chunk| reader.stream(&chunk).unwrap()).collect());
        infos.push([0, 1].map(|variable| [0, 1].map(|step| reader.commit_info(variable, step).unwrap().unwrap())));
    }
    assert!(infos.iter().all(|info| *info == infos[0]), "ranges and errors are the same to the bit: {infos:?}");
    for (other, ranks) in streams[1..].iter().zip(&RANKS[1..]) {
        let same = streams[0].iter().zip(other).filter(|(a, b)| a == b).count();
        assert_eq!(same, streams[0].len(), "{ranks} ranks");
    }
}

/// An archive's bytes without what differs from one to the next: its id, and the checksums of what holds the id.
fn without_id(path: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    let id: [u8; 16] = bytes[8..24].try_into().unwrap();
    let places: Vec<usize> = bytes.windows(16).enumerate().filter(|(_, b)| **b == id).map(|(k, _)| k).collect();
    for &place in &places {
        // Behind the id: the superblock's checksum, a slot's, a record header's (docs/archive.md).
        let crc = match &bytes[..place] {
            before if before.ends_with(b"FPAR\x02\0\0\0") => place + 16,
            before if before.ends_with(b"FPCS") => place + 32,
            before if before[place - 8..].starts_with(b"FPRC") => place + 52,
            _ => panic!("an id where none should be, at byte {place}"),
        };
        bytes[place..place + 16].fill(0);
        bytes[crc..crc + 4].fill(0);
    }
    assert!(places.len() >= 6, "superblock and slot twice, definitions, steps");
    bytes
}

/// The same decomposition gives the same file, byte for byte, as ranks make that are threads of this process: so also
/// under whichever MPI this runs. Only the archive's id differs, and what is made from it.
#[test]
fn the_file_does_not_depend_on_the_mpi() {
    let folder = folder("bytes");
    for (ranks, window) in [(1, 1), (2, 3), (4, 1), (7, 3)] {
        let mut seed = 7 + ranks as u64;
        let mut scenario = Scenario {
            path: folder.join(format!("{ranks}-mpi.fpa")).display().to_string(),
            options: format!("sync=off;window={window}"),
            steps: 5,
            ..Default::default()
        };
        for (k, bound) in ["nrmse=1e-3", "rel=1e-3", "psnr=60", "lossless", "nrmse=1e-2"].into_iter().enumerate() {
            let (name, double) = (format!("v{k}"), k % 2 == 0);
            scenario.variables.push(Variable { name, dims: vec![12, 20, 14], double, bound: bound.into() });
            deal(&mut scenario, k, 2 * ranks, ranks, &mut seed);
        }
        let outcome = run::run(ranks, &folder, &scenario);
        assert!(outcome.success, "{outcome:?}");
        let by_mpi = without_id(&scenario.path);
        scenario.path = folder.join(format!("{ranks}-threads.fpa")).display().to_string();
        run::threads::write(ranks, &scenario);
        let by_threads = without_id(&scenario.path);
        assert_eq!(by_mpi.len(), by_threads.len());
        let differing = by_mpi.iter().zip(&by_threads).position(|(a, b)| a != b);
        assert_eq!(differing, None, "{ranks} ranks");
        check(&scenario, window);
    }
}

/// One file for all ranks or one for each group: the same streams.
#[test]
fn a_restart_with_another_number_of_ranks_goes_on() {
    let folder = folder("restart");
    let path = folder.join("a.fpa").display().to_string();
    for (ranks, first_step, options) in
        [(4, 0, ""), (7, 3, ";ranks_per_file=3"), (2, 6, ";window=4"), (1, 6, ";keep=6")]
    {
        let mut scenario = Scenario {
            path: path.clone(),
            options: format!("mode=append{options}"),
            first_step,
            steps: 3,
            read_back: ranks != 1,
            ..Default::default()
        };
        let bound = "abs=1e-3".to_owned();
        scenario.variables.push(Variable { name: "u".into(), dims: vec![28, 30], double: false, bound });
        for rank in 0..ranks {
            let (from, until) = (rank * 28 / ranks, (rank + 1) * 28 / ranks);
            scenario.puts.push(Put {
                rank,
                variable: 0,
                step: None,
                start: vec![from, 0],
                count: vec![until - from, 30],
            });
        }
        let outcome = run::run(ranks, &folder, &scenario);
        assert!(outcome.success && outcome.call("close").iter().all(|call| call == "ok"), "{outcome:?}");
    }
    // 3 + 3 + 3 steps, then a restart that keeps the first 6 and writes 3 others.
    let reader = Reader::open(path.as_ref()).unwrap();
    let times: Vec<f64> = (0..reader.steps()).map(|step| reader.time(step).unwrap()).collect();
    assert_eq!(times, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    assert_eq!(reader.chunks(0, 8).unwrap().len(), 1);
}

/// More than one rank gathers at once: the ranks' data goes out one after another.
#[test]
fn much_data_goes_out_in_pieces() {
    let folder = folder("much");
    let mut scenario = Scenario {
        path: folder.join("a.fpa").display().to_string(),
        options: "sync=off;effort=0".into(),
        steps: 1,
        ..Default::default()
    };
    let (dims, bound) = (vec![160, 256, 256], "lossless".to_owned());
    scenario.variables.push(Variable { name: "u".into(), dims, double: true, bound });
    for rank in 0..2 {
        scenario.puts.push(Put {
            rank,
            variable: 0,
            step: None,
            start: vec![80 * rank, 0, 0],
            count: vec![80, 256, 256],
        });
    }
    let outcome = run::run(2, &folder, &scenario);
    assert!(outcome.success && outcome.call("close").iter().all(|call| call == "ok"), "{outcome:?}");
    let reader = Reader::open(scenario.path.as_ref()).unwrap();
    assert!(reader.commit_info(0, 0).unwrap().unwrap().stream_bytes > 64 << 20, "as much as one rank does not gather");
    assert!(read(&reader, 0, 0) == original(&scenario, 0, 0));
    std::fs::remove_file(&scenario.path).unwrap();
}

/// A model that only the archive has: read by all ranks, each of which gets it from rank 0.
#[test]
fn an_embedded_model_reaches_all_ranks() {
    let folder = folder("model");
    let (from, model) =
        (std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../models/default"), folder.join("tuned"));
    std::fs::create_dir_all(&model).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    // As a package that a user has tuned: another hash than the compiled-in one's.
    let manifest = model.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replacen("\"created\": \"", "\"created\": \"tuned ", 1)).unwrap();
    let mut scenario = Scenario {
        path: folder.join("a.fpa").display().to_string(),
        options: format!("fm=on;window=9;embed_model=on;model={}", model.display()),
        steps: 9,
        ..Default::default()
    };
    let bound = "nrmse=1e-3".to_owned();
    scenario.variables.push(Variable { name: "u".into(), dims: vec![64, 128], double: true, bound });
    for rank in 0..2 {
        scenario.puts.push(Put { rank, variable: 0, step: None, start: vec![0, 64 * rank], count: vec![64, 64] });
    }
    let outcome = run::run(2, &folder, &scenario);
    assert!(outcome.success, "{outcome:?}");
    assert_eq!(outcome.call("run"), vec!["ok"; 2]);
    let ended = outcome.call("end_step 8");
    assert_eq!(ended, vec!["ok"; 2], "this test needs ONNX Runtime: set ORT_DYLIB_PATH (tools/test does)");
    std::fs::remove_dir_all(&model).unwrap();
    // Another job, which only reads, and knows of no model: it runs that of the archive where it is told to, alone.
    (scenario.options, scenario.steps, scenario.read_back) = ("mode=append".into(), 0, true);
    let outcome = run::run(3, &folder, &scenario);
    assert!(outcome.call("read").iter().all(|said| said.contains("trust_embedded_model=1")), "{outcome:?}");
    scenario.options = "mode=append;trust_embedded_model=1".into();
    let outcome = run::run(3, &folder, &scenario);
    assert_eq!(outcome.call("read"), vec!["ok"; 3], "{outcome:?}");
}

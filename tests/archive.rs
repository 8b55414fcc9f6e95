//! Archives by one process: round trips, windows, names, restarts.

mod common;

use common::archive::{codec_options, cut, errors, folder, global, options, put_step, range, read, variable, write};
use fieldpress::archive::{Attribute, Mode, Reader, Selection, Serial, Writer, WriterOptions, repair};
use fieldpress::{Bound, Codec, DType, Element, ErrorKind, FieldView, FieldViewMut, Region};

#[test]
fn bounds_hold_on_the_global_field() {
    let dims = [12, 40, 30];
    let folder = folder("bounds");
    let values = global(&dims, 0);
    for (k, bound) in [
        Bound::Abs(0.01),
        Bound::Rel(1e-3),
        Bound::Nrmse(1e-3),
        Bound::Psnr(50.0),
        Bound::BlockL2(0.5),
        Bound::Lossless,
        Bound::PwRel(1e-3),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.join(format!("{k}.fpa"));
        write(&path, options(), &dims, 0..1, bound);
        let reader = Reader::open(&path).unwrap();
        let decoded = read(&reader, 0, &Selection::step(0)).unwrap();
        let ((rmse, largest), range) = (errors(&values, &decoded), range(&values));
        let info = reader.commit_info(0, 0).unwrap().unwrap();
        assert_eq!((info.bound, info.range, info.chunks), (bound, range, 2));
        assert!((info.nrmse * range - rmse).abs() <= 1e-6 * range, "{bound}: {} {rmse}", info.nrmse * range);
        match bound {
            Bound::Abs(e) => assert!(largest <= e),
            Bound::Rel(e) => assert!(largest <= e * range),
            Bound::Nrmse(e) => assert!(rmse <= e * range && rmse >= 0.97 * e * range, "{rmse} {}", e * range),
            Bound::Psnr(db) => {
                let psnr = 20.0 * (range / rmse).log10();
                assert!(psnr >= db && psnr < db + 0.3, "{psnr}");
            }
            Bound::BlockL2(_) => {}
            Bound::Lossless => assert_eq!(largest, 0.0),
            Bound::PwRel(e) => {
                assert!(values.iter().zip(&decoded).all(|(a, b)| (a - b).abs() <= e * a.abs()) && largest > 0.0);
            }
            _ => unreachable!("no other bound is tried"),
        }
    }
}

/// What is next to nothing of the range, or far beyond it.
#[test]
fn bounds_of_any_size_hold() {
    let dims = [12, 40, 30];
    let folder = folder("sizes");
    let values = global(&dims, 0);
    for (k, size) in [1e-320, 1e-200, 1e-150, 1e-20, 1e20, 1e200].into_iter().enumerate() {
        for bound in [Bound::Nrmse(size), Bound::Abs(size), Bound::Rel(size)] {
            let path = folder.join(format!("{k}-{}.fpa", bound.name()));
            write(&path, options(), &dims, 0..1, bound);
            let decoded = read(&Reader::open(&path).unwrap(), 0, &Selection::step(0)).unwrap();
            let (rmse, largest) = errors(&values, &decoded);
            let error = if matches!(bound, Bound::Nrmse(_)) { rmse } else { largest };
            assert!(error <= size * range(&values).max(1.0), "{bound}: {error}");
        }
    }
}

/// Sums of squares over ranks are in units of the range: those of very small or large values are no f64 numbers.
#[test]
fn budgets_are_shared_at_any_magnitude() {
    let dims = [12, 40, 30];
    let folder = folder("magnitude");
    let told = |exponent: i32| {
        let unit = 2f64.powi(exponent);
        let values: Vec<f64> = global(&dims, 0).iter().map(|v| v * unit).collect();
        let path = folder.join(format!("{exponent}.fpa"));
        let mut writer = Writer::open(Box::new(Serial), &path, options()).unwrap();
        let id = writer.define(variable("t", &dims, DType::F64)).unwrap();
        writer.begin_step(0.0).unwrap();
        for half in 0..2 {
            let part = &values[half * values.len() / 2..][..values.len() / 2];
            let view = FieldView::new(part, &[6, 40, 30]).unwrap();
            writer.put(id, &[6 * half, 0, 0], &view, Bound::Nrmse(1e-3)).unwrap();
        }
        writer.end_step().unwrap();
        writer.close().unwrap();
        let reader = Reader::open(&path).unwrap();
        let decoded = read(&reader, 0, &Selection::step(0)).unwrap();
        let scale = |values: &[f64]| values.iter().map(|v| v / unit).collect::<Vec<f64>>();
        let (rmse, _) = errors(&scale(&values), &scale(&decoded));
        let info = reader.commit_info(0, 0).unwrap().unwrap();
        assert!((info.nrmse - rmse / (info.range / unit)).abs() < 1e-9, "{} {rmse}", info.nrmse);
        assert!(info.nrmse <= 1e-3 && info.nrmse > 0.97e-3, "2^{exponent}: {}", info.nrmse);
        info.stream_bytes
    };
    let usual = told(0);
    assert!([-900, 900].iter().all(|&exponent| told(exponent) == usual));
}

#[test]
fn chunks_are_the_codecs_own_streams() {
    let dims = [9, 20, 17];
    let path = folder("streams").join("a.fpa");
    write(&path, options(), &dims, 0..2, Bound::Rel(1e-3));
    let reader = Reader::open(&path).unwrap();
    for step in 0..2 {
        let values = global(&dims, step as usize);
        let codec = Codec::new(codec_options().with_range(range(&values))).unwrap();
        for chunk in reader.chunks(0, step).unwrap() {
            let part = cut(&values, &dims, &chunk.region);
            let view = FieldView::new(&part, &chunk.region.count).unwrap();
            let (stream, _) = codec.compress(&view, Bound::Rel(1e-3)).unwrap();
            assert!(reader.stream(&chunk).unwrap() == stream, "step {step}, rank {}", chunk.rank);
        }
    }
}

#[test]
fn windows_read_back_by_step_box_and_series() {
    for dims in [vec![30], vec![20, 25], vec![6, 20, 25]] {
        for window in [1, 3, 8] {
            let path = folder("windows").join(format!("{}-{window}.fpa", dims.len()));
            let options = WriterOptions { window, ..options() };
            write(&path, options, &dims, 0..10, Bound::Abs(1e-3));
            let reader = Reader::open(&path).unwrap();
            assert_eq!(reader.steps(), 10);
            assert_eq!(reader.commits().len(), 10usize.div_ceil(window));
            assert_eq!(reader.time(7).unwrap(), 3.5);
            let region = Region {
                start: dims.iter().map(|n| n / 3).collect(),
                count: dims.iter().map(|n| n - n / 3 - 2).collect(),
            };
            for step in 0..10 {
                let values = global(&dims, step);
                let whole = read(&reader, 0, &Selection::step(step as u64)).unwrap();
                assert!(errors(&values, &whole).1 <= 1e-3);
                let selection = Selection { region: Some(region.clone()), ..Selection::step(step as u64) };
                assert_eq!(read(&reader, 0, &selection).unwrap(), cut(&whole, &dims, &region));
            }
            let selection = Selection { steps: 2..9, region: Some(region.clone()), missing: None };
            let series = read(&reader, 0, &selection).unwrap();
            let points: usize = region.count.iter().product();
            for (k, part) in series.chunks(points).enumerate() {
                let whole = read(&reader, 0, &Selection::step(2 + k as u64)).unwrap();
                assert_eq!(part, cut(&whole, &dims, &region));
            }
        }
    }
}

#[test]
fn both_types_masks_and_several_variables() {
    let path = folder("several").join("a.fpa");
    let mut writer = Writer::open(Box::new(Serial), &path, options()).unwrap();
    writer.set_attribute(None, "title", Attribute::Text("test".into())).unwrap();
    let a = writer.define(variable("a", &[8, 10], DType::F32)).unwrap();
    let b = writer.define(variable("b", &[5], DType::F64)).unwrap();
    let mut values: Vec<f32> = global(&[8, 10], 0).iter().map(|&v| v as f32).collect();
    values[13] = f32::NAN;
    writer.begin_step(0.0).unwrap();
    writer.put(a, &[0, 0], &FieldView::new(&values, &[8, 10]).unwrap(), Bound::Nrmse(1e-3)).unwrap();
    writer.end_step().unwrap();
    writer.begin_step(1.0).unwrap();
    writer.put(b, &[1], &FieldView::new(&[1.0, 2.0, 4.0], &[3]).unwrap(), Bound::Lossless).unwrap();
    writer.end_step().unwrap();
    // A step without anything.
    writer.begin_step(2.0).unwrap();
    writer.end_step().unwrap();
    writer.close().unwrap();

    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.definitions().attributes, [("title".to_owned(), Attribute::Text("test".into()))]);
    let mut out = vec![0f32; 80];
    reader.read(0, &Selection::step(0), &mut FieldViewMut::new(&mut out, &[8, 10]).unwrap()).unwrap();
    assert!(out[13].is_nan() && out.iter().filter(|v| v.is_nan()).count() == 1);
    let error = read(&reader, 1, &Selection::step(1)).unwrap_err();
    assert!(error.message().contains("2 of 5 points"), "{error}");
    let filled = Selection { missing: Some(-1.0), ..Selection::step(1) };
    assert_eq!(read(&reader, 1, &filled).unwrap(), [-1.0, 1.0, 2.0, 4.0, -1.0]);
    assert_eq!(reader.commit_info(1, 0).unwrap(), None);
    assert_eq!(reader.steps(), 3);
    for (variable, step) in [(0, 3), (2, 0)] {
        assert_eq!(reader.chunks(variable, step).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

/// Each variable has a fill value of its own: points that hold it touch no range, and come back as they were.
#[test]
fn variables_have_fill_values_of_their_own() {
    let path = folder("fill").join("a.fpa");
    let dims = [6, 40];
    for window in [1, 4] {
        let replace = WriterOptions { mode: Mode::Replace, window, ..options() };
        let mut writer = Writer::open(Box::new(Serial), &path, replace).unwrap();
        let fills = [Attribute::Reals(vec![1e20]), Attribute::Integers(vec![-9999]), Attribute::Text("none".into())];
        let ids: Vec<_> =
            ["a", "b", "c"].iter().map(|name| writer.define(variable(name, &dims, DType::F64)).unwrap()).collect();
        for (id, fill) in ids.iter().zip(&fills) {
            writer.set_attribute(Some(*id), "_FillValue", fill.clone()).unwrap();
        }
        let values = |fill: f64, step: usize| {
            let mut values = global(&dims, step);
            (30..90).for_each(|at| values[at] = fill);
            values
        };
        for step in 0..4 {
            writer.begin_step(step as f64).unwrap();
            for (id, fill) in ids.iter().zip([1e20, -9999.0, 0.5]) {
                let values = values(fill, step);
                writer.put(*id, &[0, 0], &FieldView::new(&values, &dims).unwrap(), Bound::Rel(1e-3)).unwrap();
            }
            writer.end_step().unwrap();
        }
        writer.close().unwrap();
        let reader = Reader::open(&path).unwrap();
        let known: Vec<_> = reader.definitions().variables.iter().map(|info| info.fill_value()).collect();
        assert_eq!(known, [Some(1e20), Some(-9999.0), None]);
        for (number, fill) in [1e20, -9999.0].into_iter().enumerate() {
            for step in 0..4 {
                let (exact, decoded) =
                    (values(fill, step), read(&reader, number, &Selection::step(step as u64)).unwrap());
                let info = reader.commit_info(number, step as u64).unwrap().unwrap();
                assert!(info.range < 20.0, "{}", info.range);
                for (a, b) in exact.iter().zip(&decoded) {
                    assert!(if *a == fill { a == b } else { (a - b).abs() <= 1e-3 * info.range });
                }
            }
        }
    }
}

#[test]
fn mistakes_leave_the_other_steps_alone() {
    let dims = [8, 10];
    let path = folder("mistakes").join("a.fpa");
    let mut writer = Writer::open(Box::new(Serial), &path, options()).unwrap();
    let id = writer.define(variable("t", &dims, DType::F64)).unwrap();
    assert!(writer.define(variable("t", &[3], DType::F64)).unwrap_err().message().contains("8x10"));
    let values = global(&dims, 0);
    let view = FieldView::new(&values, &dims).unwrap();
    assert!(writer.put(id, &[0, 0], &view, Bound::Abs(1.0)).unwrap_err().message().contains("begin"));
    assert!(writer.end_step().is_err());
    let single: Vec<f32> = vec![0.0; 80];
    for round in 0..6 {
        writer.begin_step(0.0).unwrap();
        let what = match round {
            0 => writer.put(id, &[1, 0], &view, Bound::Abs(1.0)).map(|()| ""),
            1 => writer.put(id, &[0, 0], &FieldView::new(&single, &dims).unwrap(), Bound::Abs(1.0)).map(|()| ""),
            2 => writer
                .put(fieldpress::archive::VariableId::from_number(4), &[0, 0], &view, Bound::Abs(1.0))
                .map(|()| ""),
            3 => {
                writer.put(id, &[0, 0], &view, Bound::Abs(1.0)).unwrap();
                writer
                    .put(id, &[7, 0], &FieldView::new(&values[..10], &[1, 10]).unwrap(), Bound::Abs(1.0))
                    .map(|()| "overlap")
            }
            4 => {
                writer.put(id, &[0, 0], &FieldView::new(&values[..10], &[1, 10]).unwrap(), Bound::Nrmse(1.0)).unwrap();
                writer
                    .put(id, &[7, 0], &FieldView::new(&values[..10], &[1, 10]).unwrap(), Bound::Nrmse(0.5))
                    .map(|()| "bound")
            }
            _ => writer
                .begin_step(1.0)
                .map(|()| "")
                .and(writer.put(id, &[0, 0], &view, Bound::Abs(1.0)).map(|()| "fine")),
        };
        let ended = writer.end_step();
        match what {
            Ok("fine") => drop(ended.unwrap()),
            Ok(word) => assert!(ended.unwrap_err().message().contains(word)),
            Err(error) if round < 5 => assert_eq!(ended.unwrap_err().message(), error.message()),
            Err(error) => {
                // Beginning twice is refused at once, and does not spoil the step.
                assert!(error.message().contains("a step begins"));
                ended.unwrap();
            }
        }
    }
    writer.close().unwrap();
    assert_eq!(Reader::open(&path).unwrap().steps(), 1);
}

/// A step that an error drops leaves nothing behind, also not in the range that bounds refer to.
#[test]
fn a_dropped_step_does_not_widen_the_range() {
    let dims = [8, 30];
    let path = folder("dropped").join("a.fpa");
    let mut writer = Writer::open(Box::new(Serial), &path, WriterOptions { window: 2, ..options() }).unwrap();
    let id = writer.define(variable("t", &dims, DType::F64)).unwrap();
    let put = |writer: &mut Writer, values: &[f64], bound| {
        writer.put(id, &[0, 0], &FieldView::new(values, &dims).unwrap(), bound)
    };
    let (first, second) = (global(&dims, 0), global(&dims, 1));
    writer.begin_step(0.0).unwrap();
    put(&mut writer, &first, Bound::Nrmse(1e-3)).unwrap();
    writer.end_step().unwrap();
    // A spike, and a bound that is not the window's: the step's error, and not the window's.
    let mut spiked = second.clone();
    spiked[17] = 1e4;
    writer.begin_step(1.0).unwrap();
    put(&mut writer, &spiked, Bound::Nrmse(1e-3)).unwrap();
    assert!(put(&mut writer, &second, Bound::Abs(1.0)).unwrap_err().message().contains("one bound holds"));
    assert!(writer.end_step().unwrap_err().message().contains("one bound holds"));
    writer.begin_step(1.0).unwrap();
    put(&mut writer, &second, Bound::Nrmse(1e-3)).unwrap();
    writer.end_step().unwrap();
    writer.close().unwrap();
    let reader = Reader::open(&path).unwrap();
    let both = [first, second].concat();
    let decoded = read(&reader, 0, &Selection { steps: 0..2, ..Selection::step(0) }).unwrap();
    let (rmse, range) = (errors(&both, &decoded).0, range(&both));
    assert!(rmse <= 1e-3 * range, "{rmse} of {range}");
    assert_eq!(reader.commit_info(0, 0).unwrap().unwrap().range, range);
}

/// `close` and `flush` drop the step in progress, and no other.
#[test]
fn steps_that_ended_survive_a_bad_end() {
    let dims = [8, 30];
    let path = folder("bad-end").join("a.fpa");
    let mut writer = Writer::open(Box::new(Serial), &path, WriterOptions { window: 8, ..options() }).unwrap();
    let id = writer.define(variable("t", &dims, DType::F64)).unwrap();
    for step in 0..3 {
        put_step(&mut writer, id, &dims, step, Bound::Abs(1e-3));
        writer.end_step().unwrap();
    }
    // A put that fails, and is not heard of at once.
    put_step(&mut writer, id, &dims, 3, Bound::Abs(1e-3));
    writer.put(id, &[7, 7], &FieldView::new(&global(&dims, 3), &dims).unwrap(), Bound::Abs(1e-3)).unwrap_err();
    assert!(writer.flush().is_err());
    assert!(writer.end_step().unwrap_err().message().contains("not begun"));
    put_step(&mut writer, id, &dims, 3, Bound::Abs(1e-3));
    assert!(writer.close().unwrap_err().message().contains("during a step"));
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.steps(), 3);
    assert!((0..3).all(|step| read(&reader, 0, &Selection::step(step)).is_ok()));
}

/// Files beside the archive have the same numbers in every session; what is kept of one must not be taken for
/// another's.
#[test]
fn sessions_with_files_of_their_own_read_back() {
    let dims = [8, 30];
    let path = folder("sessions").join("a.fpa");
    let options = WriterOptions { window: 4, ranks_per_file: 1, mode: Mode::Append, ..options() };
    // One that is met by transforms, which follow.
    let bound = Bound::Nrmse(1e-5);
    write(&path, options.clone(), &dims, 0..8, bound);
    write(&path, options, &dims, 8..16, bound);
    let reader = Reader::open(&path).unwrap();
    assert!(reader.chunks(0, 12).unwrap().iter().any(|chunk| chunk.depth > 0));
    for step in 0..16 {
        let decoded = read(&reader, 0, &Selection::step(step)).unwrap();
        assert!(errors(&global(&dims, step as usize), &decoded).1 <= 1e-3, "{step}");
    }
}

#[test]
fn names_are_taken_at_the_first_commit() {
    let folder = folder("names");
    let path = folder.join("a.fpa");
    let partial = folder.join("a.fpa.partial");
    let dims = [8, 10];
    let mut writer = Writer::open(Box::new(Serial), &path, options()).unwrap();
    let id = writer.define(variable("t", &dims, DType::F64)).unwrap();
    assert!(partial.exists() && !path.exists());
    put_step(&mut writer, id, &dims, 0, Bound::Abs(1.0));
    writer.end_step().unwrap();
    assert!(!partial.exists() && path.exists());
    writer.close().unwrap();
    let before = std::fs::read(&path).unwrap();

    let error = Writer::open(Box::new(Serial), &path, options()).err().unwrap();
    assert!(error.kind() == ErrorKind::Io && error.message().contains("exists"), "{error}");
    // Replacing touches nothing before its first commit, and nothing at all without one.
    let replace = || WriterOptions { mode: Mode::Replace, ..options() };
    Writer::open(Box::new(Serial), &path, replace()).unwrap().close().unwrap();
    assert!(std::fs::read(&path).unwrap() == before && !partial.exists());
    write(&path, replace(), &[4], 0..2, Bound::Abs(1.0));
    assert_eq!(Reader::open(&path).unwrap().steps(), 2);
    let error = Writer::open(Box::new(Serial), &folder.join("no/such/folder.fpa"), options()).err().unwrap();
    assert!(error.kind() == ErrorKind::Io && error.message().contains("no/such"), "{error}");
}

#[test]
fn appending_goes_on_and_drops_what_was_not_committed() {
    let path = folder("append").join("a.fpa");
    let dims = [8, 10];
    let append = |keep| WriterOptions { mode: Mode::Append, keep, ..options() };
    write(&path, append(None), &dims, 0..3, Bound::Abs(1e-3));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], &[7; 5000]].concat()).unwrap();
    write(&path, append(None), &dims, 3..5, Bound::Abs(1e-3));
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.steps(), 5);
    assert!(std::fs::read(&path).unwrap()[8192..].starts_with(&whole[8192..]), "committed bytes never change");
    // A restart from step 2: steps 2 to 4 are written anew, in another way.
    let error = Writer::open(Box::new(Serial), &path, append(Some(9))).err().unwrap();
    assert!(error.message().contains("keep=9"), "{error}");
    write(&path, append(Some(2)), &dims, 7..8, Bound::Abs(1e-3));
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.steps(), 3);
    for (step, source) in [(0, 0), (1, 1), (2, 7)] {
        assert!(errors(&global(&dims, source), &read(&reader, 0, &Selection::step(step)).unwrap()).1 <= 1e-3);
        assert_eq!(reader.time(step).unwrap(), source as f64 * 0.5);
    }
    // Repair finds the same steps, although those that were dropped are still in the file.
    let again = path.with_extension("repaired");
    let repaired = repair(&path, &again).unwrap();
    assert!(repaired.losses.is_empty() && repaired.steps == 3, "{repaired:?}");
    let repaired = Reader::open(&again).unwrap();
    for step in 0..3 {
        let selection = Selection::step(step);
        assert_eq!(read(&repaired, 0, &selection).unwrap(), read(&reader, 0, &selection).unwrap());
    }
}

#[test]
fn long_archives_open_through_their_blocks() {
    let path = folder("long").join("a.fpa");
    write(&path, WriterOptions { sync: false, ..options() }, &[6], 0..300, Bound::Lossless);
    let reader = Reader::open(&path).unwrap();
    assert_eq!((reader.steps(), reader.commits().len()), (300, 300));
    for step in [0, 63, 64, 65, 200, 299] {
        assert_eq!(read(&reader, 0, &Selection::step(step)).unwrap(), global(&[6], step as usize));
    }
}

/// Bytes of the index for each chunk, where boxes lie far apart in a large domain, so that nothing about one says much
/// about the next.
#[test]
fn the_index_is_small() {
    let path = folder("index").join("a.fpa");
    let mut writer = Writer::open(Box::new(Serial), &path, options()).unwrap();
    let id = writer.define(variable("t", &[1 << 20, 1 << 20, 1 << 10], DType::F64)).unwrap();
    let values: Vec<f64> = (0..200).map(|k| f64::from(k * k % 17)).collect();
    for step in 0..2 {
        writer.begin_step(f64::from(step)).unwrap();
        let chunks = 1000;
        for k in 0..chunks {
            let start = [k * 1009, (chunks - k) * 997, k % 1000];
            let field = FieldView::new(&values, &[10, 10, 2]).unwrap();
            writer.put(id, &start, &field, Bound::Abs(0.1)).unwrap();
        }
        let report = writer.end_step().unwrap();
        assert!(report.index_bytes < 26 * chunks as u64, "{} bytes for {chunks} chunks", report.index_bytes);
    }
    writer.close().unwrap();
}

#[test]
fn quiet_and_busy_boxes_share_one_budget() {
    // Two halves: one nearly still, one busy. Apart, each would use its own budget up.
    let dims = [16, 64, 64];
    let path = folder("share").join("a.fpa");
    let n: usize = dims.iter().product();
    let noise = |i: usize| (i.wrapping_mul(2654435761) >> 7) as f64 % 1000.0 / 1000.0 - 0.5;
    let values: Vec<f64> = (0..n)
        .map(|i| {
            let (y, x) = ((i / 64) % 64, i % 64);
            let busy = i >= n / 2;
            (y as f64 * 0.1).sin() + (x as f64 * 0.07).cos() + if busy { 1.0 } else { 1e-4 } * noise(i)
        })
        .collect();
    // Streams of some hundred bytes or more: shorter ones cannot use a budget up to the last per cent.
    let epsilon = 0.02;
    let halves = [&values[..n / 2], &values[n / 2..]];
    let mut writer = Writer::open(Box::new(Serial), &path, options()).unwrap();
    let id = writer.define(variable("t", &dims, DType::F64)).unwrap();
    writer.begin_step(0.0).unwrap();
    for (k, half) in halves.iter().enumerate() {
        writer.put(id, &[8 * k, 0, 0], &FieldView::new(half, &[8, 64, 64]).unwrap(), Bound::Nrmse(epsilon)).unwrap();
    }
    let report = writer.end_step().unwrap();
    writer.close().unwrap();
    let decoded = read(&Reader::open(&path).unwrap(), 0, &Selection::step(0)).unwrap();
    let range = range(&values);
    let (rmse, _) = errors(&values, &decoded);
    assert!(rmse <= epsilon * range && rmse >= 0.97 * epsilon * range, "{rmse} of {}", epsilon * range);
    let shares: Vec<f64> =
        halves.iter().zip([&decoded[..n / 2], &decoded[n / 2..]]).map(|(a, b)| errors(a, b).0).collect();
    assert!(shares[1] > 1.3 * shares[0], "the busy half spends more: {shares:?}");
    // What each half using the same error costs.
    let codec = Codec::new(codec_options().with_range(range)).unwrap();
    let apart: usize = halves
        .iter()
        .map(|half| {
            codec.compress(&FieldView::new(half, &[8, 64, 64]).unwrap(), Bound::Nrmse(epsilon)).unwrap().0.len()
        })
        .sum();
    println!("together {} bytes, apart {apart}", report.stream_bytes);
    assert!(report.stream_bytes < apart as u64);
}

#[test]
fn types_must_fit() {
    fn refused<T: Element + Default>(reader: &Reader, dims: &[usize]) -> String {
        let mut out = vec![T::from_f64(0.0); dims.iter().product()];
        let mut view = FieldViewMut::new(&mut out, dims).unwrap();
        reader.read(0, &Selection::step(0), &mut view).unwrap_err().message().to_owned()
    }
    let path = folder("types").join("a.fpa");
    write(&path, options(), &[4, 6], 0..2, Bound::Abs(1.0));
    let reader = Reader::open(&path).unwrap();
    assert!(refused::<f32>(&reader, &[4, 6]).contains("f64"));
    assert!(refused::<f64>(&reader, &[6, 4]).contains("4x6"));
    // One step, with and without its axis, and strided.
    let plain = read(&reader, 0, &Selection::step(1)).unwrap();
    let mut with_axis = vec![0.0; 24];
    reader.read(0, &Selection::step(1), &mut FieldViewMut::new(&mut with_axis, &[1, 4, 6]).unwrap()).unwrap();
    assert_eq!(plain, with_axis);
    let mut strided = vec![-7.0; 4 * 9];
    reader.read(0, &Selection::step(1), &mut FieldViewMut::strided(&mut strided, &[4, 6], &[9, 1]).unwrap()).unwrap();
    for (row, wanted) in strided.chunks(9).zip(plain.chunks(6)) {
        assert_eq!(&row[..6], wanted);
        assert!(row[6..].iter().all(|&v| v == -7.0));
    }
}

//! Archives by one process: round trips, windows, restarts, damage, and what a crash at any moment leaves.

use fieldpress::archive::{
    Attribute, Mode, Reader, Selection, Serial, VariableInfo, Writer, WriterOptions, repair, verify,
};
use fieldpress::{Bound, Codec, DType, Element, ErrorKind, FieldView, FieldViewMut, Options, Region, Shape};
use std::path::{Path, PathBuf};

fn codec_options() -> Options {
    Options { threads: Some(1), fm: fieldpress::FmMode::Off, ..Default::default() }
}

fn options() -> WriterOptions {
    WriterOptions { codec: codec_options(), ..Default::default() }
}

fn variable(name: &str, dims: &[usize], dtype: DType) -> VariableInfo {
    let attributes = vec![("units".to_owned(), Attribute::Text("K".into()))];
    VariableInfo { name: name.into(), shape: Shape::new(dims).unwrap(), dtype, attributes }
}

/// A smooth field of the whole domain at a step.
fn global(dims: &[usize], step: usize) -> Vec<f64> {
    let n: usize = dims.iter().product();
    (0..n)
        .map(|i| {
            let (mut rest, mut value) = (i, 0.0);
            for (axis, &size) in dims.iter().enumerate().rev() {
                value += ((rest % size) as f64 * (0.21 + 0.1 * axis as f64) + step as f64 * 0.3).sin();
                rest /= size;
            }
            value + 0.01 * ((i * 7919 + step * 131) % 101) as f64
        })
        .collect()
}

/// The values of a box.
fn cut<T: Copy>(values: &[T], dims: &[usize], region: &Region) -> Vec<T> {
    let mut out = Vec::new();
    let n: usize = region.count.iter().product();
    for i in 0..n {
        let (mut rest, mut at, mut stride) = (i, 0, 1);
        for axis in (0..dims.len()).rev() {
            at += (region.start[axis] + rest % region.count[axis]) * stride;
            rest /= region.count[axis];
            stride *= dims[axis];
        }
        out.push(values[at]);
    }
    out
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("archive").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn read(reader: &Reader, variable: usize, selection: &Selection) -> fieldpress::Result<Vec<f64>> {
    let shape = selection.output_shape(reader.variable(variable)?)?;
    let mut out = vec![0.0; shape.len()];
    reader.read(variable, selection, &mut FieldViewMut::new(&mut out, shape.dims())?)?;
    Ok(out)
}

/// Writes steps of one variable in two boxes.
fn write(path: &Path, options: WriterOptions, dims: &[usize], steps: std::ops::Range<usize>, bound: Bound) {
    let mut writer = Writer::open(Box::new(Serial), path, options).unwrap();
    let id = writer.define(variable("t", dims, DType::F64)).unwrap();
    for step in steps {
        put_step(&mut writer, id, dims, step, bound);
        writer.end_step().unwrap();
    }
    writer.close().unwrap();
}

fn put_step(writer: &mut Writer, id: fieldpress::archive::VariableId, dims: &[usize], step: usize, bound: Bound) {
    let values = global(dims, step);
    writer.begin_step(step as f64 * 0.5).unwrap();
    let half = dims[0] / 2;
    for (from, count) in [(0, half), (half, dims[0] - half)] {
        let mut region = Region::whole(&Shape::new(dims).unwrap());
        (region.start[0], region.count[0]) = (from, count);
        let part = cut(&values, dims, &region);
        writer.put(id, &region.start, &FieldView::new(&part, &region.count).unwrap(), bound).unwrap();
    }
}

fn errors(a: &[f64], b: &[f64]) -> (f64, f64) {
    let squared: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    let largest = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    ((squared / a.len() as f64).sqrt(), largest)
}

fn range(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::MIN, f64::max) - values.iter().copied().fold(f64::MAX, f64::min)
}

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
        }
    }
}

#[test]
fn chunks_are_the_codecs_own_streams() {
    let dims = [9, 20, 17];
    let path = folder("streams").join("a.fpa");
    write(&path, options(), &dims, 0..2, Bound::Rel(1e-3));
    let reader = Reader::open(&path).unwrap();
    for step in 0..2 {
        let values = global(&dims, step as usize);
        let codec = Codec::new(Options { range: Some(range(&values)), ..codec_options() }).unwrap();
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
    assert!(std::fs::read(&path).unwrap()[4096..].starts_with(&whole[4096..]), "committed bytes never change");
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
    let epsilon = 0.03;
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
    let codec = Codec::new(Options { range: Some(range), ..codec_options() }).unwrap();
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
fn damage_is_found_named_and_left_behind() {
    let folder = folder("damage");
    let path = folder.join("a.fpa");
    let dims = [8, 30];
    write(&path, options(), &dims, 0..4, Bound::Abs(1e-3));
    let reader = Reader::open(&path).unwrap();
    assert!(verify(&reader, true).unwrap().damage.is_empty());
    let bytes = std::fs::read(&path).unwrap();
    let chunk = reader.chunks(0, 1).unwrap()[1].clone();
    let stream = reader.stream(&chunk).unwrap();
    let at = bytes.windows(stream.len()).position(|window| window == stream).unwrap();

    let mut damaged = bytes.clone();
    damaged[at + stream.len() / 2] ^= 1;
    let broken = folder.join("broken.fpa");
    std::fs::write(&broken, &damaged).unwrap();
    let reader = Reader::open(&broken).unwrap();
    let verified = verify(&reader, false).unwrap();
    assert_eq!((verified.chunks, verified.damage.len()), (8, 1));
    let message = verified.damage[0].error.message();
    assert!(message.contains("rank 0") && message.contains("start [4, 0]"), "{message}");
    assert!(read(&reader, 0, &Selection::step(1)).is_err());
    assert!(read(&reader, 0, &Selection::step(2)).is_ok());

    // Without superblock and slots, too.
    damaged[..2048].fill(0);
    std::fs::write(&broken, &damaged).unwrap();
    assert_eq!(Reader::open(&broken).err().unwrap().kind(), ErrorKind::Corrupt);
    let saved = folder.join("saved.fpa");
    let repaired = repair(&broken, &saved).unwrap();
    assert_eq!((repaired.steps, repaired.chunks, repaired.losses.len()), (4, 7, 1), "{repaired:?}");
    let reader = Reader::open(&saved).unwrap();
    assert!(verify(&reader, true).unwrap().damage.is_empty());
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
    assert!(verify(&saved, true).unwrap().damage.is_empty());
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
        let (slots, rest): (Vec<usize>, Vec<usize>) = sectors.into_iter().partition(|&k| k < 8);
        assert_eq!(slots.len(), 1, "a commit writes one slot");
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
        // The slot itself, byte by byte.
        for cut in 0..=40 {
            let mut bytes = after.clone();
            let place = slots[0] * 512;
            let old = &before[place..place + 512];
            bytes[place + cut..place + 512].copy_from_slice(&old[cut..]);
            let there = check(&bytes, &format!("step {step}, {cut} bytes of the slot"));
            assert!(there == step as u64 || cut >= 36 && there == step as u64 + 1);
        }
        assert_eq!(check(after, "whole"), step as u64 + 1);
    }
    assert_eq!(survived, 200 * (steps - 1));
}

mod crash {
    use fieldpress::Result;
    use fieldpress::archive::{Communicator, Serial, SharedFile, WriterOptions};
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
        fn all_max(&self, _: &mut [u64]) -> Result<()> {
            Ok(())
        }
        fn all_sum(&self, _: &mut [f64]) -> Result<()> {
            Ok(())
        }
        fn sum_before(&self, _: u64) -> Result<u64> {
            Ok(0)
        }
        fn gather(&self, bytes: &[u8]) -> Result<Option<Vec<Vec<u8>>>> {
            Ok(Some(vec![bytes.to_vec()]))
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
        fn write_at_all(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
            self.1.borrow_mut().push(Write::Data { offset, bytes: bytes.len() });
            self.0.write_at_all(offset, bytes)
        }
        fn sync(&mut self, covered: bool) -> Result<()> {
            assert!(covered, "one process syncs the file with its index");
            let last = self.1.borrow();
            assert!(matches!(last.last(), Some(Write::Data { offset, bytes }) if *offset >= 4096 && *bytes > 0));
            drop(last);
            self.1.borrow_mut().push(Write::Sync);
            self.0.sync(covered)
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

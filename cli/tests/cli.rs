//! The command-line tool as its users see it: files, standard output, exit codes.

mod workplace;

use serde_json::Value;
use std::path::Path;
use workplace::{DIMS, Workplace, wave};

const USAGE: i32 = 2;
const INPUT: i32 = 3;
const BOUND: i32 = 4;
const KEYS: [&str; 8] =
    ["input_bytes", "stream_bytes", "ratio", "nrmse", "max_abs_error", "seconds", "sections", "fm_share"];

/// The shape in a .npy file's header, as text.
fn npy_shape(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    assert!(bytes.starts_with(b"\x93NUMPY"));
    let header = String::from_utf8_lossy(&bytes[10..128]).into_owned();
    header.split_once("'shape': (").unwrap().1.split_once(')').unwrap().0.to_owned()
}

#[test]
fn raw_round_trip() {
    let w = Workplace::new();
    let original = wave();
    w.write_f32("x.f32", &original);
    let report = w.json("compress x.f32 -o x.fp --dims 12,40,52 --type f32 --bound abs=0.05 --fm off --threads 1");
    for key in KEYS {
        assert!(report.get(key).is_some(), "{key} is missing in {report}");
    }
    let stream_bytes = std::fs::metadata(w.path("x.fp")).unwrap().len();
    assert_eq!(report["stream_bytes"], stream_bytes);
    assert_eq!(report["input_bytes"], 4 * original.len());
    let sections: u64 = report["sections"].as_object().unwrap().values().map(|bytes| bytes.as_u64().unwrap()).sum();
    assert_eq!(sections, stream_bytes);
    assert!(report["ratio"].as_f64().unwrap() > 4.0);

    w.ok("decompress x.fp -o y.f32");
    let largest = original.iter().zip(w.read_f32("y.f32")).map(|(x, y)| (f64::from(*x) - f64::from(y)).abs());
    let largest = largest.fold(0.0, f64::max);
    assert!(largest <= 0.05 && largest <= report["max_abs_error"].as_f64().unwrap());

    let verified = w.json("verify x.f32 x.fp");
    assert_eq!(verified["holds"], true);
    assert_eq!(verified["bound"], "abs=0.05");
    assert_eq!(verified["max_abs_error"].as_f64().unwrap(), largest);
    assert!(verified["claimed"]["max_abs_error"].as_f64().unwrap() >= largest);

    let info = w.json("info x.fp");
    for key in KEYS {
        assert!(info.get(key).is_some(), "{key} is missing in {info}");
    }
    assert_eq!(info["dims"], serde_json::json!(DIMS));
    assert_eq!(info["sections"], report["sections"]);
}

#[test]
fn every_bound_holds() {
    let w = Workplace::new();
    w.write_f32("x.f32", &wave());
    for effort in 0..2 {
        for bound in ["abs=0.1", "rel=1e-3", "nrmse=1e-3", "psnr=60", "block_l2=0.5", "lossless", "pw_rel=1e-3"] {
            for axes in ["", "--axes 2,0,1"] {
                let rest = format!("--bound {bound} --effort {effort} {axes} --fm off");
                w.ok(&format!("compress x.f32 -o x.fp --dims 12,40,52 --type f32 {rest}"));
                let verified = w.json("verify x.f32 x.fp");
                assert_eq!(verified["holds"], true, "{rest}: {verified}");
                assert_eq!(verified["range"], verified["bound_range"]);
            }
        }
    }
    w.ok("plot x.f32 x.fp -o turned.png --frame 51");
}

#[test]
fn people_get_lines() {
    let w = Workplace::with_stream();
    assert!(w.ok("info x.fp").contains("12x40x52 f32"));
    assert!(w.ok("verify x.f32 x.fp").contains("holds     yes"));
    assert!(w.ok("decompress x.fp -o y.f32").contains("ratio"));
    assert!(w.ok("compress --help").contains("--bound"));
    assert!(w.ok("--help").contains("Exit codes"));
}

#[test]
fn numpy_files() {
    let w = Workplace::with_stream();
    w.ok("decompress x.fp -o x.npy");
    assert_eq!(npy_shape(&w.path("x.npy")), "12, 40, 52");
    w.ok("compress x.npy -o again.fp --bound lossless --fm off");
    let verified = w.json("verify x.npy again.fp");
    assert_eq!((&verified["holds"], &verified["max_abs_error"]), (&true.into(), &0.0.into()));
    w.fails("compress x.npy -o no.fp --dims 12,40,51 --bound abs=1", INPUT, "12x40x52");
    w.fails("compress x.npy -o no.fp --type f64 --bound abs=1", INPUT, "f32");
}

#[test]
fn netcdf_variables() {
    let w = Workplace::new();
    let fill = -99.9f32;
    let mut values = wave();
    for value in values.iter_mut().skip(3).step_by(41) {
        *value = fill;
    }
    {
        let mut file = netcdf::create(w.path("x.nc")).unwrap();
        for (name, n) in ["time", "lat", "lon"].into_iter().zip(DIMS) {
            file.add_dimension(name, n).unwrap();
        }
        let mut variable = file.add_variable::<f32>("wind", &["time", "lat", "lon"]).unwrap();
        variable.set_fill_value(fill).unwrap();
        variable.put_values(&values, ..).unwrap();
        file.add_variable::<i16>("packed", &["lat"]).unwrap();
    }
    let report = w.json("compress x.nc:wind -o x.fp --bound rel=1e-3 --fm off");
    assert_eq!(report["dims"], serde_json::json!(DIMS));
    let verified = w.json("verify x.nc:wind x.fp");
    assert_eq!(verified["holds"], true);
    assert_eq!(verified["masked_points"], values.iter().filter(|&&v| v == fill).count());
    w.ok("decompress x.fp -o y.f32");
    for (x, y) in values.iter().zip(w.read_f32("y.f32")) {
        assert!((*x == fill) == (y == fill));
    }
    w.fails("compress x.nc:rain -o no.fp --bound abs=1", INPUT, "wind");
    w.fails("compress x.nc:packed -o no.fp --bound abs=1", INPUT, "packed");
}

#[test]
fn netcdf_fills_and_names_of_other_notations() {
    let w = Workplace::new();
    // The attribute that names the fill value, if any, and the value.
    let fills = [("missing_value", 1e20), ("_FillValue", -32768.0), ("", 9.969_21e36)];
    let mut values = wave();
    values.iter_mut().skip(5).step_by(37).for_each(|value| *value = f32::NAN);
    {
        let mut file = netcdf::create(w.path("x.nc")).unwrap();
        for (name, n) in ["time", "lat", "lon"].into_iter().zip(DIMS) {
            file.add_dimension(name, n).unwrap();
        }
        for (k, (attribute, fill)) in fills.into_iter().enumerate() {
            let filled: Vec<f32> = values.iter().map(|&v| if v.is_nan() { fill } else { v }).collect();
            let mut variable = file.add_variable::<f32>(&format!("v{k}"), &["time", "lat", "lon"]).unwrap();
            match attribute {
                "_FillValue" => variable.set_fill_value(fill).unwrap(),
                "" => {}
                name => drop(variable.put_attribute(name, fill).unwrap()),
            }
            variable.put_values(&filled, ..).unwrap();
        }
        let mut group = file.add_group("deep").unwrap();
        let mut variable = group.add_variable::<f32>("inner", &["time", "lat", "lon"]).unwrap();
        variable.put_values(&wave(), ..).unwrap();
    }
    let holes = values.iter().filter(|v| v.is_nan()).count();
    for (k, fill) in fills.iter().enumerate() {
        w.ok(&format!("compress x.nc:v{k} -o v.fp --bound rel=1e-3 --fm off"));
        let verified = w.json(&format!("verify x.nc:v{k} v.fp"));
        assert_eq!((&verified["holds"], &verified["masked_points"]), (&true.into(), &holes.into()), "{fill:?}");
        assert!(verified["max_abs_error"].as_f64().unwrap() < 1.0, "the fill value widens no bound: {verified}");
    }
    // ncdump's notation, from the root group on.
    w.ok("compress x.nc:/v0 -o v.fp --bound rel=1e-3 --fm off");
    w.ok("compress x.nc:/deep/inner -o v.fp --bound rel=1e-3 --fm off");
    w.ok("compress x.nc:deep/inner -o v.fp --bound rel=1e-3 --fm off");
    for name in ["/../v0", "..", "/", "//v0", "deep/", "deep//inner", "./v0", ""] {
        w.fails(&format!("compress x.nc:{name} -o no.fp --bound abs=1"), INPUT, "is no name of a NetCDF variable");
    }
    w.fails("compress x.nc:/rain -o no.fp --bound abs=1", INPUT, "v0");
}

#[test]
fn points_without_data_are_kept() {
    let w = Workplace::new();
    let mut values = wave();
    for (k, value) in
        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -999.0, f32::from_bits(0x7FC0_1234)].iter().enumerate()
    {
        values[100 + 7 * k] = *value;
    }
    w.write_f32("x.f32", &values);
    w.ok("compress x.f32 -o x.fp --dims 12,40,52 --type f32 --bound abs=0.1 --fill-value -999 --fm off");
    w.ok("decompress x.fp -o y.f32");
    let decoded = w.read_f32("y.f32");
    for k in 0..5 {
        assert_eq!(values[100 + 7 * k].to_bits(), decoded[100 + 7 * k].to_bits());
    }
    let verified = w.json("verify x.f32 x.fp --fill-value -999");
    assert_eq!((&verified["holds"], &verified["masked_points"]), (&true.into(), &5.into()));
}

#[test]
fn parts_of_a_field() {
    let w = Workplace::with_stream();
    w.ok("decompress x.fp -o whole.f32");
    let whole = w.read_f32("whole.f32");
    let report = w.json("decompress x.fp -o box.npy --start 7,5,30 --count 5,10,22");
    assert_eq!(report["output_dims"], serde_json::json!([5, 10, 22]));
    assert_eq!(npy_shape(&w.path("box.npy")), "5, 10, 22");
    w.ok("decompress x.fp -o box.f32 --start 7,5,30 --count 5,10,22");
    let part = w.read_f32("box.f32");
    for (k, value) in part.iter().enumerate() {
        let (t, y, x) = (7 + k / 220, 5 + k / 22 % 10, 30 + k % 22);
        assert_eq!(*value, whole[(t * DIMS[1] + y) * DIMS[2] + x]);
    }
    w.ok("decompress x.fp -o half.npy --scale 2");
    assert_eq!(npy_shape(&w.path("half.npy")), "12, 20, 26");
    w.ok("decompress x.fp -o quarter.npy --scale 4");
    assert_eq!(npy_shape(&w.path("quarter.npy")), "12, 10, 13");

    let verified = w.json("verify x.f32 x.fp --scale 2,4");
    let scales = verified["scales"].as_array().unwrap();
    assert_eq!(scales.len(), 2);
    for scale in scales {
        assert!(scale["nrmse"].as_f64().unwrap() < 0.05, "{scale}");
    }

    w.fails("decompress x.fp -o no.f32 --start 0,0,0", USAGE, "--count");
    w.fails("decompress x.fp -o no.f32 --start 7,5,31 --count 5,10,22", USAGE, "axis 2");
    w.fails("decompress x.fp -o no.f32 --start 0,0 --count 5,10", USAGE, "3 axes");
    w.fails("decompress x.fp -o no.f32 --scale 3", USAGE, "1, 2 or 4");
}

#[test]
fn bounds_that_do_not_hold_are_told() {
    let w = Workplace::with_stream();
    let mut other = wave();
    other[1000] += 400.0;
    w.write_f32("other.f32", &other);
    let output = w.run("verify other.f32 x.fp --json");
    assert_eq!(output.status.code(), Some(BOUND));
    let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verified["holds"], false);
    assert!(String::from_utf8_lossy(&output.stderr).contains("does not hold"));
}

#[test]
fn bad_usage() {
    let w = Workplace::with_stream();
    let compress = "compress x.f32 -o no.fp --dims 12,40,52 --type f32 --bound";
    w.fails("compress x.f32 -o no.fp --bound abs=1", USAGE, "--dims");
    w.fails("compress x.f32 -o no.fp --dims 12,40,52 --type f32", USAGE, "--bound");
    w.fails(&format!("{compress} about=1"), USAGE, "about");
    w.fails(&format!("{compress} abs=-1"), USAGE, "abs");
    w.fails(&format!("{compress} abs=x"), USAGE, "number");
    w.fails(&format!("{compress} abs=1 --effort 5"), USAGE, "0, 1 or 2");
    w.fails(&format!("{compress} abs=1 --fm perhaps"), USAGE, "auto");
    w.fails(&format!("{compress} abs=1 --device tpu"), USAGE, "cuda");
    w.fails(&format!("{compress} abs=1 --threads 0"), USAGE, "threads");
    w.fails("compress x.f32 -o no.fp --dims 12,x --type f32 --bound abs=1", USAGE, "whole number");
    w.fails("compress x.f32 -o no.fp --dims 0,52 --type f32 --bound abs=1", USAGE, "zero");
    w.fails("compress x.f32 -o no.fp --dims 12,40,52 --type i16 --bound abs=1", USAGE, "f64");
    w.fails("compress x.f32 -o no.fp --dims 99999999999,99999999999 --type f32 --bound abs=1", USAGE, "too many");
    w.fails("plot x.f32 x.fp -o no.jpg", USAGE, "PNG");
    w.fails("plot x.f32 x.fp -o no.png --frame 12", USAGE, "12 frames");
    w.fails("squash x.f32", USAGE, "squash");
}

#[test]
fn bad_input() {
    let w = Workplace::with_stream();
    let stream = std::fs::read(w.path("x.fp")).unwrap();
    std::fs::write(w.path("short.fp"), &stream[..stream.len() / 2]).unwrap();
    let mut damaged = stream.clone();
    damaged[stream.len() / 2] ^= 4;
    std::fs::write(w.path("damaged.fp"), damaged).unwrap();
    std::fs::write(w.path("broken.npy"), b"\x93NUMPY\x01\x00\x10\x00{'descr'").unwrap();

    w.fails("compress none.f32 -o no.fp --dims 4 --type f32 --bound abs=1", INPUT, "none.f32");
    w.fails("compress x.f32 -o no.fp --dims 12,40,53 --type f32 --bound abs=1", INPUT, "bytes");
    w.fails("compress . -o no.fp --dims 4 --type f32 --bound abs=1", INPUT, "folder");
    w.fails("compress broken.npy -o no.fp --bound abs=1", INPUT, "npy");
    w.fails("compress x.f32:wind -o no.fp --bound abs=1", INPUT, "x.f32");
    w.fails("decompress none.fp -o no.f32", INPUT, "none.fp");
    w.fails("decompress x.f32 -o no.f32", INPUT, "x.f32");
    w.fails("decompress short.fp -o no.f32", INPUT, "");
    w.fails("decompress damaged.fp -o no.f32", INPUT, "");
    w.fails("info x.f32", INPUT, "x.f32");
    w.fails("verify none.f32 x.fp", INPUT, "none.f32");
    w.fails("plot none.f32 x.fp -o no.png", INPUT, "none.f32");
}

#[test]
fn outputs_are_whole_or_absent() {
    let w = Workplace::with_stream();
    w.fails("decompress x.fp -o nowhere/y.f32", 1, "nowhere");

    // A failure leaves what was there before; success replaces it.
    std::fs::write(w.path("y.f32"), b"precious").unwrap();
    w.fails("decompress x.f32 -o y.f32", INPUT, "");
    assert_eq!(std::fs::read(w.path("y.f32")).unwrap(), b"precious");
    w.ok("decompress x.fp -o y.f32");
    assert_eq!(w.read_f32("y.f32").len(), wave().len());
    assert_eq!(w.files().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x.f32", "x.fp", "y.f32"]);
}

#[cfg(unix)]
#[test]
fn devices_and_links_stay_what_they_are() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    let w = Workplace::with_stream();
    w.ok("decompress x.fp -o /dev/null");
    assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());

    w.ok("decompress x.fp -o y.f32");
    let mode = |name: &str| std::fs::metadata(w.path(name)).unwrap().permissions().mode();
    std::fs::write(w.path("plain"), b"").unwrap();
    assert_eq!(mode("y.f32"), mode("plain"), "outputs have the permissions of any new file");
    symlink(w.path("y.f32"), w.path("link.f32")).unwrap();
    w.ok("decompress x.fp -o link.f32 --scale 2");
    assert!(w.path("link.f32").symlink_metadata().unwrap().is_symlink());
    assert_eq!(w.read_f32("y.f32").len(), wave().len() / 4);
}

#[test]
fn pictures() {
    let w = Workplace::with_stream();
    w.ok("plot x.f32 x.fp -o x.png --frame 11");
    assert!(std::fs::read(w.path("x.png")).unwrap().starts_with(b"\x89PNG"));

    w.write_f32("line.f32", &wave()[..500]);
    w.ok("compress line.f32 -o line.fp --dims 500 --type f32 --bound abs=0.1 --fm off");
    w.ok("plot line.f32 line.fp -o line.png");
    assert!(std::fs::read(w.path("line.png")).unwrap().starts_with(b"\x89PNG"));
}

/// `run.fpa`: three steps of two variables, in two boxes each, a corner of `b` left out.
fn with_archive() -> Workplace {
    use fieldpress::archive::{Attribute, Serial, VariableInfo, Writer, WriterOptions};
    use fieldpress::{Bound, DType, FieldView, Shape};
    let w = Workplace::new();
    let options: WriterOptions = "threads=1;fm=off".parse().unwrap();
    let mut writer = Writer::open(Box::new(Serial), &w.path("run.fpa"), options).unwrap();
    let variable = |name: &str, dims: &[usize], dtype| VariableInfo {
        name: name.into(),
        shape: Shape::new(dims).unwrap(),
        dtype,
        attributes: vec![("units".into(), Attribute::Text("K".into()))],
    };
    writer.set_attribute(None, "title", Attribute::Text("a run".into())).unwrap();
    let a = writer.define(variable("a", &DIMS, DType::F32)).unwrap();
    let b = writer.define(variable("b", &[6, 4], DType::F64)).unwrap();
    let wave = wave();
    for step in 0..3 {
        writer.begin_step(10.0 * f64::from(step)).unwrap();
        let values: Vec<f32> = wave.iter().map(|v| v + step as f32).collect();
        let half = values.len() / 2;
        for (k, part) in [&values[..half], &values[half..]].into_iter().enumerate() {
            let field = FieldView::new(part, &[DIMS[0] / 2, DIMS[1], DIMS[2]]).unwrap();
            writer.put(a, &[k * DIMS[0] / 2, 0, 0], &field, Bound::Abs(0.05)).unwrap();
        }
        let small: Vec<f64> = (0..12).map(|i| f64::from(i + step)).collect();
        writer.put(b, &[0, 0], &FieldView::new(&small, &[3, 4]).unwrap(), Bound::Lossless).unwrap();
        writer.end_step().unwrap();
    }
    writer.close().unwrap();
    w
}

#[test]
fn archives_are_shown_extracted_and_checked() {
    let w = with_archive();
    let info = w.json("info run.fpa");
    assert_eq!((&info["steps"], &info["attributes"]["title"]), (&3.into(), &"a run".into()));
    assert_eq!((&info["variables"][1]["name"], &info["variables"][1]["bound"]), (&"b".into(), &"lossless".into()));
    assert!(w.ok("info run.fpa").contains("float a(time, z, y, x) ; // 3 steps, up to 2 chunks, ratio"));

    w.ok("extract run.fpa -o a.npy --variable a --step 2");
    assert_eq!(npy_shape(&w.path("a.npy")), "12, 40, 52");
    w.ok("extract run.fpa -o a.f32 --variable a --step 2");
    let whole = w.read_f32("a.f32");
    assert!(whole.iter().zip(&wave()).all(|(x, y)| (x - y - 2.0).abs() <= 0.0501));
    w.ok("extract run.fpa -o probe.f32 --variable a --steps 0..3 --start 5,7,9 --count 2,1,1 --to raw");
    let probe = w.read_f32("probe.f32");
    let at = |z: usize| whole[(z * DIMS[1] + 7) * DIMS[2] + 9];
    assert_eq!((probe.len(), &probe[4..]), (6, &[at(5), at(6)][..]));

    w.fails("extract run.fpa -o b.npy --variable b --step 0", USAGE, "12 of 24 points");
    w.ok("extract run.fpa -o b.npy --variable b --step 0 --missing -1");
    w.fails("extract run.fpa -o x.npy", USAGE, "--variable");
    w.fails("extract run.fpa -o x.npy --variable c", USAGE, "there are a, b");
    w.fails("extract run.fpa -o x.npy --variable a --step 3", USAGE, "the archive has 3");

    // NetCDF: everything, read back by the tool itself.
    w.ok("extract run.fpa -o run.nc");
    w.ok("compress run.nc:a -o a.fp --bound lossless --fm off");
    w.ok("decompress a.fp -o again.f32");
    assert_eq!(w.read_f32("again.f32")[2 * whole.len()..], whole);

    assert_eq!(w.json("verify run.fpa --decode")["sound"], true);
    let mut bytes = std::fs::read(w.path("run.fpa")).unwrap();
    let first_stream = bytes.windows(4).position(|window| window == b"FPRS").unwrap();
    bytes[first_stream + 100] ^= 1;
    std::fs::write(w.path("broken.fpa"), &bytes).unwrap();
    let output = w.run("verify broken.fpa");
    assert_eq!(output.status.code(), Some(INPUT));
    assert!(String::from_utf8_lossy(&output.stdout).contains("step 0, a: the chunk of rank 0"));
    assert!(w.ok("repair broken.fpa -o saved.fpa").contains("lost      step 0, a"));
    assert_eq!(w.json("verify saved.fpa --decode")["sound"], true);
    w.fails("repair broken.fpa -o saved.fpa", USAGE, "exists");
    w.fails("verify x.f32", INPUT, "x.f32");
    std::fs::write(w.path("cut.fpa"), &bytes[..3000]).unwrap();
    w.fails("info cut.fpa", INPUT, "repair");
}

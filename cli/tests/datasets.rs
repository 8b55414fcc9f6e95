//! Whole NetCDF files, several inputs, and what is refused; `python/tests/test_datasets.py` reads the files as analysts do.

mod workplace;

use workplace::{DIMS, Workplace, wave};

const USAGE: i32 = 2;
const INPUT: i32 = 3;

/// A file with two fields, `u` and `v`, their coordinates, and integers.
fn dataset(w: &Workplace, name: &str) {
    let mut file = netcdf::create(w.path(name)).unwrap();
    file.add_attribute("title", "two fields").unwrap();
    for (dimension, len) in ["time", "y", "x"].into_iter().zip(DIMS) {
        file.add_dimension(dimension, len).unwrap();
        let places: Vec<f64> = (0..len).map(|k| k as f64 / 3.0).collect();
        file.add_variable::<f64>(dimension, &[dimension]).unwrap().put_values(&places, ..).unwrap();
    }
    for (variable, scale) in [("u", 1.0), ("v", 10.0)] {
        let values: Vec<f32> = wave().iter().map(|value| value * scale).collect();
        file.add_variable::<f32>(variable, &["time", "y", "x"]).unwrap().put_values(&values, ..).unwrap();
    }
    let counts: Vec<i32> = (0..DIMS[1] as i32).collect();
    file.add_variable::<i32>("count", &["y"]).unwrap().put_values(&counts, ..).unwrap();
}

fn values<T: netcdf::NcTypeDescriptor + Copy>(w: &Workplace, name: &str, variable: &str) -> Vec<T> {
    // Other tests' children can inherit this process's lock on a file that it has written, but not on a copy.
    let copy = tempfile::NamedTempFile::new().unwrap();
    std::fs::copy(w.path(name), copy.path()).unwrap();
    netcdf::open(copy.path()).unwrap().variable(variable).unwrap().get_values(..).unwrap()
}

fn largest_error(x: &[f32], y: &[f32]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).abs()).fold(0.0, f64::max)
}

#[test]
fn each_variable_has_its_bound() {
    let w = Workplace::new();
    dataset(&w, "in.nc");
    let report = w.json("compress in.nc -o out.nc --bound rel=1e-3 --bound v:abs=0.5 --effort 0");
    let variables = report["variables"].as_array().unwrap();
    let names: Vec<_> = variables.iter().map(|one| one["variable"].as_str().unwrap()).collect();
    assert_eq!(names, ["u", "v"]);
    assert_eq!(variables[0]["bound"], "rel=0.001");
    assert_eq!(variables[1]["bound"], "abs=0.5");
    assert_eq!(report["input_bytes"], 2 * 4 * DIMS.iter().product::<usize>());
    assert!(report["ratio"].as_f64().unwrap() > 4.0);

    w.ok("decompress out.nc -o plain.nc");
    for (number, variable) in ["u", "v"].into_iter().enumerate() {
        let error = largest_error(&values(&w, "in.nc", variable), &values(&w, "plain.nc", variable));
        assert_eq!(variables[number]["max_abs_error"].as_f64().unwrap(), error);
        assert!(error > 0.0);
    }
    let limit = variables[1]["max_abs_error"].as_f64().unwrap();
    assert!(limit <= 0.5);
    assert_eq!(values::<i32>(&w, "in.nc", "count"), values::<i32>(&w, "plain.nc", "count"));
}

#[test]
fn only_what_is_listed_is_compressed() {
    let w = Workplace::new();
    dataset(&w, "in.nc");
    let report = w.json("compress in.nc -o out.nc --bound rel=1e-2 --only v,time --effort 0");
    let names: Vec<_> = report["variables"].as_array().unwrap().iter().map(|one| one["variable"].clone()).collect();
    assert_eq!(names, ["time", "v"]);
    // Without a bound for all, those that are named.
    let report = w.json("compress in.nc -o out.nc --bound u:lossless --effort 0");
    assert_eq!(report["variables"].as_array().unwrap().len(), 1);
    w.ok("decompress out.nc -o plain.nc");
    assert_eq!(values::<f32>(&w, "in.nc", "u"), values::<f32>(&w, "plain.nc", "u"));
}

#[test]
fn several_inputs_and_patterns_go_into_a_folder() {
    let w = Workplace::new();
    dataset(&w, "run-1.nc");
    dataset(&w, "run-2.nc");
    w.write_f32("x.f32", &wave());
    w.ok("compress x.f32 -o x.fp --dims 12,40,52 --type f32 --bound abs=0.1 --effort 0");
    w.ok("decompress x.fp -o x.npy");
    let report = w.json("compress run-*.nc x.npy -o small/ --bound abs=0.1 --effort 0");
    let files: Vec<_> = report["variables"].as_array().unwrap().iter().map(|one| one["file"].clone()).collect();
    assert_eq!(files, ["run-1.nc", "run-1.nc", "run-2.nc", "run-2.nc", "x.npy"]);
    w.ok("decompress small/run-1.nc small/run-2.nc small/x.fp -o back/");
    for name in ["run-1.nc", "run-2.nc"] {
        assert!(largest_error(&values(&w, name, "v"), &values(&w, &format!("back/{name}"), "v")) <= 0.1);
    }
    assert!(w.path("back/x.npy").exists());
}

#[test]
fn what_cannot_be_done_is_refused_and_leaves_nothing() {
    let w = Workplace::new();
    dataset(&w, "in.nc");
    w.write_f32("x.f32", &wave());
    w.ok("compress in.nc -o done.nc --bound abs=0.1 --effort 0");
    w.fails("compress in.nc -o out.nc --bound w:abs=0.1", INPUT, "no variable 'w'; it has time, y, x, u, v, count");
    w.fails("compress in.nc -o out.nc --bound abs=0.1 --only q", INPUT, "no variable 'q'");
    w.fails("compress in.nc -o out.nc --bound count:abs=1", INPUT, "none of its variables");
    w.fails("compress in.nc -o out.nc --bound nonsense:1", USAGE, "nonsense:1");
    w.fails("compress in.nc -o in.nc --bound abs=0.1", USAGE, "replaced by its own copy");
    w.fails("compress in.nc -o out.nc --bound abs=0.1 --axes 0,1,2", USAGE, "--axes is an option for fields");
    w.fails("compress in.nc -o out.fp --bound abs=0.1", USAGE, "name a variable of it");
    w.fails("compress done.nc -o out.nc --bound abs=0.1", INPUT, "compressed by fieldpress already");
    w.fails("compress in.nc x.f32 -o out.nc --bound abs=0.1", USAGE, "need a folder");
    w.fails("compress none-*.nc -o out/ --bound abs=0.1", INPUT, "no file has such a name");
    w.fails("compress x.f32 -o x.fp --dims 12,40,52 --type f32 --bound u:abs=0.1", USAGE, "a field has one bound");
    w.fails("compress in.nc -o missing/out.nc --bound abs=0.1", 1, "missing/out.nc");
    w.fails("decompress in.nc -o out.nc", INPUT, "none of its variables is compressed");
    w.fails("decompress done.nc -o out.npy", USAGE, "expected -o name.nc");
    w.fails("decompress done.nc -o out.nc --scale 2", USAGE, "is decompressed whole");
}

#[test]
fn a_damaged_stream_leaves_no_file() {
    let w = Workplace::new();
    dataset(&w, "in.nc");
    w.ok("compress in.nc -o done.nc --bound abs=0.01 --effort 0");
    let mut bytes = std::fs::read(w.path("done.nc")).unwrap();
    let at = bytes.windows(4).position(|window| window == b"FPRS").expect("a stream's first bytes");
    bytes[at + 60] ^= 0xff;
    std::fs::write(w.path("bad.nc"), bytes).unwrap();
    w.fails("decompress bad.nc -o plain.nc", INPUT, "bad.nc: NetCDF: ");
}

/// Sentinels are those of the whole variable: chunks may hold nothing else, or one of them beside one value.
#[test]
fn undeclared_marks_are_those_of_the_variable() {
    let w = Workplace::new();
    let [time, y, x] = DIMS;
    for mark in [-9999.0f32, -7777.0, 1e20] {
        let mut file = netcdf::create(w.path("in.nc")).unwrap();
        for (dimension, len) in [("time", time), ("level", 4), ("y", y), ("x", x)] {
            file.add_dimension(dimension, len).unwrap();
        }
        let wave = wave();
        let value = |i: usize| {
            let (t, level, at) = (i / (4 * y * x), i / (y * x) % 4, i % (y * x));
            let is_land = at % x > 9 && at / x > 11;
            match level {
                0 if is_land => mark,
                1 => mark,
                2 if (t, at) == (3, 77) => mark,
                2 => 0.25,
                _ => (wave[t * y * x + at] - 250.0) / 20.0,
            }
        };
        let original: Vec<f32> = (0..time * 4 * y * x).map(value).collect();
        let dimensions = ["time", "level", "y", "x"];
        file.add_variable::<f32>("u", &dimensions).unwrap().put_values(&original, ..).unwrap();
        drop(file);
        let data: Vec<f32> = original.iter().copied().filter(|&value| value != mark).collect();
        let range = f64::from(data.iter().fold(f32::MIN, |a, &b| a.max(b)))
            - f64::from(data.iter().fold(f32::MAX, |a, &b| a.min(b)));

        for bound in ["rel=1e-3", "nrmse=1e-3", "abs=0.01"] {
            let report = w.json(&format!("compress in.nc -o out.nc --bound {bound} --effort 0"));
            assert_eq!(
                report["variables"][0]["sentinels"][0].as_f64().map(|value| value as f32),
                Some(mark),
                "{bound}"
            );
            w.ok("decompress out.nc -o plain.nc");
            let decoded: Vec<f32> = values(&w, "plain.nc", "u");
            let mut largest = 0.0f64;
            for (a, b) in original.iter().zip(&decoded) {
                if *a == mark {
                    assert_eq!(a.to_bits(), b.to_bits(), "{mark}, {bound}");
                } else {
                    largest = largest.max((f64::from(*a) - f64::from(*b)).abs());
                }
            }
            let allowed = if bound == "rel=1e-3" { 1e-3 * range } else { 0.1 * range };
            assert!(largest <= allowed, "{mark}, {bound}: {largest} of {range}");
        }
        let report = w.json("compress in.nc -o out.nc --bound rel=1e-3 --effort 0 --sentinels off");
        assert_eq!(report["variables"][0]["sentinels"].as_array().unwrap().len(), 0);
        assert!(report["variables"][0]["max_abs_error"].as_f64().unwrap() > 1e-3 * range);
        let given = format!("compress in.nc -o out.nc --bound rel=1e-3 --effort 0 --sentinels {mark}");
        let report = w.json(&given);
        assert!(report["variables"][0]["max_abs_error"].as_f64().unwrap() <= 1e-3 * range);
    }
}

/// Where and with what the filter runs, and whether with the model, is said as it is for fields.
#[test]
fn options_reach_the_filter() {
    let w = Workplace::new();
    dataset(&w, "in.nc");
    w.ok("compress in.nc -o out.nc --bound pw_rel=1e-2 --effort 0 --fm off --threads 1");
    w.ok("decompress out.nc -o plain.nc --threads 1");
    let (original, decoded) = (values::<f32>(&w, "in.nc", "u"), values::<f32>(&w, "plain.nc", "u"));
    assert!(original.iter().zip(&decoded).all(|(x, y)| (x - y).abs() <= 1.0001e-2 * x.abs()));
    assert_ne!(original, decoded);
    w.fails("compress in.nc -o no.nc --bound rel=1e-3 --model no-such-model", 1, "no-such-model");
    let alone = w.shell("ORT_DYLIB_PATH=/none fieldpress compress in.nc -o no.nc --bound rel=1e-3 --fm on");
    assert!(!alone.status.success() && !w.path("no.nc").exists());
}

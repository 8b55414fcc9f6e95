//! Archives as the tool shows them: their header, and pictures of their steps.

mod workplace;

use fieldpress::archive::{Attribute, Serial, VariableInfo, Writer, WriterOptions};
use fieldpress::{Bound, DType, FieldView, Shape};
use workplace::Workplace;

const USAGE: i32 = 2;
const INPUT: i32 = 3;
const BOUND: i32 = 4;

fn text(name: &str, value: &str) -> (String, Attribute) {
    (name.to_owned(), Attribute::Text(value.to_owned()))
}

/// `run.fpa`: two variables of three steps, of which the second is written in the last alone; latitudes go south.
fn with_archive() -> Workplace {
    let w = Workplace::new();
    let options: WriterOptions = "threads=1;fm=off".parse().unwrap();
    let mut writer = Writer::open(Box::new(Serial), &w.path("run.fpa"), options).unwrap();
    let latitudes = (0..20).map(|row| 76.0 - 8.0 * f64::from(row)).collect();
    for (name, value) in [
        text("title", "a \"run\""),
        text("time.units", "days since 2000-01-01"),
        ("_coordinate.lat".to_owned(), Attribute::Reals(latitudes)),
        text("_coordinate.lat.units", "degrees_north"),
        ("levels".to_owned(), Attribute::Integers((0..12).collect())),
    ] {
        writer.set_attribute(None, &name, value).unwrap();
    }
    let shape = Shape::new(&[20, 30]).unwrap();
    let attributes = vec![text("_dimensions", "lat,lon"), text("units", "K")];
    let t = VariableInfo { name: "t".into(), shape, dtype: DType::F32, attributes };
    let t = writer.define(t).unwrap();
    let shape = Shape::new(&[3, 20, 30]).unwrap();
    let w3 = writer.define(VariableInfo { name: "w".into(), shape, dtype: DType::F64, attributes: vec![] }).unwrap();
    let values: Vec<f32> = (0..600).map(|k| (k as f32 * 0.01).sin()).collect();
    let volume: Vec<f64> = (0..1800).map(|k| f64::from(k) * 0.5).collect();
    for step in 0..3 {
        writer.begin_step(0.5 * f64::from(step)).unwrap();
        writer.put(t, &[0, 0], &FieldView::new(&values, &[20, 30]).unwrap(), Bound::Rel(1e-3)).unwrap();
        if step == 2 {
            writer.put(w3, &[0, 0, 0], &FieldView::new(&volume, &[3, 20, 30]).unwrap(), Bound::Lossless).unwrap();
        }
        writer.end_step().unwrap();
    }
    writer.close().unwrap();
    w
}

#[test]
fn headers_are_as_ncdump_prints_them() {
    let said = with_archive().ok("info run.fpa");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines[0], lines[1], *lines.last().unwrap()), ("archive run {", "dimensions:", "}"));
    for line in [
        "    time = UNLIMITED ; // 3 currently",
        "    lat = 20 ;",
        "    lon = 30 ;",
        // Nobody named the axes of w.
        "    z = 3 ;",
        "    y = 20 ;",
        "variables:",
        "    double time(time) ; // 0 to 1",
        "        time:units = \"days since 2000-01-01\" ;",
        "    double lat(lat) ; // 76 to -76",
        "        lat:units = \"degrees_north\" ;",
        "        t:units = \"K\" ;",
        "// global attributes:",
        "        :title = \"a \\\"run\\\"\" ;",
        "        :levels = 0, 1, 2, 3, 4, 5, 6, 7, … ; // 12 values",
    ] {
        assert!(lines.contains(&line), "'{line}' is missing in\n{said}");
    }
    let begins = |start: &str| lines.iter().any(|line| line.starts_with(start));
    assert!(begins("    float t(time, lat, lon) ; // 3 steps, up to 1 chunk, ratio "), "{said}");
    assert!(begins("    double w(time, z, y, x) ; // 1 step, up to 1 chunk, ratio "), "{said}");
    assert!(said.contains("bound lossless, NRMSE at most 0.0000e0") && said.contains("3 steps in 3 commits"), "{said}");
    assert!(!said.contains("_dimensions") && !said.contains("_coordinate"), "{said}");
}

#[test]
fn steps_are_drawn() {
    let w = with_archive();
    for arguments in ["--variable t", "--variable t --step 0", "--variable w --frame 2", "--variable w --step 2"] {
        w.ok(&format!("plot run.fpa -o picture.png {arguments}"));
        assert!(std::fs::read(w.path("picture.png")).unwrap().starts_with(b"\x89PNG"));
        std::fs::remove_file(w.path("picture.png")).unwrap();
    }
    // Points that a value far outside marks are drawn as those without a value are.
    let mut pictures = Vec::new();
    for (name, mark) in [("marked", 1e20), ("missing", f64::NAN)] {
        let options: WriterOptions = "threads=1;fm=off".parse().unwrap();
        std::fs::create_dir(w.path(name)).unwrap();
        let mut writer = Writer::open(Box::new(Serial), &w.path(&format!("{name}/run.fpa")), options).unwrap();
        let shape = Shape::new(&[20, 30]).unwrap();
        let variable = VariableInfo { name: "t".into(), shape, dtype: DType::F64, attributes: vec![] };
        let t = writer.define(variable).unwrap();
        writer.begin_step(0.0).unwrap();
        let values: Vec<f64> = (0..600).map(|k| if k % 30 < 7 { mark } else { f64::from(k).sin() }).collect();
        writer.put(t, &[0, 0], &FieldView::new(&values, &[20, 30]).unwrap(), Bound::Lossless).unwrap();
        writer.end_step().unwrap();
        writer.close().unwrap();
        w.ok(&format!("plot {name}/run.fpa -o {name}.png"));
        pictures.push(std::fs::read(w.path(&format!("{name}.png"))).unwrap());
    }
    assert!(pictures[0].len().abs_diff(pictures[1].len()) < 400, "{} {}", pictures[0].len(), pictures[1].len());
    w.fails("plot run.fpa -o x.png", USAGE, "--variable t|w");
    w.fails("plot run.fpa -o x.png --variable v", USAGE, "there are t, w");
    w.fails("plot run.fpa -o x.png --variable t --step 3", USAGE, "steps 0 to 2");
    w.fails("plot run.fpa -o x.png --variable w --step 1", INPUT, "not written in step 1");
    w.fails("plot run.fpa -o x.png --variable w --frame 3", USAGE, "3 frames");
    w.fails("plot run.fpa -o x.svg --variable t", USAGE, "PNG");
    w.fails("plot x.f32 -o x.png", USAGE, "stream");
}

#[test]
fn variables_are_compared_with_their_originals() {
    let w = with_archive();
    let step: Vec<f32> = (0..600).map(|k| (k as f32 * 0.01).sin()).collect();
    w.write_f32("one.f32", &step);
    w.write_f32("all.f32", &step.repeat(3));
    let volume: Vec<u8> = (0..1800).flat_map(|k| (f64::from(k) * 0.5).to_le_bytes()).collect();
    std::fs::write(w.path("w.f64"), volume).unwrap();
    for (arguments, dims, bound) in [
        ("all.f32 run.fpa --variable t", vec![3, 20, 30], "rel=0.001"),
        ("all.f32 run.fpa --variable t --steps 1..3", vec![2, 20, 30], "rel=0.001"),
        ("all.f32 run.fpa --variable t --step 2", vec![1, 20, 30], "rel=0.001"),
        ("one.f32 run.fpa --variable t --step 1", vec![1, 20, 30], "rel=0.001"),
        ("w.f64 run.fpa --variable w --step 2", vec![1, 3, 20, 30], "lossless"),
    ] {
        let said = w.json(&format!("verify {arguments}"));
        assert_eq!((&said["holds"], &said["dims"]), (&true.into(), &serde_json::json!(dims)), "{arguments}: {said}");
        assert_eq!(said["bounds"], serde_json::json!([bound]), "{arguments}");
        assert!(said["ratio"].as_f64().unwrap() > 1.0 && said["points"] == dims.iter().product::<usize>());
    }
    // The largest error is what the bound allows at most, and more than nothing.
    let said = w.json("verify all.f32 run.fpa --variable t");
    let largest = said["max_abs_error"].as_f64().unwrap();
    assert!(largest > 0.0 && largest <= 1e-3 * said["range"].as_f64().unwrap());
    assert!(w.ok("verify one.f32 run.fpa --variable t --step 0").contains("holds     yes"));

    let wrong: Vec<f32> = step.iter().map(|v| v + 0.01).collect();
    w.write_f32("wrong.f32", &[step.clone(), wrong, step].concat());
    let output = w.run("verify wrong.f32 run.fpa --variable t");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(BOUND), "{said}");
    assert!(said.contains("the bound rel=0.001 of steps 1 to 1 does not hold"), "{said}");
    w.ok("verify wrong.f32 run.fpa --variable t --step 0");
    w.fails("verify all.f32 run.fpa", USAGE, "--variable t|w");
    w.fails("verify w.f64 run.fpa --variable w", INPUT, "not written in step 0");
    w.fails("verify one.f32 run.fpa --variable t", INPUT, "need 7200");
    w.fails("verify all.f32 run.fpa --variable t --scale 2", USAGE, "--scale");
    w.fails("verify all.f32 run.fpa --variable t --steps 2..9", USAGE, "the archive has 3");
}

/// A bound over the steps of a window is judged where all of them are compared.
#[test]
fn bounds_of_windows_are_judged_whole() {
    let w = Workplace::new();
    let options: WriterOptions = "threads=1;fm=off;window=2".parse().unwrap();
    let mut writer = Writer::open(Box::new(Serial), &w.path("run.fpa"), options).unwrap();
    let shape = Shape::new(&[20, 30]).unwrap();
    let t = writer.define(VariableInfo { name: "t".into(), shape, dtype: DType::F32, attributes: vec![] }).unwrap();
    let values: Vec<f32> = (0..1800).map(|k| (k as f32 * 0.013).sin() + (k % 7) as f32 * 0.01).collect();
    for (step, bound) in [Bound::Nrmse(1e-3), Bound::Nrmse(1e-3), Bound::PwRel(1e-2)].into_iter().enumerate() {
        writer.begin_step(step as f64).unwrap();
        let part = &values[600 * step..][..600];
        writer.put(t, &[0, 0], &FieldView::new(part, &[20, 30]).unwrap(), bound).unwrap();
        writer.end_step().unwrap();
    }
    writer.close().unwrap();
    w.write_f32("t.f32", &values);
    let said = w.json("verify t.f32 run.fpa");
    assert_eq!((&said["holds"], &said["not_told"]), (&true.into(), &serde_json::json!([])), "{said}");
    assert_eq!(said["bounds"], serde_json::json!(["nrmse=0.001", "pw_rel=0.01"]));
    let said = w.json("verify t.f32 run.fpa --step 1");
    assert_eq!(said["holds"], serde_json::Value::Null, "{said}");
    assert_eq!(said["not_told"], serde_json::json!(["the bound nrmse=0.001 of steps 0 to 1"]));
    assert!(w.ok("verify t.f32 run.fpa --steps 1..3").contains("as far as it can be told"));
    assert_eq!(w.json("verify t.f32 run.fpa --step 2")["holds"], true);
}

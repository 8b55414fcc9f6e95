//! Archives as the tool shows them: their header, and pictures of their steps.

mod workplace;

use fieldpress::archive::{Attribute, Serial, VariableInfo, Writer, WriterOptions};
use fieldpress::{Bound, DType, FieldView, Shape};
use workplace::Workplace;

const USAGE: i32 = 2;
const INPUT: i32 = 3;

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

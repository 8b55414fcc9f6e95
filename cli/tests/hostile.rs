//! Files that are not what they say: the tool says so, in one line that a terminal does not obey, and never panics.

use fieldpress::archive::{Attribute, Serial, VariableInfo, Writer, WriterOptions};
use fieldpress::{Bound, DType, FieldView, Shape};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_fieldpress"));
    tool.env("HDF5_USE_FILE_LOCKING", "FALSE").current_dir(folder.path());
    let output = tool.args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked") && output.status.code().is_some_and(|code| code < 100), "{arguments:?}: {said}");
    output
}

fn ok(folder: &TempDir, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Two variables with attributes, each with a hole at its end.
fn archive(path: &Path, attributes: [Vec<(String, Attribute)>; 2]) {
    let options: WriterOptions = "threads=1;fm=off".parse().unwrap();
    let mut writer = Writer::open(Box::new(Serial), path, options).unwrap();
    let shape = Shape::new(&[4, 10]).unwrap();
    let mut ids = Vec::new();
    for ((name, dtype), attributes) in [("a", DType::F32), ("b", DType::F64)].into_iter().zip(attributes) {
        ids.push(writer.define(VariableInfo { name: name.into(), shape, dtype, attributes }).unwrap());
    }
    writer.begin_step(0.0).unwrap();
    let values: Vec<f64> = (0..30).map(f64::from).collect();
    let single: Vec<f32> = values.iter().map(|&v| v as f32).collect();
    writer.put(ids[0], &[0, 0], &FieldView::new(&single, &[3, 10]).unwrap(), Bound::Lossless).unwrap();
    writer.put(ids[1], &[0, 0], &FieldView::new(&values, &[3, 10]).unwrap(), Bound::Lossless).unwrap();
    writer.end_step().unwrap();
    writer.close().unwrap();
}

fn text(name: &str, value: &str) -> (String, Attribute) {
    (name.into(), Attribute::Text(value.into()))
}

#[test]
fn what_a_file_says_is_shown_and_not_obeyed() {
    let folder = TempDir::new().unwrap();
    let evil = "K\x1b[2J\x1b]0;owned\x07\nsound     yes\u{9b}31m\u{202e}";
    archive(&folder.path().join("a.fpa"), [vec![text("units", evil)], vec![]]);
    for arguments in [&["info", "a.fpa"][..], &["info", "a.fpa", "--json"]] {
        let said = ok(&folder, arguments);
        let told = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.chars().any(told), "{said:?}");
        assert!(said.contains("[2J") && !said.contains("\nsound"), "{said:?}");
    }
    let json: serde_json::Value = serde_json::from_str(&ok(&folder, &["info", "a.fpa", "--json"])).unwrap();
    assert_eq!(json["variables"][0]["attributes"]["units"], evil);
}

#[test]
fn each_variable_is_extracted_with_its_fill_value() {
    let folder = TempDir::new().unwrap();
    let fill = |value| ("_FillValue".to_owned(), Attribute::Reals(vec![value]));
    archive(&folder.path().join("a.fpa"), [vec![text("units", "K"), fill(-9999.0)], vec![fill(1e20)]]);
    ok(&folder, &["extract", "a.fpa", "-o", "a.nc"]);
    let file = netcdf::open(folder.path().join("a.nc")).unwrap();
    let single: Vec<f32> = file.variable("a").unwrap().get_values(..).unwrap();
    let double: Vec<f64> = file.variable("b").unwrap().get_values(..).unwrap();
    assert!(single[29] == 29.0 && single[30..].iter().all(|&v| v == -9999.0));
    assert!(double[29] == 29.0 && double[30..].iter().all(|&v| v == 1e20));
    for (name, fill) in [("a", -9999.0), ("b", 1e20)] {
        let variable = file.variable(name).unwrap();
        let said: f64 = variable.attribute_value("_FillValue").unwrap().unwrap().try_into().unwrap();
        assert_eq!(said, fill);
    }
    drop(file);
    // One variable alone, too, and unless another value is asked for.
    for (more, value) in [(&[][..], 1e20), (&["--missing", "-1"], -1.0)] {
        ok(&folder, &[&["extract", "a.fpa", "-o", "b.raw", "--variable", "b"], more].concat());
        let bytes = std::fs::read(folder.path().join("b.raw")).unwrap();
        let last = f64::from_le_bytes(bytes[bytes.len() - 8..].try_into().unwrap());
        assert_eq!(last, value);
    }
}

#[test]
fn what_netcdf_cannot_hold_is_an_error() {
    let folder = TempDir::new().unwrap();
    archive(&folder.path().join("a.fpa"), [vec![text("units", "a\0b")], vec![]]);
    let output = run(&folder, &["extract", "a.fpa", "-o", "a.nc"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("a.nc") && said.lines().count() == 1, "{said}");
    assert!(said.contains("'units'"), "{said}");
    assert!(!folder.path().join("a.nc").exists());
}

#[test]
fn names_of_netcdf_variables_never_panic() {
    let folder = TempDir::new().unwrap();
    {
        let mut file = netcdf::create(folder.path().join("x.nc")).unwrap();
        file.add_dimension("x", 5).unwrap();
        file.add_variable::<f32>("top", &["x"]).unwrap().put_values(&[1f32; 5], ..).unwrap();
        let mut group = file.add_group("g").unwrap();
        group.add_variable::<f32>("in", &["x"]).unwrap().put_values(&[2f32; 5], ..).unwrap();
    }
    let compress = |name: &str| {
        run(&folder, &["compress", &format!("x.nc:{name}"), "-o", "s.fp", "--bound", "abs=0.1", "--fm", "off"])
    };
    for name in ["top", "/top", "g/in", "/g/in"] {
        assert!(compress(name).status.success(), "{name}");
    }
    for name in
        ["", "/", "//", "//top", "/../top", "../top", ".", "g", "/g", "g/", "top/", "top/in", "g/../top", "a\u{301}/b"]
    {
        assert_eq!(compress(name).status.code(), Some(3), "{name}");
    }
}

/// What HDF5 makes of damaged bytes is its own, but it is never a panic.
#[test]
fn damaged_netcdf_files_never_panic() {
    let folder = TempDir::new().unwrap();
    {
        let mut file = netcdf::create(folder.path().join("x.nc")).unwrap();
        file.add_dimension("x", 50).unwrap();
        let mut variable = file.add_variable::<f32>("u", &["x"]).unwrap();
        variable.put_attribute("_FillValue", -1f32).unwrap();
        variable.put_attribute("units", "K").unwrap();
        variable.put_values(&[1f32; 50], ..).unwrap();
    }
    let whole = std::fs::read(folder.path().join("x.nc")).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        bytes[(at * 7 + 13) % whole.len()] ^= 0x11;
        std::fs::write(folder.path().join("y.nc"), &bytes).unwrap();
        run(&folder, &["compress", "y.nc:u", "-o", "s.fp", "--bound", "abs=0.1", "--fm", "off"]);
    }
}

/// An archive whose first block is lost is still one.
#[test]
fn an_archive_without_its_first_block_is_shown() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.fpa");
    archive(&path, [vec![], vec![]]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..4096].fill(0);
    std::fs::write(&path, bytes).unwrap();
    assert!(ok(&folder, &["info", "a.fpa"]).contains("one of two copies"));
    let output = run(&folder, &["verify", "a.fpa", "--decode"]);
    assert!(output.status.code() == Some(3) && String::from_utf8_lossy(&output.stdout).contains("superblock"));
}

/// Points outside of a variable's valid range are none of its data, however the file says so.
#[test]
fn values_outside_of_the_valid_range_are_no_data() {
    let folder = TempDir::new().unwrap();
    let values: Vec<f32> =
        (0..3000).map(|i| if i % 50 < 7 { -9999.0 } else { 280.0 + (i as f32 * 0.01).sin() }).collect();
    for attributes in [
        &[("valid_range", vec![200f32, 350.0])][..],
        &[("valid_min", vec![0.0])],
        &[("valid_max", vec![1e3]), ("valid_min", vec![-50.0])],
    ] {
        let name = folder.path().join("x.nc");
        {
            let mut file = netcdf::create(&name).unwrap();
            file.add_dimension("x", values.len()).unwrap();
            let mut variable = file.add_variable::<f32>("t", &["x"]).unwrap();
            for (name, numbers) in attributes {
                variable.put_attribute(name, netcdf::AttributeValue::Floats(numbers.clone())).unwrap();
            }
            variable.put_values(&values, ..).unwrap();
        }
        ok(&folder, &["compress", "x.nc:t", "-o", "s.fp", "--bound", "rel=1e-3", "--fm", "off"]);
        ok(&folder, &["decompress", "s.fp", "-o", "out.f32"]);
        let bytes = std::fs::read(folder.path().join("out.f32")).unwrap();
        let out = bytes.chunks_exact(4).map(|v| f32::from_le_bytes(v.try_into().unwrap()));
        for (exact, decoded) in values.iter().zip(out) {
            assert!(
                if *exact < 0.0 { decoded == *exact } else { (exact - decoded).abs() <= 2.0e-3 },
                "{exact} {decoded}"
            );
        }
    }
}

//! What the tool reads and writes beside plain files: pipes, NumPy files of other forms, packed NetCDF variables.

mod workplace;

use workplace::{DIMS, Workplace, wave};

const USAGE: i32 = 2;
const BOUND: i32 = 4;
const INPUT: i32 = 3;

/// A .npy file of version 1.
fn npy(descr: &str, fortran_order: bool, dims: &[usize], values: &[u8]) -> Vec<u8> {
    let order = if fortran_order { "True" } else { "False" };
    let dims: String = dims.iter().map(|n| format!("{n}, ")).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({dims}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(values);
    out
}

#[test]
fn pipes_carry_streams_and_nothing_else() {
    let w = Workplace::with_stream();
    let options = "--dims 12x40x52 --type f32 --bound nrmse=1e-3 --fm off";
    for line in [
        format!("cat x.f32 | fieldpress compress - -o - {options} > piped.fp"),
        format!("fieldpress compress x.f32 -o /dev/stdout {options} --json | cat > piped.fp"),
    ] {
        let output = w.shell(&line);
        let report = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && report.contains("nrmse"), "{line}: {report}");
        assert_eq!(std::fs::read(w.path("piped.fp")).unwrap(), std::fs::read(w.path("x.fp")).unwrap(), "{line}");
    }
    w.ok("decompress x.fp -o y.f32");
    w.ok("decompress x.fp -o y.npy");
    for (line, expected) in [
        ("cat x.fp | fieldpress decompress - -o - > z", "y.f32"),
        ("fieldpress decompress x.fp -o - --to npy > z", "y.npy"),
    ] {
        assert!(w.shell(line).status.success(), "{line}");
        assert_eq!(std::fs::read(w.path("z")).unwrap(), std::fs::read(w.path(expected)).unwrap(), "{line}");
    }
    let output =
        w.shell("cat y.npy | fieldpress compress - -o z.fp --bound rel=1e-2 --fm off && cat x.fp | fieldpress info -");
    assert!(String::from_utf8_lossy(&output.stdout).contains("12x40x52"));
    let output = w.shell(&format!("head -c 99 x.f32 | fieldpress compress - -o - {options}"));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(INPUT), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("it has 99 bytes"));
}

#[test]
fn numpy_files_of_other_forms() {
    let w = Workplace::new();
    let values = wave();
    let [nt, ny, nx] = DIMS;
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    std::fs::write(w.path("c.npy"), npy("<f4", false, &DIMS, &bytes(&values))).unwrap();
    let big: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
    std::fs::write(w.path("big.npy"), npy(">f4", false, &DIMS, &big)).unwrap();
    let mut fortran = Vec::new();
    for x in 0..nx {
        for y in 0..ny {
            fortran.extend((0..nt).map(|t| values[(t * ny + y) * nx + x]));
        }
    }
    std::fs::write(w.path("fortran.npy"), npy("<f4", true, &DIMS, &bytes(&fortran))).unwrap();
    for name in ["c", "big", "fortran"] {
        w.ok(&format!("compress {name}.npy -o {name}.fp --bound rel=1e-3 --fm off"));
        assert_eq!(
            std::fs::read(w.path("c.fp")).unwrap(),
            std::fs::read(w.path(&format!("{name}.fp"))).unwrap(),
            "{name}"
        );
    }

    // 1, -2, 0.5, 65504 and NaN in 16 bits.
    let halves: Vec<u8> =
        [0x3c00u16, 0xc000, 0x3800, 0x7bff, 0x7e00].iter().flat_map(|half| half.to_le_bytes()).collect();
    std::fs::write(w.path("half.npy"), npy("<f2", false, &[5], &halves)).unwrap();
    w.ok("compress half.npy -o half.fp --bound lossless");
    w.ok("decompress half.fp -o half.f32");
    let decoded = w.read_f32("half.f32");
    assert_eq!(decoded[..4], [1.0, -2.0, 0.5, 65504.0]);
    assert!(decoded[4].is_nan());
    std::fs::write(w.path("whole.npy"), npy("<i4", false, &[5], &[0; 20])).unwrap();
    w.fails("compress whole.npy -o y.fp --bound abs=1", INPUT, "'<i4' are not supported");
}

#[test]
fn packed_variables_are_unpacked() {
    let w = Workplace::new();
    {
        let mut file = netcdf::create(w.path("x.nc")).unwrap();
        file.add_dimension("y", 2).unwrap();
        file.add_dimension("x", 3).unwrap();
        for (name, double) in [("t", false), ("p", true)] {
            let mut variable = file.add_variable::<i16>(name, &["y", "x"]).unwrap();
            variable.put_attribute("_FillValue", -999i16).unwrap();
            if double {
                variable.put_attribute("scale_factor", 0.25f64).unwrap();
            } else {
                variable.put_attribute("scale_factor", 0.25f32).unwrap();
                variable.put_attribute("add_offset", 10f32).unwrap();
            }
            variable.put_values(&[0i16, 1, 2, -999, 4, 400], ..).unwrap();
        }
        let mut variable = file.add_variable::<i16>("counts", &["y", "x"]).unwrap();
        variable.put_values(&[0i16; 6], ..).unwrap();
    }
    w.ok("compress x.nc:t -o t.fp --bound lossless");
    w.ok("decompress t.fp -o t.f32");
    let decoded = w.read_f32("t.f32");
    assert_eq!([&decoded[..3], &decoded[4..]].concat(), [10.0, 10.25, 10.5, 11.0, 110.0]);
    assert!(decoded[3].is_nan());
    assert_eq!(w.json("compress x.nc:p -o p.fp --bound abs=0.01")["type"], "f64");
    w.fails("compress x.nc:counts -o c.fp --bound abs=1", INPUT, "packed integers");
    w.fails("compress x.nc:q -o q.fp --bound abs=1", INPUT, "it has x.nc:t (2x3), x.nc:p (2x3), x.nc:counts (2x3)");
    w.fails("compress x.nc -o q.fp --bound abs=1", USAGE, "name a variable of it: x.nc:t (2x3)");
    w.fails("decompress t.fp -o t.nc", USAGE, "not written as NetCDF");
}

#[test]
fn a_classic_file_that_was_cut_short_is_refused() {
    let w = Workplace::new();
    {
        let mut file = netcdf::create_with(w.path("x.nc"), netcdf::Options::_64BIT_OFFSET).unwrap();
        file.add_dimension("y", 40).unwrap();
        for name in ["u", "v"] {
            file.add_variable::<f32>(name, &["y"]).unwrap();
        }
        file.enddef().unwrap();
        for mut variable in file.variables_mut() {
            variable.put_values(&[1.5_f32; 40], ..).unwrap();
        }
    }
    let bytes = std::fs::read(w.path("x.nc")).unwrap();
    std::fs::write(w.path("cut.nc"), &bytes[..bytes.len() - 60]).unwrap();
    w.ok("compress x.nc:v -o v.fp --bound abs=1");
    w.ok("compress cut.nc:u -o u.fp --bound abs=1");
    w.fails("compress cut.nc:v -o cut.fp --bound abs=1", INPUT, "before the values of 'v'");
    w.fails("compress cut.nc -o out.nc --bound abs=1", INPUT, "it was cut short");
    assert!(!w.path("cut.fp").exists() && !w.path("out.nc").exists());
}

#[test]
fn streams_have_the_size_that_is_asked_for() {
    let w = Workplace::new();
    w.write_f32("x.f32", &wave());
    let bytes = 4.0 * wave().len() as f64;
    for ratio in [2.0, 8.0, 40.0] {
        let report = w.json(&format!(
            "compress x.f32 -o x.fp --dims 12,40,52 --type f32 --bound ratio={ratio} --fm off --effort 0"
        ));
        let stream = std::fs::metadata(w.path("x.fp")).unwrap().len() as f64;
        assert!(stream * ratio <= bytes && stream * ratio > 0.85 * bytes, "{ratio}: {report}");
        assert!(report["bound"].as_str().unwrap().starts_with("nrmse="), "{report}");
        assert_eq!(w.json("verify x.f32 x.fp")["holds"], true);
    }
    let compress = "compress x.f32 -o no.fp --dims 12,40,52 --type f32 --fm off --bound";
    w.fails(&format!("{compress} ratio=1e6"), BOUND, "cannot be had");
    for wrong in ["ratio=0.5", "ratio=x", "ratio=inf", "ratio=NaN", "ratio="] {
        w.fails(&format!("{compress} {wrong}"), USAGE, "expected a number from 1 on");
    }
    w.fails(&format!("{compress} ratio=4 --bound abs=1"), USAGE, "one bound");
}

#[test]
fn pages_need_the_python_package() {
    let w = Workplace::with_stream();
    for python in ["no-such-python", "true", "false"] {
        let verify = format!("FIELDPRESS_PYTHON={python} fieldpress verify x.f32 x.fp --report x.html");
        let output = w.shell(&verify);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("FIELDPRESS_PYTHON") && !said.contains("os error 13"), "{said}");
        assert!(python == "no-such-python" || said.contains("pip install 'fieldpress[quality]"), "{said}");
    }
    assert_eq!(w.files().len(), 2);
}

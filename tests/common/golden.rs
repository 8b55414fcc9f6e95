//! The golden streams: what each is made from, and where it lies.

use super::fields::{field, flow, noise, smooth};
use fieldpress::{Bound, Codec, DType, Effort, FieldView, FmMode, Options, Sentinels};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The values of a field, and their type.
#[derive(Clone, Debug)]
pub enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// A golden stream's recipe.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: &'static str,
    pub dims: &'static [usize],
    pub data: Data,
    pub bound: Bound,
    pub options: Options,
    /// How the stream must hold the field: a way of prediction as `inspect` names it, without the window's length.
    pub way: &'static str,
    /// What else it must show: features as [`super::super::features`] names them.
    pub shows: &'static [&'static str],
    /// Whether an earlier encoder made it: it is decoded, and not made anew.
    pub kept: bool,
}

impl Case {
    pub fn path(&self) -> PathBuf {
        folder().join(self.name).with_extension("fp")
    }

    /// The stream as it is stored.
    pub fn stored(&self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap_or_else(|error| panic!("{}: {error}", self.path().display()))
    }

    pub fn dtype(&self) -> DType {
        match self.data {
            Data::F32(_) => DType::F32,
            Data::F64(_) => DType::F64,
        }
    }

    pub fn view(&self) -> FieldView<'_> {
        match &self.data {
            Data::F32(values) => FieldView::new(values, self.dims).unwrap(),
            Data::F64(values) => FieldView::new(values, self.dims).unwrap(),
        }
    }

    /// Compresses the field anew.
    pub fn compress(&self, threads: usize) -> fieldpress::Result<Vec<u8>> {
        let codec = Codec::new(self.options.clone().with_threads(threads)).unwrap();
        Ok(codec.compress(&self.view(), self.bound)?.0)
    }

    /// Whether it needs the foundation model, and so ONNX Runtime.
    pub fn needs_model(&self) -> bool {
        self.options.fm == FmMode::On
    }
}

/// A package of the latents of `models/default` alone. Every process makes the same.
pub fn latents_alone() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models/default");
        let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("latents-alone");
        std::fs::create_dir_all(&out).unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let part = out.join(format!("{name}.{}", std::process::id()));
            std::fs::write(&part, bytes).unwrap();
            std::fs::rename(part, out.join(name)).unwrap();
        };
        let text = std::fs::read(source.join("manifest.json")).unwrap();
        let whole: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let latents = whole["latents"].as_object().unwrap();
        let mut files = whole["files"].as_object().unwrap().clone();
        files.retain(|name, _| latents.values().any(|value| value.as_str() == Some(name)));
        for name in files.keys() {
            write(name, &std::fs::read(source.join(name)).unwrap());
        }
        let manifest = serde_json::json!({ "format": 1, "name": "latents", "latents": latents, "files": files });
        write("manifest.json", manifest.to_string().as_bytes());
        out
    };
    MADE.get_or_init(make).clone()
}

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/assets/golden")
}

fn narrow(values: Vec<f64>) -> Data {
    Data::F32(values.into_iter().map(|v| v as f32).collect())
}

fn options(effort: Effort) -> Options {
    Options::default().with_effort(effort).with_fm(FmMode::Off)
}

/// 2^(`exponent` / 256), about: exact in f64.
fn swell(exponent: i64) -> f64 {
    let whole = f64::from_bits(((1023 + exponent.div_euclid(256)) as u64) << 52);
    whole * (256 + exponent.rem_euclid(256)) as f64
}

/// A steady pattern under a little noise.
fn steady(dims: &[usize]) -> Vec<f64> {
    field(dims, |s, t, y, x| {
        let pattern = flow(1 + s, 0, 90 * y as i64, 90 * x as i64);
        (8 * pattern + (noise(3 + s, t, y, x) >> 3)) as f64 / 1024.0
    })
}

/// A pattern that moves by a fraction of a point from frame to frame.
fn moving(dims: &[usize]) -> Vec<f64> {
    field(dims, |s, t, y, x| {
        let (t, y, x) = (t as i64, y as i64, x as i64);
        flow(11 + s, 12 * t, 70 * y + 21 * t, 70 * x + 34 * t) as f64 / 4096.0
    })
}

/// A pattern of larger shapes that moves, under a little noise.
fn gliding(dims: &[usize]) -> Vec<f64> {
    field(dims, |s, t, y, x| {
        let grain = noise(5, t, y, x);
        let (t, y, x) = (t as i64, y as i64, x as i64);
        (64 * flow(11 + s, 12 * t, 15 * y + 11 * t, 15 * x + 17 * t) + grain) as f64 / 262144.0
    })
}

/// A pattern that slides and changes slowly.
fn sliding(dims: &[usize]) -> Vec<f64> {
    field(dims, |_, t, y, x| {
        let (t, y, x) = (12 * t as i64, 70 * y as i64, 70 * x as i64);
        flow(11, t, y + t, x + t / 2) as f64 / 4096.0
    })
}

/// A few patterns whose amplitudes jump from frame to frame: what the PCA basis is for.
fn jumping(dims: &[usize]) -> Vec<f64> {
    field(dims, |_, t, y, x| {
        let (t, y, x) = (t % 8, 80 * y as i64, 80 * x as i64);
        let sum: i64 = (0..2).map(|k| (smooth(21 + k, 0, y, x) * noise(31 + k, t, 0, 0)) >> 12).sum();
        (sum + (noise(41, t, y as usize, x as usize) >> 12)) as f64 / 256.0
    })
}

/// NaN, ±Inf and the fill value 2^100 in places, some of them fixed.
fn masked(dims: &[usize], mut values: Vec<f64>) -> Vec<f64> {
    let marks = field(dims, |_, t, y, x| {
        let land = smooth(51, 0, 120 * y as i64, 120 * x as i64) > 9000;
        match noise(52, t, y, x) {
            _ if land => 1.0,
            n if n > 32_300 => 2.0,
            n if n > 31_900 => 3.0,
            n if n > 31_700 => 4.0,
            _ => 0.0,
        }
    });
    for (v, mark) in values.iter_mut().zip(marks) {
        match mark as u8 {
            1 => *v = FILL,
            2 => *v = f64::NAN,
            3 => *v = f64::INFINITY,
            4 => *v = f64::NEG_INFINITY,
            _ => {}
        }
    }
    values
}

const FILL: f64 = (1u128 << 100) as f64;

/// Streams of encoders that knew no closed-loop prediction or no volumes, settled the account of several segments
/// otherwise, had only one way to code without loss, took no value for a mark that nobody had named, let corrections lead
/// points out of the field's range, or let the mean stray.
const KEPT: [&str; 21] = [
    "axes-nrmse-f32",
    "balanced-masked-f32",
    "clamped-series-f64",
    "basis-rel-f32",
    "blocks-vectors-f32",
    "closed-counts-f32",
    "closed-masked-f32",
    "closed-series-f64",
    "closed-walks-f32",
    "fast-abs-f64",
    "fine-psnr-f64",
    "hierarchical-psnr-f64",
    "long-nrmse-f32",
    "lossless-f32",
    "lossless-f64-raw",
    "masked-abs-f64",
    "one-axis-rel-f32",
    "series-nrmse-f64",
    "spikes-rel-f32",
    "tiles-nrmse-f32",
    "volumes-shells-f32",
];

/// All golden streams. Those made by [`by_hand`] come from others.
pub fn cases() -> Vec<Case> {
    use Effort::{Fast, High, Normal};
    let mut out = Vec::new();
    let mut add = |name, dims: &'static [usize], data, bound, options, way, shows| {
        out.push(Case { name, dims, data, bound, options, way, shows, kept: KEPT.contains(&name) });
    };
    let fill = |options: Options| options.with_fill_value(FILL);

    add(
        "constant-f32",
        &[10, 20, 30],
        narrow(vec![273.125; 6000]),
        Bound::Nrmse(1e-3),
        options(Normal),
        "constant",
        &[],
    );
    let nan = f64::from_bits(0x7ff8_0000_dead_beef);
    add("constant-f64-nan", &[4, 5], Data::F64(vec![nan; 20]), Bound::Abs(0.5), options(Normal), "constant", &[]);
    add(
        "lossless-f32",
        &[4, 12, 20],
        narrow(steady(&[4, 12, 20])),
        Bound::Lossless,
        options(Normal),
        "lossless",
        &["pco"],
    );
    let bits =
        field(&[150], |_, _, _, x| f64::from_bits((noise(61, 0, 0, x) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    add("lossless-f64-raw", &[150], Data::F64(bits.clone()), Bound::Lossless, options(Normal), "lossless", &["raw"]);
    let told = options(Normal).with_fill_value(bits[7]).with_sentinels(Sentinels::Off);
    add("masked-raw-f64", &[150], Data::F64(bits), Bound::Lossless, told, "lossless", &["raw", "masked"]);
    let dims: &[usize] = &[4, 12, 20];
    let curved =
        field(dims, |_, t, y, x| 1e3 / (flow(64, 50 * t as i64, 90 * y as i64, 90 * x as i64).abs() as f64 + 3e3));
    let told = options(Normal).with_fill_value(f64::from(curved[77] as f32)).with_sentinels(Sentinels::Off);
    add("masked-lossless-f32", dims, narrow(curved), Bound::Lossless, told, "lossless", &["pco", "masked"]);
    // Values on no lattice, of which every third frame is the first one again, and the rest has steps.
    let rough = |t, y, x| 1e3 / ((noise(66, t, y, x) as f64).abs() + 3.7);
    let again = field(&[7, 9, 20], |_, t, y, x| if t % 3 == 0 { rough(0, y, x) } else { rough(t, y / 3, x / 5) });
    add("repeats-f32", &[7, 9, 20], narrow(again.clone()), Bound::Lossless, options(Normal), "lossless", &["repeats"]);
    let land = |(i, &v): (usize, &f64)| if i / 20 % 9 < 4 && i % 20 > 11 { FILL } else { v };
    let holed = narrow(again.iter().enumerate().map(land).collect());
    let shows = &["repeats", "masked"];
    add("masked-repeats-f32", &[7, 9, 20], holed, Bound::Lossless, options(Normal), "lossless", shows);
    add("repeats-abs-f64", &[7, 9, 20], Data::F64(again), Bound::Abs(1e-9), options(Fast), "lossless", &["repeats"]);
    let labels =
        field(&[6, 20, 27], |_, t, y, x| (smooth(67, 90 * t as i64, 70 * y as i64, 60 * x as i64) >> 12) as f64 / 20.0);
    let exact = &["lossless", "lattice"];
    add("lattice-f32", &[6, 20, 27], narrow(labels), Bound::Lossless, options(Normal), "closed-loop", exact);
    let fine = field(&[3, 9, 11], |_, t, y, x| noise(62, t, y, x) as f64 / 3.0);
    add("unbounded-f64", &[3, 9, 11], Data::F64(fine), Bound::Abs(1e-16), options(Normal), "lossless", &[]);

    let dims: &[usize] = &[24, 24, 40];
    add(
        "previous-nrmse-f32",
        dims,
        narrow(steady(dims)),
        Bound::Nrmse(4e-3),
        options(Normal),
        "previous",
        &["mixing", "cosine", "single"],
    );
    let dims: &[usize] = &[7, 33, 21];
    add(
        "one-window-f32",
        dims,
        narrow(steady(dims)),
        Bound::Nrmse(1e-2),
        options(Fast),
        "previous",
        &["plain", "cosine", "single"],
    );
    let dims: &[usize] = &[24, 56, 64];
    add(
        "basis-rel-f32",
        dims,
        narrow(jumping(dims)),
        Bound::Rel(0.02),
        options(Normal),
        "previous",
        &["basis", "mixing"],
    );
    let dims: &[usize] = &[10, 17, 23];
    add(
        "fast-abs-f64",
        dims,
        Data::F64(moving(dims)),
        Bound::Abs(0.125),
        options(Fast),
        "previous",
        &["plain", "single"],
    );
    let dims: &[usize] = &[5, 9, 14];
    add("fine-psnr-f64", dims, Data::F64(moving(dims)), Bound::Psnr(140.0), options(Fast), "previous", &["double"]);
    let dims: &[usize] = &[10, 22, 30];
    add(
        "masked-nrmse-f32",
        dims,
        narrow(masked(dims, steady(dims))),
        Bound::Nrmse(5e-3),
        fill(options(Normal)),
        "",
        &["mask", "single"],
    );
    add(
        "masked-abs-f64",
        dims,
        Data::F64(masked(dims, moving(dims))),
        Bound::Abs(0.25),
        fill(options(Fast)),
        "previous",
        &["mask", "corrections"],
    );
    let spiky = field(dims, |_, t, y, x| {
        let n = noise(71, t, y, x);
        if n > 32_000 { (n - 31_000) as f64 } else { smooth(72, 0, 99 * y as i64, 99 * x as i64) as f64 / 512.0 }
    });
    add("spikes-rel-f32", dims, narrow(spiky), Bound::Rel(2e-3), options(Fast), "previous", &["corrections"]);
    let dims: &[usize] = &[17, 20, 27];
    add(
        "blocks-f32",
        dims,
        narrow(masked(dims, steady(dims))),
        Bound::BlockL2(24.0),
        fill(options(Normal)),
        "previous",
        &["mask", "single"],
    );
    let dims: &[usize] = &[10, 22, 30];
    let corner = field(dims, |_, t, y, x| if y < 8 && x > 20 { noise(73, t, y, x) as f64 / 64.0 } else { 0.0 });
    add(
        "blocks-corner-f64",
        dims,
        Data::F64(corner),
        Bound::BlockL2(800.0),
        options(Fast),
        "previous",
        &["corrections"],
    );
    // Every block has the same two patterns in some proportion: what the stored vectors of block corrections are for.
    let dims: &[usize] = &[8, 64, 72];
    let patterns = field(dims, |_, t, y, x| {
        let amplitude = |k: u64| noise(75 + k, 0, y / 8, x / 8);
        let pattern =
            |k: u64| if k == 0 { (t + y % 8 * 3 + x % 8 * 5) % 7 == 0 } else { (t * 3 + y % 8 + x % 8) % 5 == 0 };
        let sum: i64 = (0..2).map(|k| if pattern(k) { amplitude(k) } else { 0 }).sum();
        if y < 32 { sum as f64 / 1024.0 } else { 0.0 }
    });
    add(
        "blocks-vectors-f32",
        dims,
        narrow(patterns),
        Bound::BlockL2(60.0),
        options(Fast),
        "previous",
        &["corrections"],
    );
    let dims: &[usize] = &[35, 24, 32];
    add(
        "hierarchical-nrmse-f32",
        dims,
        narrow(sliding(dims)),
        Bound::Nrmse(4e-4),
        options(Normal),
        "hierarchical",
        &["mixing", "single"],
    );
    let dims: &[usize] = &[35, 20, 28];
    add(
        "hierarchical-psnr-f64",
        dims,
        Data::F64(sliding(dims)),
        Bound::Psnr(110.0),
        options(High),
        "hierarchical",
        &["double"],
    );
    let dims: &[usize] = &[6, 20, 27];
    let fronts = |dims: &[usize]| {
        field(dims, |_, t, y, x| if 3 * x + y > 9 * t + 11 { 9.0 } else { (noise(7, t, y, x) >> 13) as f64 / 8.0 })
    };
    let mut closed =
        |name, dims, data, bound, options, shows| add(name, dims, data, bound, options, "closed-loop", shows);
    closed("closed-fronts-f32", dims, narrow(fronts(dims)), Bound::Abs(0.02), options(Normal), &["mixing"]);
    closed("closed-fast-f64", dims, Data::F64(fronts(dims)), Bound::Rel(1e-3), options(Fast), &["plain"]);
    let holed = masked(dims, moving(dims));
    closed("closed-masked-f32", dims, narrow(holed.clone()), Bound::Abs(0.05), fill(options(Normal)), &["mask"]);
    let shows = &["balanced", "fitted", "mask"];
    closed("balanced-masked-f32", dims, narrow(holed), Bound::Abs(0.05), fill(options(Normal)), shows);
    let counts = field(dims, |_, t, y, x| f64::from((noise(9, t, y, x) >> 12) as i32));
    closed("closed-counts-f32", dims, narrow(counts), Bound::Abs(0.1), options(Normal), &["lattice"]);
    let dims: &[usize] = &[400, 6];
    let mut walks = vec![0.0, 25.0, 50.0, 75.0, 100.0, 125.0];
    for i in 6..2400 {
        walks.push(walks[i - 6] + noise(5, 0, i / 6, i % 6) as f64 / 32_768.0);
    }
    closed("closed-walks-f32", dims, narrow(walks.clone()), Bound::Abs(0.4), options(Normal), &[]);
    closed("balanced-walks-f64", dims, Data::F64(walks), Bound::Abs(0.4), options(Normal), &["balanced"]);
    let dims: &[usize] = &[3, 2, 5, 9, 14];
    let shows = &["closed-loop", "previous", "segments"];
    add("closed-series-f64", dims, Data::F64(moving(dims)), Bound::Rel(1e-2), options(Normal), "", shows);
    let shows = &["closed-loop", "previous", "clamped"];
    add("clamped-series-f64", dims, Data::F64(moving(dims)), Bound::Rel(1e-2), options(Normal), "", shows);
    // As rain: where there is none, corrections would lead below zero.
    let rain = |values: Vec<f64>| values.into_iter().map(|v| v.max(0.0)).collect::<Vec<f64>>();
    let shows = &["clamped", "corrections"];
    let dims: &[usize] = &[10, 22, 30];
    add("clamped-rel-f32", dims, narrow(rain(steady(dims))), Bound::Rel(2e-2), options(Normal), "previous", shows);
    let dims: &[usize] = &[20, 48, 40];
    let showers = field(dims, |_, t, y, x| {
        let wet = (smooth(93, 90 * t as i64, 160 * y as i64, 150 * x as i64) as f64 / 256.0 - 20.0).max(0.0);
        wet * wet
    });
    let shows = &["balanced", "levels"];
    add("balanced-levels-f32", dims, narrow(showers), Bound::Rel(1e-2), options(Normal), "closed-loop", shows);
    let shows = &["clamped", "corrections"];
    let dims: &[usize] = &[16, 32, 40];
    let glided = Data::F64(rain(gliding(dims)));
    add("clamped-abs-f64", dims, glided, Bound::Abs(0.22624), options(Fast), "previous", shows);
    let dims: &[usize] = &[6, 20, 27];
    let signed = field(dims, |_, t, y, x| {
        let (t, y, x) = (t as i64, y as i64, x as i64);
        let sign = if flow(21, 30 * t, 60 * y, 60 * x) < 0 { -1.0 } else { 1.0 };
        sign * swell(flow(22, 12 * t, 70 * y + 21 * t, 70 * x + 34 * t) / 8)
    });
    let showers = masked(dims, signed.iter().map(|&v| if v.abs() < 1.0 { 0.0 } else { v }).collect());
    let shows = &["logarithms", "signs", "specials", "mask", "single"];
    add("logarithms-signs-f32", dims, narrow(showers), Bound::PwRel(1e-2), fill(options(Normal)), "", shows);
    let tiny = |i: usize, v: f64| if i % 37 == 5 { f64::from_bits(7000 + i as u64) } else { v.abs() };
    let wide = signed.iter().enumerate().map(|(i, &v)| tiny(i, v)).collect();
    add(
        "logarithms-wide-f64",
        dims,
        Data::F64(wide),
        Bound::PwRel(1e-4),
        options(Fast).with_axes([1, 0, 2]),
        "",
        &["logarithms", "kept", "axes"],
    );
    add("pw-rel-exact-f64", dims, Data::F64(signed), Bound::PwRel(1e-16), options(Normal), "lossless", &["pco"]);
    let dims: &[usize] = &[2500];
    add(
        "one-axis-rel-f32",
        dims,
        narrow(field(dims, |_, _, _, x| flow(81, 0, 0, 40 * x as i64) as f64 / 256.0)),
        Bound::Rel(1e-3),
        options(Normal),
        "previous",
        &[],
    );
    let dims: &[usize] = &[2, 2, 9, 8, 13];
    add("series-nrmse-f64", dims, Data::F64(moving(dims)), Bound::Nrmse(1e-2), options(Normal), "", &["segments"]);
    let dims: &[usize] = &[16, 2, 9, 12];
    add(
        "axes-nrmse-f32",
        dims,
        narrow(moving(dims)),
        Bound::Nrmse(1e-2),
        options(Fast).with_axes([2, 0, 3]),
        "previous",
        &["axes", "segments"],
    );
    let dims: &[usize] = &[10, 20, 9, 12];
    add(
        "volumes-nrmse-f32",
        dims,
        narrow(moving(dims)),
        Bound::Nrmse(1e-2),
        options(Normal).with_axes([0, 1, 2, 3]),
        "transform",
        &["axes", "volumes", "segments"],
    );
    let dims: &[usize] = &[9, 5, 10, 12];
    add(
        "volumes-masked-f64",
        dims,
        Data::F64(masked(dims, moving(dims))),
        Bound::Rel(1e-3),
        fill(options(Fast)).with_axes([1, 0, 2, 3]),
        "transform",
        &["volumes", "specials"],
    );
    let dims: &[usize] = &[3, 9, 14, 15];
    let shells = field(dims, |s, t, y, x| {
        let from = |a: usize, b: usize| (a as f64 - b as f64).powi(2);
        let inside = from(t, 4) + from(y, 6) + from(x, 7) < 20.0 + 9.0 * s as f64;
        f64::from(u8::from(inside)) + noise(9 + s, t, y, x) as f64 / 3e6
    });
    add(
        "volumes-shells-f32",
        dims,
        narrow(shells.clone()),
        Bound::Abs(0.004),
        options(Normal).with_axes([0, 1, 2, 3]),
        "closed-loop",
        &["volumes", "closed-loop"],
    );
    add(
        "balanced-shells-f32",
        dims,
        narrow(shells),
        Bound::Abs(0.006),
        options(Normal).with_axes([0, 1, 2, 3]),
        "closed-loop",
        &["volumes", "balanced"],
    );
    // Twenty kinds of NaN, in patches that move.
    let dims: &[usize] = &[9, 20, 27];
    let payloads = field(dims, |_, t, y, x| match (x + t) / 3 * 7 + y / 4 * 5 {
        k if k % 4 == 1 => f64::from(f32::from_bits(0x7fc0_0001)) + k as f64,
        _ => smooth(92, 90 * t as i64, 70 * y as i64, 60 * x as i64) as f64 / 64.0,
    });
    let payloads = payloads.iter().enumerate().map(|(i, &v)| {
        let kind = (i / 27 % 20 / 2 * 2 + i % 27 / 14) as u32;
        if v.is_nan() { f32::from_bits(0x7fc0_0001 + kind) } else { v as f32 }
    });
    let payloads = Data::F32(payloads.collect());
    let shows = &["mask", "payloads"];
    add("payloads-nrmse-f32", dims, payloads, Bound::Nrmse(1e-2), options(Normal), "", shows);
    let dims: &[usize] = &[163, 6, 9];
    add("long-nrmse-f32", dims, narrow(steady(dims)), Bound::Nrmse(2e-2), options(Fast), "previous", &["segments"]);
    let dims: &[usize] = &[14, 9, 12];
    add(
        "entries-nrmse-f32",
        dims,
        narrow(moving(dims)),
        Bound::Nrmse(1e-2),
        options(Normal).with_segment(NonZeroU16::new(5)),
        "",
        &["segment", "segments"],
    );
    let dims: &[usize] = &[1, 3, 45_000];
    let wide = field(dims, |_, t, y, x| smooth(91, 100 * t as i64, 90 * y as i64, x as i64 / 32) as f64 / 64.0);
    add("tiles-nrmse-f32", dims, narrow(wide), Bound::Nrmse(1e-2), options(Fast), "previous", &["segments"]);
    let dims: &[usize] = &[4, 10, 10];
    add(
        "range-nrmse-f32",
        dims,
        narrow(steady(dims)),
        Bound::Nrmse(1e-3),
        options(Fast).with_range(2000.0),
        "previous",
        &[],
    );

    let with_model = |options: Options| options.with_fm(FmMode::On).with_device(fieldpress::Device::Cpu);
    let dims: &[usize] = &[7, 48, 64];
    add(
        "fm-hierarchical-nrmse-f32",
        dims,
        narrow(moving(dims)),
        Bound::Nrmse(4e-3),
        with_model(options(Normal)),
        "hierarchical",
        &["model"],
    );
    let dims: &[usize] = &[7, 64, 64];
    add(
        "fm-enhanced-nrmse-f32",
        dims,
        narrow(gliding(dims)),
        Bound::Nrmse(1e-2),
        with_model(options(High)),
        "hierarchical",
        &["model", "enhanced"],
    );
    let dims: &[usize] = &[17, 48, 64];
    let shows = &["model", "enhanced", "corrections"];
    let high = with_model(options(High));
    add("fm-corrected-rel-f32", dims, narrow(moving(dims)), Bound::Rel(1e-2), high, "hierarchical", shows);
    let normal = with_model(options(Normal));
    add("fm-corrected-block-f32", dims, narrow(moving(dims)), Bound::BlockL2(3.0), normal, "previous", shows);
    // Noise that no frame shares with the next: no work for the interpolator.
    let dims: &[usize] = &[8, 64, 64];
    let noisy = field(dims, |_, t, y, x| {
        let pattern = flow(1, 0, 90 * y as i64, 90 * x as i64);
        (16 * pattern + 3 * noise(3, t, y, x)) as f64 / 4096.0
    });
    add(
        "fm-latents-nrmse-f32",
        dims,
        narrow(noisy),
        Bound::Nrmse(1e-2),
        // The package compiled in takes its other networks where it can.
        with_model(options(Normal)).with_model(latents_alone()),
        "latents",
        &["model", "latents"],
    );
    out.extend(by_tables());
    out
}

/// Streams of the lowest effort that are large enough for tables.
fn by_tables() -> Vec<Case> {
    let fast = || options(Effort::Fast);
    let case = |name, dims: &'static [usize], data, bound, options| {
        let volumes = dims.len() == 4;
        let (way, shows): (_, &[_]) =
            if volumes { ("transform", &["tables", "volumes"]) } else { ("previous", &["tables"]) };
        Case { name, dims, data, bound, options, way, shows, kept: false }
    };
    let films: &[usize] = &[18, 37, 52];
    let volumes: &[usize] = &[3, 13, 26, 34];
    let series: &[usize] = &[2, 1, 11, 33, 40];
    let holes: &[usize] = &[11, 33, 46];
    let fine: &[usize] = &[9, 18, 25];
    let curved = moving(fine).into_iter().map(|v| v + 0.013 * v * v).collect();
    vec![
        case("tables-films-f32", films, narrow(moving(films)), Bound::Nrmse(1e-3), fast()),
        case(
            "tables-volumes-f32",
            volumes,
            narrow(moving(volumes)),
            Bound::Nrmse(1e-3),
            fast().with_axes([0, 1, 2, 3]),
        ),
        case("tables-series-f64", series, Data::F64(moving(series)), Bound::Psnr(68.0), fast().with_axes([2, 3, 4])),
        case(
            "tables-holes-f64",
            holes,
            Data::F64(masked(holes, moving(holes))),
            Bound::Nrmse(6e-4),
            fast().with_fill_value(FILL),
        ),
        case("tables-fine-f64", fine, Data::F64(curved), Bound::Psnr(130.0), fast()),
    ]
}

/// Streams that no encoder writes today, from those that it does: name, the case they come from, and how.
pub type Edit = (&'static str, &'static str, fn(&mut [u8]));

/// See the cases.
pub fn by_hand() -> Vec<Edit> {
    // A single window has no previous one, so that the way `transform` reads it as the way `previous` does.
    fn transform(segment: &mut [u8]) {
        assert_eq!(segment[0] & 15, 1);
        segment[0] &= !15;
    }
    vec![("transform-nrmse-f32", "one-window-f32", transform)]
}

//! Hostile bytes: any change of a stream gives an error or the right data, and with its checksums made right again an
//! error or some data: never a panic, never a hang, never memory beyond a small multiple of what the stream declares.

mod common;

use common::golden::{Case, by_hand, cases, folder};
use common::structure::Structure;
use common::{decode, reader};
use fieldpress::{Codec, ErrorKind, Region, Request, Scale, inspect};
use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts what is allocated, and the most that ever was at once.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time, so that each counts its own memory and time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The longest that one stream may take. Builds without optimisation are slower than any promise.
const LONGEST: Duration = Duration::from_millis(if cfg!(debug_assertions) { 20_000 } else { 1_000 });
/// Memory beyond the declared field's multiple: models, tables, and what runs once in a process.
const CONSTANT: usize = 4 << 20;
/// Working memory of a window over the bytes of the field that the stream declares.
const MULTIPLE: usize = 24;
/// Streams that declare more points are only inspected here: the caller, not the library, allocates a field.
const MOST_POINTS: usize = 1 << 18;

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Streams that need no model, by name, and what they decode to.
fn streams() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let codec = reader();
    let read = |name: &str| std::fs::read(folder().join(name).with_extension("fp")).unwrap();
    let cases = cases().into_iter().filter(|case| !case.needs_model()).map(|case: Case| case.name);
    let mut out: Vec<_> = cases
        .chain(by_hand().into_iter().map(|(name, _, _)| name))
        .map(|name| {
            let bytes = read(name);
            let decoded = decode(&codec, &bytes, &Request::default()).unwrap();
            (name, bytes, decoded)
        })
        .collect();
    out.sort_by_key(|(_, bytes, _)| bytes.len());
    out
}

/// Decodes, or says which change made it panic.
fn survive(codec: &Codec, bytes: &[u8], request: &Request, what: &dyn Fn() -> String) -> Option<Vec<u8>> {
    match catch_unwind(AssertUnwindSafe(|| decode(codec, bytes, request))) {
        Ok(Ok(decoded)) => Some(decoded),
        Ok(Err(error)) => {
            assert!(error.kind() != ErrorKind::Internal, "{}: blames itself: {error}", what());
            None
        }
        Err(_) => panic!("{}: panics", what()),
    }
}

#[test]
fn every_flip_is_an_error_or_the_right_data() {
    let _alone = alone();
    let codec = reader();
    let mut state = 1;
    for (name, bytes, right) in streams() {
        let mut damaged = bytes.clone();
        // Of long streams some bytes, which all have the same checksums.
        for at in (0..bytes.len()).step_by(bytes.len().div_ceil(6000)) {
            let all: Vec<u8> = (0..8).map(|bit| 1 << bit).collect();
            let one = [random(&mut state) as u8 | 1];
            for mask in if bytes.len() < 3000 { &all[..] } else { &one[..] } {
                damaged[at] ^= mask;
                let what = || format!("{name}: byte {at} xor {mask:#04x}");
                if let Some(decoded) = survive(&codec, &damaged, &Request::default(), &what) {
                    assert!(decoded == right, "{}: wrong data without an error", what());
                }
                damaged[at] = bytes[at];
            }
        }
    }
}

#[test]
fn every_truncation_and_every_appendix_is_an_error() {
    let _alone = alone();
    let codec = reader();
    for (name, bytes, _) in streams() {
        for length in 0..bytes.len() {
            let what = || format!("{name}: the first {length} bytes");
            assert!(survive(&codec, &bytes[..length], &Request::default(), &what).is_none(), "{}: data", what());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(survive(&codec, &longer, &Request::default(), &|| format!("{name} and a zero")).is_none());
        let twice = [&bytes[..], &bytes].concat();
        assert!(survive(&codec, &twice, &Request::default(), &|| format!("{name} twice")).is_none());
    }
}

/// Decodes a sealed stream whole, of a reduced scale and of a box, under the limits of time and memory.
fn withstand(codec: &Codec, bytes: &[u8], every: bool, what: &dyn Fn() -> String) -> Option<Worst> {
    let info = match catch_unwind(|| inspect(bytes)) {
        Ok(info) => info.ok()?,
        Err(_) => panic!("{}: panics when inspected", what()),
    };
    let dims = info.shape.dims();
    let middle = Region { start: dims.iter().map(|n| n / 2).collect(), count: vec![1; dims.len()] };
    let point = Request { region: Some(middle), ..Default::default() };
    let whole = Request::default();
    let half = Request { scale: Scale::Half, region: None };
    let requests = match (info.shape.len() > MOST_POINTS, every) {
        (true, _) => vec![],
        (false, true) => vec![whole, half, point],
        (false, false) => vec![whole],
    };
    let mut worst = Worst::default();
    let declared = info.shape.len() * info.dtype.size();
    for request in requests {
        let begin = Instant::now();
        let held = HELD.load(Ordering::Relaxed);
        PEAK.store(held, Ordering::Relaxed);
        survive(codec, bytes, &request, what);
        let peak = PEAK.load(Ordering::Relaxed) - held;
        let took = begin.elapsed();
        assert!(took < LONGEST, "{}: takes {took:?}", what());
        assert!(
            peak <= CONSTANT + MULTIPLE * declared + 32 * bytes.len(),
            "{}: takes {peak} bytes for a field of {declared} and a stream of {}",
            what(),
            bytes.len()
        );
        worst = Worst { took: worst.took.max(took), peak: worst.peak.max(peak) };
    }
    Some(worst)
}

/// What the worst stream took.
#[derive(Clone, Copy, Debug, Default)]
struct Worst {
    took: Duration,
    peak: usize,
}

#[test]
fn resealed_flips_neither_panic_nor_hang_nor_take_memory() {
    let _alone = alone();
    let codec = reader();
    let mut state = 2;
    for (index, (name, bytes, _)) in streams().into_iter().enumerate() {
        let structure = Structure::of(&bytes);
        let mut worst = Worst::default();
        let (mut sound, mut total) = (0, 0);
        // The larger streams repeat what the smaller ones have: fewer positions of them.
        let stride = (bytes.len() / 250).max(1);
        let places = structure.sections.iter().flat_map(|s| (s.start..s.end).step_by(stride));
        for at in (0..structure.header_checksum).chain(places) {
            let header = at < structure.header_checksum;
            let masks: Vec<u8> = match header {
                true if index < 8 => (0..8).map(|bit| 1 << bit).collect(),
                true => vec![random(&mut state) as u8 | 1],
                false => vec![random(&mut state) as u8 | 1, 1 << (random(&mut state) % 8)],
            };
            for mask in masks {
                let mut damaged = bytes.clone();
                damaged[at] ^= mask;
                structure.seal(&mut damaged);
                total += 1;
                let what = || format!("{name}: byte {at} xor {mask:#04x}, sealed");
                if let Some(found) = withstand(&codec, &damaged, (header && index < 8) || at % 7 == 0, &what) {
                    sound += 1;
                    worst = Worst { took: worst.took.max(found.took), peak: worst.peak.max(found.peak) };
                }
            }
        }
        println!("{name}: {sound} of {total} changed streams decode; at worst {worst:?}");
    }
}

#[test]
fn resealed_numbers_neither_panic_nor_hang_nor_take_memory() {
    let _alone = alone();
    let codec = reader();
    let numbers: [&[u8]; 12] = [
        &f64::NAN.to_le_bytes(),
        &f64::INFINITY.to_le_bytes(),
        &f64::NEG_INFINITY.to_le_bytes(),
        &1e308f64.to_le_bytes(),
        &(-1.0f64).to_le_bytes(),
        &5e-324f64.to_le_bytes(),
        &0.0f64.to_le_bytes(),
        &[0xff; 9],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0x00, 0x80],
        &[0xff, 0x7f],
        &[0x80, 0x80, 0x01],
    ];
    // Every third: headers differ little.
    for (name, bytes, _) in streams().into_iter().step_by(3) {
        let structure = Structure::of(&bytes);
        let places = (6..structure.header_checksum)
            .chain(structure.sections.iter().take(2).flat_map(|s| s.start..s.end.min(s.start + 40)));
        for at in places {
            for number in numbers {
                let end = at + number.len();
                if end > bytes.len() {
                    continue;
                }
                let mut damaged = bytes.clone();
                damaged[at..end].copy_from_slice(number);
                structure.seal(&mut damaged);
                withstand(&codec, &damaged, at % 5 == 0, &|| format!("{name}: {number:?} at byte {at}, sealed"));
            }
        }
    }
}

#[test]
fn resealed_noise_neither_panics_nor_hangs_nor_takes_memory() {
    let _alone = alone();
    let codec = reader();
    let mut state = 3;
    for (name, bytes, _) in streams() {
        let structure = Structure::of(&bytes);
        for round in 0..30 {
            let mut damaged = bytes.clone();
            for section in &structure.sections {
                // Noise, zeros or ones from some place on.
                let length = section.len() as u64;
                let from = section.start + (random(&mut state) % length.max(1)) as usize;
                for byte in &mut damaged[from..section.end] {
                    *byte = [random(&mut state) as u8, 0, 255][round % 3];
                }
            }
            structure.seal(&mut damaged);
            withstand(&codec, &damaged, false, &|| format!("{name}: noise, round {round}"));
        }
    }
}

/// Streams that use the model, where one can run.
#[test]
fn resealed_flips_of_streams_with_a_model_neither_panic_nor_hang() {
    let _alone = alone();
    let codec = reader();
    let mut state = 4;
    for case in cases().into_iter().filter(Case::needs_model) {
        let bytes = case.stored();
        if let Err(error) = decode(&codec, &bytes, &Request::default()) {
            assert!(matches!(error.kind(), ErrorKind::Runtime | ErrorKind::Model), "{}: {error}", case.name);
            println!("left out, no model can run here: {error}");
            return;
        }
        let structure = Structure::of(&bytes);
        let mut sound = 0;
        for round in 0..150 {
            let mut damaged = bytes.clone();
            // The header, the first bytes of a section, or anything.
            let at = match round % 3 {
                0 => random(&mut state) as usize % structure.header_checksum,
                1 => structure.sections[0].start + random(&mut state) as usize % 40,
                _ => structure.sections[0].start + random(&mut state) as usize % structure.sections[0].len(),
            };
            damaged[at] ^= random(&mut state) as u8 | 1;
            structure.seal(&mut damaged);
            let what = || format!("{}: round {round}, byte {at}, sealed", case.name);
            if inspect(&damaged).is_ok_and(|info| info.shape.len() > MOST_POINTS) {
                continue;
            }
            let begin = Instant::now();
            sound += usize::from(survive(&codec, &damaged, &Request::default(), &what).is_some());
            assert!(begin.elapsed() < LONGEST, "{}: takes {:?}", what(), begin.elapsed());
        }
        println!("{}: {sound} of 150 changed streams decode", case.name);
    }
}

/// A stream with the header of a tiny one, but other dimensions.
fn with_dims(name: &str, dims: &[u64]) -> Vec<u8> {
    let bytes = std::fs::read(folder().join(name).with_extension("fp")).unwrap();
    let structure = Structure::of(&bytes);
    let mut out = bytes[..7].to_vec();
    out.push(dims.len() as u8);
    for &n in dims {
        let mut n = n;
        while n >= 128 {
            out.push(n as u8 | 128);
            n >>= 7;
        }
        out.push(n as u8);
    }
    let old: usize = 8 + structure.dims.iter().map(|n| (n.max(&1).ilog2() / 7 + 1) as usize).sum::<usize>();
    out.extend_from_slice(&bytes[old..structure.header_checksum]);
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&bytes[structure.header_checksum + 4..]);
    out
}

#[test]
fn huge_declared_fields_cost_nothing() {
    let _alone = alone();
    let codec = reader();
    let shapes: [&[u64]; 10] = [
        &[u64::MAX],
        &[u64::MAX, u64::MAX, u64::MAX, u64::MAX, u64::MAX],
        &[1 << 59, 2],
        &[(1 << 60) - 1],
        &[1 << 20, 1 << 20, 1 << 19],
        &[1 << 30, 1, 1, 1, 1],
        &[1, 1 << 30, 1, 1],
        &[1 << 12, 1 << 12, 1 << 12, 1 << 12, 1 << 11],
        &[128, 1 << 25],
        &[16, 360, 360],
    ];
    for name in ["constant-f32", "lossless-f32", "one-window-f32", "transform-nrmse-f32", "axes-nrmse-f32"] {
        for dims in shapes {
            let bytes = with_dims(name, dims);
            let what = format!("{name} with dimensions {dims:?}");
            let begin = Instant::now();
            let held = HELD.load(Ordering::Relaxed);
            PEAK.store(held, Ordering::Relaxed);
            if let Ok(info) = catch_unwind(|| inspect(&bytes)).unwrap_or_else(|_| panic!("{what}: panics")) {
                // One point of it, which a caller may well ask for.
                let start: Vec<usize> = info.shape.dims().iter().map(|n| n - 1).collect();
                let count = vec![1; start.len()];
                let request = Request { region: Some(Region { start, count }), ..Default::default() };
                survive(&codec, &bytes, &request, &|| what.clone());
            }
            assert!(begin.elapsed() < LONGEST, "{what}: takes {:?}", begin.elapsed());
            let peak = PEAK.load(Ordering::Relaxed) - held;
            // A segment of the largest size, decoded for one of its points, is what any such request may cost.
            assert!(peak <= 256 << 20, "{what}: takes {peak} bytes");
        }
    }
}

/// A stream whose header, up to its checksum, is `change`d.
fn with_header(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let bytes = std::fs::read(folder().join(name).with_extension("fp")).unwrap();
    let end = Structure::of(&bytes).header_checksum;
    let mut out = bytes[..end].to_vec();
    change(&mut out);
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&bytes[end + 4..]);
    out
}

fn stored_as(name: &str) -> Vec<u8> {
    with_header(name, |_| {})
}

/// What is new in version 4 contradicts nothing, and is in no other version.
#[test]
fn headers_are_those_of_their_versions() {
    let _alone = alone();
    const NAME: &str = "masked-raw-f64";
    let info = inspect(&stored_as(NAME)).unwrap();
    let [mark] = info.masked[..] else { panic!("one masked value, not {:?}", info.masked) };
    let stored = stored_as(NAME);
    let at = stored.windows(8).position(|bits| bits == mark.to_le_bytes()).unwrap();
    assert_eq!(stored[at - 1], 1);
    let with_marks = |marks: &[f64]| {
        with_header(NAME, |header| {
            let bits: Vec<u8> = marks.iter().flat_map(|mark| mark.to_le_bytes()).collect();
            header.splice(at - 1..at + 8, [marks.len() as u8].into_iter().chain(bits));
        })
    };
    for count in [1, 2, 15] {
        let marks: Vec<f64> = (0..count).map(|k| f64::from(k) - 9999.0).collect();
        assert_eq!(inspect(&with_marks(&marks)).unwrap().masked, marks);
    }
    let many: Vec<f64> = (0..16).map(f64::from).collect();
    let version = |name: &str, version: u8| with_header(name, |header| header[4] = version);
    // The working type and the flags beside it, after mean, exponent, smallest and largest value.
    let structure = Structure::of(&stored_as("clamped-rel-f32"));
    let flags = |name: &str, flip: u8| with_header(name, |header| header[structure.flags] ^= flip);
    for (what, bytes) in [
        ("none", with_marks(&[])),
        ("too many", with_marks(&many)),
        ("the same twice", with_marks(&[1.0, 1.0])),
        ("no number", with_marks(&[f64::NAN])),
        ("infinite", with_marks(&[2.0, f64::INFINITY])),
        ("masked values in version 1", version(NAME, 1)),
        ("lossless without masked values", version("lossless-f32", 4)),
        ("repeats without masked values", version("repeats-f32", 4)),
        ("constant", version("constant-f32", 4)),
        ("segments that are not clamped", version("one-window-f32", 4)),
        ("clamped in version 2", version("clamped-rel-f32", 2)),
        ("version 4, not clamped", flags("clamped-rel-f32", 8)),
        ("a mean of the frame before in version 4", flags("clamped-rel-f32", 16)),
        ("a mean of a frame before that is not there", flags("balanced-levels-f32", 16)),
        ("a flag that is not known", flags("balanced-levels-f32", 32)),
        ("masked values in version 8", version(NAME, 8)),
        ("planes in version 5", version(NAME, 5)),
        ("masked values in version 6", version(NAME, 6)),
        ("volumes in version 4", version("volumes-nrmse-f32", 4)),
        ("volumes in version 1", version("volumes-shells-f32", 1)),
        ("few special patterns in version 7", version("masked-nrmse-f32", 7)),
        ("many special patterns in version 6", version("payloads-nrmse-f32", 6)),
    ] {
        assert_eq!(inspect(&bytes).unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
    }
    // A header of version 5 says nothing of tables, which its segments then may not have.
    let tables = version("tables-volumes-f32", 5);
    assert_eq!(inspect(&tables).unwrap().version, 5);
    assert_eq!(decode(&reader(), &tables, &Request::default()).unwrap_err().kind(), ErrorKind::Corrupt);
    // As little does one of version 7 of predictions that are offset.
    let balanced = version("balanced-levels-f32", 6);
    assert_eq!(inspect(&balanced).unwrap().version, 6);
    assert_eq!(decode(&reader(), &balanced, &Request::default()).unwrap_err().kind(), ErrorKind::Corrupt);
    // And one of version 8 of corrections of enhanced frames.
    let corrected = version("fm-corrected-rel-f32", 8);
    assert_eq!(inspect(&corrected).unwrap().version, 8);
    assert_eq!(decode(&reader(), &corrected, &Request::default()).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(inspect(&version(NAME, 10)).unwrap_err().kind(), ErrorKind::Unsupported);
}

/// A field of logarithms stands alone and is that of its field, which begins version 9.
#[test]
fn headers_of_logarithms_are_those_of_their_fields() {
    let _alone = alone();
    const NAME: &str = "logarithms-wide-f64";
    let version = |name: &str, version: u8| with_header(name, |header| header[4] = version);
    // The header inside begins as all do: magic, version, type, number of dimensions, sizes, choice of axes, axes.
    let stored = stored_as(NAME);
    let inside = stored.windows(4).rposition(|bytes| bytes == b"FPRS").unwrap();
    assert!(inside > 0 && stored[inside + 4] < 9);
    let changed = |at: usize, byte: u8| with_header(NAME, |header| header[at] = byte);
    for (what, bytes) in [
        ("masked values under abs in version 9", version("masked-raw-f64", 9)),
        ("logarithms in version 8", version(NAME, 8)),
        ("pw_rel in version 1", version("pw-rel-exact-f64", 1)),
        ("more patterns of points without data than patterns", changed(inside - 1, 9)),
        ("no header inside", changed(inside, 0)),
        ("logarithms held by logarithms", changed(inside + 4, 9)),
        ("logarithms of a later version", changed(inside + 4, 10)),
        ("logarithms of another shape", changed(inside + 8, 7)),
        ("logarithms of other axes", changed(inside + 11, 0)),
    ] {
        assert_eq!(inspect(&bytes).unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
    }
    // A logarithm that stands for a pattern that there is not: all of them are taken away.
    let none = with_header("logarithms-signs-f32", |header| {
        let inside = header.windows(4).rposition(|bytes| bytes == b"FPRS").unwrap();
        let count = (1..).find(|count| usize::from(header[inside - 2 - 4 * count]) == *count).unwrap();
        header.splice(inside - 2 - 4 * count..inside, [0, 0]);
    });
    assert_eq!(inspect(&none).unwrap().bound.name(), "pw_rel");
    assert_eq!(decode(&reader(), &none, &Request::default()).unwrap_err().kind(), ErrorKind::Corrupt);
}

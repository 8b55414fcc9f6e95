//! Random fields of the kinds that have gone wrong once, with options drawn at random: every bound holds, what marks points
//! without data comes back bit for bit, parts are parts of the whole. `tools/soak 1000000` draws as many as that.

use fieldpress::{
    Bound, Codec, DType, Effort, Element, FieldView, FieldViewMut, FmMode, Options, Region, Request, Scale, Sentinels,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::scope;

/// Fields where nobody says how many.
const FIELDS: u64 = 600;
/// Seeds that failed once: a segment that was neither looked at nor coded had to settle the account; a bound far beyond the
/// range had no square, and so had one that is next to nothing of it.
const FOUND: [u64; 3] = [2497, 3992, 30_213_265];
/// Values of a field, at most.
const MOST: usize = 4096;
/// Side of the blocks of `block_l2`.
const BLOCK: usize = 8;

/// Draws by a seed.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn dims(&mut self) -> Vec<usize> {
        let ndim = self.of(&[1, 2, 3, 3, 3, 3, 4, 4, 5]);
        let mut dims: Vec<usize> = (0..ndim).map(|_| self.of(&[1, 2, 3, 5, 8, 9, 16, 17, 24, 33, 40])).collect();
        while dims.iter().product::<usize>() > MOST {
            let longest = (0..ndim).max_by_key(|&axis| dims[axis]).expect("there is an axis");
            dims[longest] = dims[longest].div_ceil(2);
        }
        if ndim == 1 && self.below(2) == 0 {
            dims[0] = 1 + self.below(MOST);
        }
        dims
    }

    /// Values that are smooth, rough, sparse, steps, counts, waves that grow, …, of about unit size.
    fn values(&mut self, dims: &[usize]) -> Vec<f64> {
        let n: usize = dims.iter().product();
        let row = dims[dims.len() - 1];
        let frame = n / dims[0];
        let (kind, seed) = (self.below(12), self.next());
        let (fast, slow) = (0.02 + self.unit(), 0.3 * self.unit());
        let wave = |i: usize| {
            let (x, y, t) = ((i % row) as f64, (i / row) as f64, (i / frame) as f64);
            (x * fast).sin() + (y * fast * 0.7 + t * slow).cos()
        };
        let quiet = self.below(dims[0] + 1) * frame;
        let mut noise = Self(seed);
        let mut walk = 0.0;
        let period = 1 + noise.below(97);
        let once: Vec<f64> = (0..period).map(|_| noise.unit()).collect();
        (0..n)
            .map(|i| match kind {
                0 | 1 => wave(i),
                2 => wave(i) + 0.05 * noise.unit(),
                3 => noise.unit(),
                4 => {
                    walk += noise.unit() - 0.5;
                    walk
                }
                5 => f64::from(u8::from(noise.below(50) == 0)) * noise.unit(),
                6 => (3.0 * wave(i)).floor(),
                7 => (wave(i) - 0.8).max(0.0),
                8 => (8.0 * wave(i)).exp(),
                9 => wave(i) * if i < quiet { 1e-4 } else { 1.0 },
                10 => once[i % period],
                _ => (i / period % 2) as f64 + if i == n / 3 { 1e6 } else { 0.0 },
            })
            .collect()
    }
}

/// A field, and what marks points of it.
struct Drawn<T> {
    dims: Vec<usize>,
    values: Vec<T>,
    fill: Option<f64>,
}

fn field<T: Element>(draw: &mut Draw) -> Drawn<T> {
    let dims = draw.dims();
    let plain = draw.values(&dims);
    let scales: &[f64] = match T::DTYPE {
        DType::F32 => &[1.0, 1.0, 1.0, 300.0, 1e-3, 1e30, 1e-30, 1e-38, 3e-42],
        DType::F64 => &[1.0, 1.0, 1.0, 300.0, 1e-3, 1e30, 1e300, 1e-300, 1e-308, 1e-320],
    };
    let (scale, offset) = (draw.of(scales), draw.of(&[0.0, 0.0, 0.0, 1.0, -3.0, 273.15, 1e6]));
    let mut values: Vec<T> = plain.iter().map(|v| T::from_f64((v + offset) * scale)).collect();
    let mut fill = None;
    if draw.below(3) == 0 {
        let patterns = draw.of(&[1, 1, 2, 3, 20]);
        for _ in 0..patterns {
            let mark = match draw.below(7) {
                0 => T::from_f64(f64::INFINITY),
                1 => T::from_f64(f64::NEG_INFINITY),
                2 => T::from_f64(-9999.0),
                3 => T::from_f64(1e20),
                4 => T::from_bits_u64(T::from_f64(f64::NAN).to_bits_u64() | draw.next() & 0xff),
                _ => T::from_f64(f64::NAN),
            };
            if draw.below(4) == 0 && mark.to_f64().is_finite() {
                fill = Some(mark.to_f64());
            }
            let from = draw.below(values.len());
            let count = 1 + draw.below(values.len() - from);
            let every = draw.of(&[1, 1, 3]);
            values[from..from + count].iter_mut().step_by(every).for_each(|v| *v = mark);
        }
    }
    Drawn { dims, values, fill }
}

/// Errors over the points with data.
struct Found {
    range: f64,
    largest: f64,
    /// Root mean square, and the largest norm of a block, over the range.
    rms: f64,
    block: f64,
}

/// Compares what was decoded with the original; everything that is a mark must be the same bits.
fn compare<T: Element>(drawn: &Drawn<T>, decoded: &[T], sentinels: &[f64]) -> Found {
    let is_mark = |v: T| {
        let value = v.to_f64();
        !value.is_finite() || drawn.fill.is_some_and(|fill| T::from_f64(fill) == v) || sentinels.contains(&value)
    };
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for &v in drawn.values.iter().filter(|&&v| !is_mark(v)) {
        (low, high) = (low.min(v.to_f64()), high.max(v.to_f64()));
    }
    // A range that is no f64 number is none.
    let range = if low <= high && (high - low).is_finite() { high - low } else { 0.0 };
    let mut three = [1; 3];
    let ndim = drawn.dims.len();
    (0..ndim.min(3)).for_each(|k| three[2 - k] = drawn.dims[ndim - 1 - k]);
    let [t, h, w] = three;
    let mut blocks = std::collections::HashMap::new();
    let (mut largest, mut squares, mut points) = (0.0f64, 0.0, 0);
    for (i, (&a, &b)) in drawn.values.iter().zip(decoded).enumerate() {
        if is_mark(a) {
            assert_eq!(a.to_bits_u64(), b.to_bits_u64(), "a mark at {i}");
            continue;
        }
        assert!(b.to_f64().is_finite(), "{b:?} for {a:?}");
        let error = (b.to_f64() - a.to_f64()).abs();
        largest = largest.max(error);
        // Squares of what is left over the range: those of the errors may not be f64 numbers.
        let square = if range > 0.0 { (error / range).powi(2) } else { 0.0 };
        (squares, points) = (squares + square, points + 1);
        let at = [i / (t * h * w), i / (h * w) % t / BLOCK, i / w % h / BLOCK, i % w / BLOCK];
        *blocks.entry(at).or_insert(0.0) += square;
    }
    let block = blocks.into_values().fold(0.0, f64::max).sqrt();
    Found { range, largest, rms: (squares / f64::from(points.max(1))).sqrt(), block }
}

/// One field, from drawing it to reading parts of it.
fn try_one<T: Element + Default>(draw: &mut Draw) {
    let drawn = field::<T>(draw);
    let size = 10f64.powf(-0.5 - 5.0 * draw.unit());
    let wide = drawn.values.iter().map(|v| v.to_f64()).filter(|v| v.is_finite() && v.abs() < 1e19);
    let (low, high) = wide.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let span = if high > low { high - low } else { 1.0 };
    let bound = match draw.below(7) {
        0 => Bound::Abs(size * span),
        1 | 2 => Bound::Rel(size),
        3 | 4 => Bound::Nrmse(size),
        5 => Bound::BlockL2(size * span * 10.0),
        _ => draw.of(&[Bound::Lossless, Bound::Psnr(30.0 + 70.0 * size)]),
    };
    // Bounds that are not numbers are refused, which other tests show.
    let Ok(bound) = bound.to_string().parse::<Bound>() else { return };
    let mut options = Options::default().with_effort(draw.of(&[Effort::Fast, Effort::Fast, Effort::Normal]));
    options = options.with_fm(FmMode::Off).with_threads(1);
    if let Some(fill) = drawn.fill {
        options = options.with_fill_value(fill);
    }
    if draw.below(4) == 0 {
        options = options.with_sentinels(Sentinels::Off);
    }
    let codec = Codec::new(options).unwrap();
    let view = FieldView::new(&drawn.values, &drawn.dims).unwrap();
    let (stream, report) = codec.compress(&view, bound).unwrap();
    let mut decoded = vec![T::default(); drawn.values.len()];
    let mut target = FieldViewMut::new(&mut decoded, &drawn.dims).unwrap();
    codec.decompress(&stream, &Request::default(), &mut target).unwrap();
    let found = compare(&drawn, &decoded, &report.sentinels);
    assert_eq!(report.info.range, found.range, "{bound}");
    let rounding = 1.0 + 1e-9;
    match bound {
        Bound::Abs(e) => assert!(found.largest <= e, "{bound}: {}", found.largest),
        Bound::Rel(e) => assert!(found.largest <= e * found.range, "{bound}: {} of {}", found.largest, found.range),
        Bound::Nrmse(e) => assert!(found.rms <= e * rounding, "{bound}: {}", found.rms),
        Bound::Psnr(db) => assert!(found.rms <= 10f64.powf(-db / 20.0) * rounding, "{bound}: {}", found.rms),
        Bound::BlockL2(e) => {
            assert!(found.block * found.range <= e * rounding, "{bound}: {} of {}", found.block, found.range);
        }
        _ => assert_eq!(found.largest, 0.0, "{bound}"),
    }
    assert!(stream.len() <= Codec::compress_bound(&report.info.shape, T::DTYPE), "{} bytes", stream.len());
    parts(draw, &codec, &stream, &drawn.dims, &decoded);
    // What came first is drawn as it was for the fields that were found once.
    if draw.below(3) == 0 {
        relative(draw, &codec, &drawn, size);
    }
}

/// The same field under a bound relative at each point: whatever is a mark or zero is the same bits.
fn relative<T: Element + Default>(draw: &mut Draw, codec: &Codec, drawn: &Drawn<T>, size: f64) {
    let view = FieldView::new(&drawn.values, &drawn.dims).unwrap();
    let (stream, report) = codec.compress(&view, Bound::PwRel(size)).unwrap();
    let mut decoded = vec![T::default(); drawn.values.len()];
    let mut target = FieldViewMut::new(&mut decoded, &drawn.dims).unwrap();
    codec.decompress(&stream, &Request::default(), &mut target).unwrap();
    compare(drawn, &decoded, &report.sentinels);
    for (i, (a, b)) in drawn.values.iter().zip(&decoded).enumerate() {
        let (x, y) = (a.to_f64(), b.to_f64());
        let near = (x - y).abs() <= size * x.abs() && x.is_sign_negative() == y.is_sign_negative();
        assert!(a.to_bits_u64() == b.to_bits_u64() || near, "{x} and {y} at {i} under pw_rel={size}");
    }
    assert!(stream.len() <= Codec::compress_bound(&report.info.shape, T::DTYPE), "{} bytes", stream.len());
    parts(draw, codec, &stream, &drawn.dims, &decoded);
}

/// A box is a part of the whole, and reduced scales decode.
fn parts<T: Element + Default>(draw: &mut Draw, codec: &Codec, stream: &[u8], dims: &[usize], whole: &[T]) {
    let start: Vec<usize> = dims.iter().map(|&n| draw.below(n)).collect();
    let count: Vec<usize> = dims.iter().zip(&start).map(|(&n, &from)| 1 + draw.below(n - from)).collect();
    let request = Request { region: Some(Region { start: start.clone(), count: count.clone() }), ..Default::default() };
    let mut part = vec![T::default(); count.iter().product()];
    codec.decompress(stream, &request, &mut FieldViewMut::new(&mut part, &count).unwrap()).unwrap();
    for (i, value) in part.iter().enumerate() {
        let (mut rest, mut at, mut stride) = (i, 0, 1);
        for axis in (0..dims.len()).rev() {
            at += (start[axis] + rest % count[axis]) * stride;
            rest /= count[axis];
            stride *= dims[axis];
        }
        assert_eq!(value.to_bits_u64(), whole[at].to_bits_u64(), "a box from {start:?} of {count:?}");
    }
    let request = Request { scale: draw.of(&[Scale::Half, Scale::Quarter]), region: None };
    let shape = request.output_shape(&fieldpress::inspect(stream).unwrap()).unwrap();
    let mut small = vec![T::default(); shape.len()];
    codec.decompress(stream, &request, &mut FieldViewMut::new(&mut small, shape.dims()).unwrap()).unwrap();
}

/// The field of a seed.
fn one(seed: u64) {
    let tried = std::panic::catch_unwind(|| {
        let draw = &mut Draw(seed);
        if draw.below(2) == 0 { try_one::<f32>(draw) } else { try_one::<f64>(draw) }
    });
    assert!(tried.is_ok(), "tools/soak 1 {seed} fails so");
}

#[test]
fn random_fields_of_all_kinds() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let (first, fields) = (number("FIELDPRESS_SOAK_FROM").unwrap_or(0), number("FIELDPRESS_SOAK").unwrap_or(FIELDS));
    for seed in FOUND {
        one(seed);
    }
    let next = AtomicU64::new(first);
    scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + fields {
                        break;
                    }
                    one(seed);
                }
            });
        }
    });
    println!("{fields} fields from seed {first} on");
}

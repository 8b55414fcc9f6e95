//! Fields made by integer arithmetic alone, so that they are the same on every machine.

/// A hash of three numbers (SplitMix64's finaliser).
fn hash(seed: u64, a: i64, b: i64, c: i64) -> u64 {
    let mut h = seed;
    for v in [a, b, c] {
        h = (h ^ v as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
        h = (h ^ h >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        h = (h ^ h >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        h ^= h >> 31;
    }
    h
}

/// White noise within ±2^15.
pub fn noise(seed: u64, t: usize, y: usize, x: usize) -> i64 {
    (hash(seed, t as i64, y as i64, x as i64) >> 48) as i64 - (1 << 15)
}

/// Smooth noise within ±2^15: random values at integer places, 1024 units apart, with smooth steps between them.
pub fn smooth(seed: u64, t: i64, y: i64, x: i64) -> i64 {
    const UNIT: i64 = 1024;
    let cell = [t, y, x].map(|v| v.div_euclid(UNIT));
    // 3 f² − 2 f³, in 2^12.
    let [ft, fy, fx] = [t, y, x].map(|v| {
        let f = v.rem_euclid(UNIT);
        (f * f * (3 * UNIT - 2 * f)) >> 18
    });
    let mix = |a: i64, b: i64, f: i64| a + (((b - a) * f) >> 12);
    let at =
        |dt: i64, dy: i64, dx: i64| (hash(seed, cell[0] + dt, cell[1] + dy, cell[2] + dx) >> 48) as i64 - (1 << 15);
    let plane = |dt: i64| mix(mix(at(dt, 0, 0), at(dt, 0, 1), fx), mix(at(dt, 1, 0), at(dt, 1, 1), fx), fy);
    mix(plane(0), plane(1), ft)
}

/// Three octaves of [`smooth`], within ±2^16.
pub fn flow(seed: u64, t: i64, y: i64, x: i64) -> i64 {
    smooth(seed, t, y, x) + (smooth(seed + 1, 2 * t, 2 * y, 2 * x) >> 1) + (smooth(seed + 2, 4 * t, 4 * y, 4 * x) >> 2)
}

/// A field of `dims` whose last three axes (or fewer) are t, y and x of `f`; axes before them count as the seed.
pub fn field(dims: &[usize], f: impl Fn(u64, usize, usize, usize) -> f64) -> Vec<f64> {
    (0..dims.iter().product())
        .map(|i: usize| {
            let mut rest = i;
            let mut at = [0; 3];
            for (slot, n) in at.iter_mut().rev().zip(dims.iter().rev()) {
                *slot = rest % n;
                rest /= n;
            }
            f(rest as u64, at[0], at[1], at[2])
        })
        .collect()
}

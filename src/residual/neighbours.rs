//! The neighbourhood of an index: the magnitudes around it in its band, in resembling planes, and in other bands of its
//! plane, as classes of sums. Eight indices at a time, so that the sums vectorise.

use super::layout::{BLOCK, Band};

/// Levels of quantised sums of magnitudes.
pub(super) const SUMS: usize = 24;
/// From this class of the sum of all on, an exponent and a mantissa are coded in place of unary bits; and the least
/// such sum.
const BUSY: usize = 14;
const BUSY_SUM: u32 = 128;
const _: () = assert!(CLASS[BUSY_SUM as usize] as usize == BUSY && (CLASS[BUSY_SUM as usize - 1] as usize) < BUSY);
/// Sums of magnitudes that are told apart.
pub(super) const LARGEST_SUM: usize = 4095;

/// Classes of sums of magnitudes: exact up to 3, then two classes an octave.
static CLASS: [u8; LARGEST_SUM + 1] = {
    let mut table = [0; LARGEST_SUM + 1];
    let mut sum = 0;
    while sum <= LARGEST_SUM {
        let log = if sum < 4 { 0 } else { sum.ilog2() };
        table[sum] = if sum < 4 { sum as u8 } else { (2 * log + (sum >> (log - 1) & 1) as u32) as u8 };
        sum += 1;
    }
    table
};

#[inline(always)]
fn class(sum: u32) -> usize {
    usize::from(CLASS[(sum as usize).min(LARGEST_SUM)])
}

/// The neighbourhood of an index.
pub(super) struct Neighbours {
    /// Classes of sums: in the band, in the resembling planes, in the parent band, in sibling bands, of all.
    pub(super) inside: usize,
    pub(super) near: usize,
    pub(super) far: usize,
    pub(super) parent: usize,
    pub(super) sibling: usize,
    pub(super) all: usize,
    /// Whether large magnitudes are expected: a class of all from [`BUSY`] on.
    pub(super) busy: bool,
    pub(super) pattern: usize,
}

/// Where the neighbourhood is read from: magnitudes of resembling planes, and other bands of the plane itself.
pub(super) struct Views<'a> {
    pub(super) near: Option<&'a [u8]>,
    pub(super) far: Option<&'a [u8]>,
    pub(super) parent: Option<&'a Band>,
    pub(super) siblings: &'a [Band],
}

/// What is known before a row of the indices of a strip in it: a sum of magnitudes above in the band, around in the
/// resembling planes, and in the parent band. `[y, x]`: where in the band the strip begins; `at`: in a magnitude plane.
#[inline(always)]
pub(super) fn sums_before(own: &[u8], views: &Views<'_>, band: &Band, at: usize, [y, x]: [usize; 2]) -> [u16; BLOCK] {
    let s = band.mag_stride;
    let ([north_west, north, north_east], north2) = (three(own, at - s), row::<BLOCK>(own, at - 2 * s));
    let mut sums = [0; BLOCK];
    for k in 0..BLOCK {
        sums[k] = 8 * north[k] + 4 * (north_west[k] + north_east[k]) + 2 * north2[k];
    }
    if let Some(plane) = views.near {
        let near = cross(plane, at, s);
        for k in 0..BLOCK {
            sums[k] += 2 * near[k];
        }
    }
    if let Some(plane) = views.far {
        let far = cross(plane, at, s);
        for k in 0..BLOCK {
            sums[k] += far[k] / 4;
        }
    }
    if let Some(parent) = views.parent {
        let parents = parents(own, parent, [y, x]);
        for k in 0..BLOCK {
            sums[k] += parents[k / 2] / 4;
        }
    }
    for sum in &mut sums {
        *sum = (*sum).min(LARGEST_SUM as u16);
    }
    sums
}

/// The class of a sum of at most 4095.
#[inline(always)]
pub(super) fn class_of(sum: u16) -> u8 {
    CLASS[usize::from(sum) % CLASS.len()]
}

/// The sums around the parents of a strip at `[y, x]`, each of which two of its indices have.
#[inline(always)]
fn parents(own: &[u8], parent: &Band, [y, x]: [usize; 2]) -> [u16; BLOCK / 2] {
    let line = parent.mags + (y / 2).min(parent.h - 1) * parent.mag_stride;
    let mut out = [0; BLOCK / 2];
    for (k, out) in out.iter_mut().enumerate() {
        let at = line + (x / 2 + k).min(parent.w - 1);
        let m = |i: usize| u16::from(own[i]);
        *out = 4 * m(at) + m(at - 1) + m(at + 1) + m(at - parent.mag_stride) + m(at + parent.mag_stride);
    }
    out
}

/// The common part of the neighbourhoods of a strip of [`BLOCK`] indices: all but the indices to the left, which are
/// known one by one.
pub(super) struct Strip {
    /// 4 × the magnitude above, and 2 × those beside that.
    north: [u16; BLOCK],
    /// 3 × the magnitude two above.
    north2: [u16; BLOCK],
    near: [u16; BLOCK],
    far: [u16; BLOCK],
    parent: [u16; BLOCK],
    sibling: [u16; BLOCK],
    /// The pattern of zeros above and in the near plane.
    pattern: [u16; BLOCK],
}

/// The `N` magnitudes from `at` on.
#[inline(always)]
fn row<const N: usize>(plane: &[u8], at: usize) -> [u16; N] {
    let mut out = [0; N];
    for (out, &byte) in out.iter_mut().zip(&plane[at..at + N]) {
        *out = u16::from(byte);
    }
    out
}

/// 4 × the magnitude at each place, and those at its four sides.
#[inline(always)]
fn cross(plane: &[u8], at: usize, stride: usize) -> [u16; BLOCK] {
    let (above, below) = (row::<BLOCK>(plane, at - stride), row::<BLOCK>(plane, at + stride));
    let [left, own, right] = three(plane, at);
    let mut out = [0; BLOCK];
    for k in 0..BLOCK {
        out[k] = 4 * own[k] + left[k] + right[k] + above[k] + below[k];
    }
    out
}

/// The magnitudes from one before `at` on, from there on, and from one behind on.
#[inline(always)]
fn three(plane: &[u8], at: usize) -> [[u16; BLOCK]; 3] {
    let around: &[u8; BLOCK + 2] = plane[at - 1..].first_chunk().expect("planes end with padding");
    let mut out = [[0; BLOCK]; 3];
    for (from, out) in out.iter_mut().enumerate() {
        for k in 0..BLOCK {
            out[k] = u16::from(around[from + k]);
        }
    }
    out
}

impl Strip {
    #[inline(always)]
    pub(super) fn new<const MIXING: bool>(
        own: &[u8],
        views: &Views<'_>,
        band: &Band,
        at: usize,
        y: usize,
        x: usize,
    ) -> Self {
        let s = band.mag_stride;
        let none = [0; BLOCK];
        let (north_west, north) = (row::<BLOCK>(own, at - s - 1), row::<BLOCK>(own, at - s));
        let (north_east, north2) = (row::<BLOCK>(own, at - s + 1), row::<BLOCK>(own, at - 2 * s));
        let mut strip =
            Self { north: none, north2: none, near: none, far: none, parent: none, sibling: none, pattern: none };
        for k in 0..BLOCK {
            strip.north[k] = 4 * north[k] + 2 * (north_west[k] + north_east[k]);
            strip.north2[k] = 3 * north2[k];
        }
        if let Some(plane) = views.near {
            strip.near = cross(plane, at, s);
        }
        if !MIXING {
            return strip;
        }
        let mut centre = none;
        if let Some(plane) = views.near {
            centre = row::<BLOCK>(plane, at);
        }
        if let Some(plane) = views.far {
            strip.far = cross(plane, at, s);
        }
        if let Some(p) = views.parent {
            let parents = parents(own, p, [y, x]);
            for k in 0..BLOCK {
                strip.parent[k] = parents[k / 2];
            }
        }
        for b in views.siblings {
            if y < b.h {
                let values = row::<BLOCK>(own, b.mags + y * b.mag_stride + x);
                for (k, (sum, value)) in strip.sibling.iter_mut().zip(values).enumerate() {
                    *sum += if x + k < b.w { value } else { 0 };
                }
            }
        }
        for k in 0..BLOCK {
            let above = (north[k].min(2) * 3 + north_west[k].min(2)) * 3 + north_east[k].min(2);
            strip.pattern[k] = above * 3 + centre[k].min(2);
        }
        strip
    }

    /// The neighbourhood of index `k` of the strip, with the magnitudes of the two indices to its left.
    #[inline(always)]
    pub(super) fn neighbours<const MIXING: bool>(&self, k: usize, west: u32, west2: u32) -> Neighbours {
        let inside = 4 * west + u32::from(self.north[k]) + ((3 * west2 + u32::from(self.north2[k])) >> 1);
        let near = u32::from(self.near[k]);
        if !MIXING {
            // One counter a bit sees no more than this.
            return Neighbours {
                inside: class(inside).min(SUMS - 1),
                near: class(near).min(SUMS - 1),
                all: class((inside + near) >> 1).min(31),
                busy: (inside + near) >> 1 >= BUSY_SUM,
                far: 0,
                parent: 0,
                sibling: 0,
                pattern: 0,
            };
        }
        let (far, above) = (u32::from(self.far[k]), u32::from(self.parent[k]));
        let sibling = u32::from(self.sibling[k]);
        let all = 2 * inside + 2 * near + far + above + 4 * sibling;
        Neighbours {
            inside: class(inside).min(SUMS - 1),
            near: class(near).min(SUMS - 1),
            far: class(far),
            parent: class(above),
            sibling: class(sibling),
            all: class(all >> 2).min(31),
            busy: all >> 2 >= BUSY_SUM,
            pattern: (west.min(2) * 81) as usize + usize::from(self.pattern[k]),
        }
    }
}

//! Which known points a prediction by levels is made from, and their weights.
//!
//! Points are taken in *groups* that share a weight by symmetry. The first group is the pair of neighbours along the
//! first odd axis; a prediction is its mean plus weighted differences of the other groups' means from it, so that
//! weights need not add up to anything.

use super::levels::{AXES, Grid, INNER, Pass, precedes};

/// Fractional bits of a weight.
pub(super) const WEIGHT_BITS: u32 = 7;
/// Templates are told apart by four bits for each axis.
const TEMPLATES: usize = 1 << (4 * AXES);
/// In place of a template's number: not made yet.
const NONE: u16 = u16::MAX;

/// The degree of the polynomials that interpolate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Degree {
    Linear,
    Cubic,
}

/// What lies beyond the ends of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beyond {
    Nothing,
    Mirrored,
}

/// Points that share a weight: offsets in units of the pass along each axis.
#[derive(Clone, Debug)]
struct Group {
    taps: Vec<[i32; AXES]>,
    /// Points of the same pass, which exist only behind.
    causal: bool,
    /// The axis of a pair of neighbours.
    pair: Option<usize>,
}

/// What is known around points of a pass, for one distance from the window's ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Template {
    /// Each group's points and weights within the group (they add up to 1).
    pub(super) groups: Vec<Vec<(isize, f64)>>,
    /// All points with their weights.
    pub(super) taps: Vec<(isize, f64)>,
    /// Neighbours on both sides along the odd axes.
    pub(super) near: Vec<(isize, isize)>,
    /// Points of the same pass behind, along all axes but the inner one.
    pub(super) behind: Vec<isize>,
}

/// The groups of a pass with their weights, and the templates made so far.
pub(super) struct Taps<'a> {
    grid: &'a Grid,
    pass: &'a Pass,
    odd: Vec<usize>,
    groups: Vec<Group>,
    weights: Vec<i32>,
    /// The templates made so far, and which of them is whose.
    list: Vec<Template>,
    numbers: Vec<u16>,
}

fn unit(parts: &[(usize, i32)]) -> [i32; AXES] {
    let mut offset = [0; AXES];
    for &(axis, by) in parts {
        offset[axis] = by;
    }
    offset
}

fn bits(axes: u8) -> impl Iterator<Item = usize> + Clone {
    (0..AXES).filter(move |axis| axes >> axis & 1 == 1)
}

fn groups_of(pass: &Pass, odd: &[usize]) -> Vec<Group> {
    let group = |taps: Vec<[i32; AXES]>| Group { taps, causal: false, pair: None };
    let mut all = Vec::new();
    for &a in odd {
        all.push(Group { pair: Some(a), ..group(vec![unit(&[(a, -1)]), unit(&[(a, 1)])]) });
    }
    for &a in odd {
        all.push(group(vec![unit(&[(a, -3)]), unit(&[(a, 3)])]));
    }
    for a in bits(pass.active) {
        for b in bits(pass.active).filter(|&b| b > a) {
            let other = pass.odd ^ (1 << a | 1 << b);
            if (pass.odd >> a | pass.odd >> b) & 1 == 1 && precedes(other, pass.odd) {
                let signs = [(-1, -1), (-1, 1), (1, -1), (1, 1)];
                all.push(group(signs.map(|(i, j)| unit(&[(a, i), (b, j)])).to_vec()));
            }
        }
    }
    if let &[a, b, c] = odd {
        let corners = (0..8).map(|k| unit(&[(a, (k & 1) * 2 - 1), (b, (k >> 1 & 1) * 2 - 1), (c, (k >> 2) * 2 - 1)]));
        all.push(group(corners.collect()));
    }
    for j in bits(pass.active & !pass.odd) {
        let sides = [(-1, -2), (-1, 2), (1, -2), (1, 2)];
        all.push(group(odd.iter().flat_map(|&a| sides.map(|(i, k)| unit(&[(a, i), (j, k)]))).collect()));
        if j != INNER {
            all.push(Group { causal: true, ..group(vec![unit(&[(j, -2)])]) });
        }
    }
    for f in bits(pass.frozen).filter(|&f| f != INNER) {
        all.push(Group { causal: true, ..group(vec![unit(&[(f, -1)])]) });
        let pairs = odd.iter().flat_map(|&a| [unit(&[(a, -1), (f, -1)]), unit(&[(a, 1), (f, -1)])]);
        all.push(Group { causal: true, ..group(pairs.collect()) });
    }
    all
}

impl<'a> Taps<'a> {
    /// The groups of a pass, with weights of zero.
    pub(super) fn new(grid: &'a Grid, pass: &'a Pass) -> Self {
        let odd: Vec<usize> = bits(pass.odd).collect();
        let groups = groups_of(pass, &odd);
        let weights = vec![0; groups.len()];
        Self { grid, pass, odd, groups, weights, list: Vec::new(), numbers: vec![NONE; TEMPLATES] }
    }

    /// How many weights it has: one for each group but the first.
    pub(super) fn len(&self) -> usize {
        self.groups.len() - 1
    }

    /// Weights of linear or cubic interpolation, the mean over the odd axes.
    pub(super) fn interpolation(&self, degree: Degree) -> Vec<i32> {
        let n = self.odd.len();
        let one = 1 << WEIGHT_BITS;
        (1..self.groups.len())
            .map(|k| match (k < n, k < 2 * n, degree) {
                (true, _, Degree::Linear) => one / n as i32,
                (true, _, Degree::Cubic) => one * 9 / (8 * n as i32),
                (false, true, Degree::Cubic) => -one / (8 * n as i32),
                _ => 0,
            })
            .collect()
    }

    /// Weights of linear or cubic interpolation along one odd axis alone.
    pub(super) fn along(&self, which: usize, degree: Degree) -> Vec<i32> {
        let n = self.odd.len();
        let one = 1 << WEIGHT_BITS;
        (1..self.groups.len())
            .map(|k| match degree {
                Degree::Linear if k == which => one,
                Degree::Cubic if k == which => one * 9 / 8,
                Degree::Cubic if k == n + which => -one / 8,
                _ => 0,
            })
            .collect()
    }

    /// How many odd axes there are.
    pub(super) fn odd_axes(&self) -> usize {
        self.odd.len()
    }

    /// Whether a group's points belong to the same pass.
    pub(super) fn is_causal(&self, group: usize) -> bool {
        self.groups[group].causal
    }

    /// Sets the weights of all groups but the first, in 1 / 2^[`WEIGHT_BITS`].
    pub(super) fn set(&mut self, weights: &[i32]) {
        self.weights[1..].copy_from_slice(weights);
        let all = std::mem::take(&mut self.weights);
        for template in &mut self.list {
            combine(template, &all);
        }
        self.weights = all;
    }

    /// The template for a point's distances from the ends.
    pub(super) fn template(&mut self, at: &[usize; AXES]) -> usize {
        let mut key = 0;
        for (axis, &at) in at.iter().enumerate() {
            key = key << 4 | self.status(axis, at);
        }
        if self.numbers[key] == NONE {
            let mut template = self.resolve(at);
            combine(&mut template, &self.weights);
            self.numbers[key] = self.list.len() as u16;
            self.list.push(template);
        }
        usize::from(self.numbers[key])
    }

    /// A template by its number.
    #[inline(always)]
    pub(super) fn get(&self, number: usize) -> &Template {
        &self.list[number]
    }

    /// How far from an axis's ends a point is, as far as it matters: 4 bits.
    fn status(&self, axis: usize, at: usize) -> usize {
        let unit = self.pass.unit(axis);
        let (below, above) = ((at / unit).min(3), ((self.grid.dims[axis] - 1 - at) / unit).min(3));
        below << 2 | above
    }

    /// Positions along the inner axis whose template is that of `k`: up to where it changes.
    pub(super) fn same_until(&self, k: usize) -> usize {
        let (start, stride, n) = (self.pass.start[INNER], self.pass.stride[INNER], self.pass.count[INNER]);
        let status = self.status(INNER, start + k * stride);
        let middle = self.status(INNER, start + (k + 1).min(n - 1) * stride);
        if middle != status || k + 1 >= n {
            return k + 1;
        }
        if status == 15 {
            // Far from both ends: until the end comes within three units.
            let unit = self.pass.unit(INNER);
            let last = self.grid.dims[INNER] - 1 - 3 * unit;
            return ((last - start) / stride + 1).min(n);
        }
        k + 1
    }

    fn shift(&self, axis: usize, at: usize, by: i32) -> Option<isize> {
        let moved = at as i64 + i64::from(by) * self.pass.unit(axis) as i64;
        (moved >= 0 && moved < self.grid.dims[axis] as i64)
            .then(|| (moved - at as i64) as isize * self.grid.strides[axis] as isize)
    }

    /// A point's offset; `None` where it does not exist.
    fn offset(&self, at: &[usize; AXES], tap: &[i32; AXES], beyond: Beyond) -> Option<isize> {
        let mut total = 0;
        for axis in 0..AXES {
            let by = tap[axis];
            if by == 0 {
                continue;
            }
            let shifted = self.shift(axis, at[axis], by);
            total += match (shifted, beyond) {
                (Some(offset), _) => offset,
                (None, Beyond::Nothing) => return None,
                (None, Beyond::Mirrored) => {
                    let near = if by % 2 == 0 { 0 } else { by.signum() };
                    self.shift(axis, at[axis], -by)
                        .or_else(|| self.shift(axis, at[axis], near))
                        .or_else(|| self.shift(axis, at[axis], -near))?
                }
            };
        }
        Some(total)
    }

    fn resolve(&self, at: &[usize; AXES]) -> Template {
        let mut template = Template::default();
        for group in &self.groups {
            let beyond = if group.causal { Beyond::Nothing } else { Beyond::Mirrored };
            let points: Option<Vec<isize>> = group.taps.iter().map(|tap| self.offset(at, tap, beyond)).collect();
            let mut taps: Vec<(isize, f64)> = match points {
                Some(points) => {
                    let share = 1.0 / points.len() as f64;
                    points.into_iter().map(|offset| (offset, share)).collect()
                }
                None => template.groups.first().cloned().unwrap_or_default(),
            };
            if let Some(axis) = group.pair {
                template.near.push((taps[0].0, taps[taps.len() - 1].0));
                // Beyond the end: a line through the two points before.
                if self.shift(axis, at[axis], 1).is_none()
                    && let (Some(first), Some(second)) =
                        (self.shift(axis, at[axis], -1), self.shift(axis, at[axis], -3))
                {
                    taps = vec![(first, 1.5), (second, -0.5)];
                }
            }
            template.groups.push(taps);
        }
        for axis in (0..INNER).rev() {
            let by = match (self.pass.frozen >> axis & 1, self.pass.active >> axis & 1) {
                (1, _) => -1,
                (_, 1) => -2,
                _ => continue,
            };
            template.behind.extend(self.shift(axis, at[axis], by));
        }
        template
    }
}

/// The weights of single points, from those of groups.
fn combine(template: &mut Template, weights: &[i32]) {
    let one = f64::from(1 << WEIGHT_BITS);
    let rest = f64::from((1 << WEIGHT_BITS) - weights[1..].iter().sum::<i32>()) / one;
    template.taps.clear();
    for (k, group) in template.groups.iter().enumerate() {
        let weight = if k == 0 { rest } else { f64::from(weights[k]) / one };
        if weight == 0.0 {
            continue;
        }
        for &(offset, share) in group {
            match template.taps.iter_mut().find(|tap| tap.0 == offset) {
                Some(tap) => tap.1 += weight * share,
                None => template.taps.push((offset, weight * share)),
            }
        }
    }
}

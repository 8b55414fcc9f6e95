//! The encoder's choice of parameters for a segment: the bin and the lattice from its values, the predictor by trial on
//! boxes of it.

use super::causal::Fitted;
use super::coder::{Window, estimate};
use super::levels::{AXES, Grid, INNER};
use super::section::{Parameters, Predictor};
use crate::field::{DType, Element};

/// Boxes of a sample.
const BOXES: usize = 2;
/// Points of a box: for a first look, for trials of variants, and for the finalists. A segment of less than twice as
/// many points as the boxes have is taken whole.
const FIRST_BOX: usize = 1 << 13;
const BOX: usize = 1 << 14;
const FINAL_BOX: usize = 1 << 15;
/// Bits that finalists must take of boxes, or these are taken so many times as large, if one is no more than one in so
/// many points: a code of few bits is still learning, and little of it is typical.
const ENOUGH: f64 = 8.0 * 4096.0;
const LARGER: usize = 4;
const LARGEST_SHARE: usize = 8;
/// The bits over the least up to which a kind of predictor is tried in variants, and a variant is a finalist.
const PROMISING: f64 = 1.5;
const CLOSE: f64 = 1.06;
/// As much for the best of levels, whose contexts take longer to learn than a box is.
const CLOSE_LEVELS: f64 = 1.3;
/// Values from which the spread and the lattice are guessed, and how many of them follow each other.
const GUESSED: usize = 4096;
const RUN: usize = 64;
/// Values further from the middle than so many times the spread of all but a few say nothing of what rounding adds.
const ABSURD: f64 = 1e5;
/// The most quanta that the range of values may have.
const MOST_QUANTA: f64 = 1e9;
/// How near a quantum, or its inverse, is to a whole number that it stands for; and one in how many values may lie off a
/// lattice on which values are to return exactly.
const WHOLE: f64 = 1e-5;
const NEARLY: usize = 10;
/// The most finalists.
const FINALISTS: usize = 3;
/// How much finer coarser levels are quantised, tried besides not at all.
const GROWTHS: [(u8, u8); 2] = [(1, 4), (2, 8)];
/// As much for segments of a small code, which finer coarse levels make or break: where these leave the finest level
/// nothing to say, it costs nothing.
const GROWTHS_SMALL: [(u8, u8); 9] = [(0, 0), (1, 1), (1, 2), (1, 4), (2, 4), (2, 8), (4, 12), (8, 12), (15, 15)];
/// The bits of a small code, as boxes tell, and the points of the boxes that its variants are tried on: mostly all.
const SMALL: f64 = 8.0 * 2048.0;
const SMALL_BOX: usize = 1 << 16;

/// A segment to be coded.
pub(crate) trait Subject<T> {
    /// Frames, rows and columns.
    fn dims(&self) -> [usize; AXES];

    /// The values of a box in C order, and which of them are not data, where there may be such.
    fn piece(&self, origin: [usize; AXES], dims: [usize; AXES]) -> (Vec<T>, Option<Vec<bool>>);

    /// The range of the field's values.
    fn range(&self) -> (f64, f64);

    /// The largest error of a value.
    fn bound(&self) -> f64;
}

/// Values of a segment without those that are not data.
fn data<T: Element>((values, mask): (Vec<T>, Option<Vec<bool>>)) -> impl Iterator<Item = f64> {
    let masked = move |i: usize| mask.as_ref().is_some_and(|mask| mask[i]);
    values.into_iter().enumerate().filter(move |(i, _)| !masked(*i)).map(|(_, v)| v.to_f64()).filter(|v| v.is_finite())
}

/// Some values of a segment, spread evenly, in order of size.
fn guess<T: Element>(subject: &impl Subject<T>) -> Vec<f64> {
    let dims = subject.dims();
    let total: usize = dims.iter().product();
    // Along the innermost axis that has more than one point.
    let along = (0..AXES).rev().find(|&axis| dims[axis] > 1).unwrap_or(INNER);
    let mut run = [1; AXES];
    run[along] = dims[along].min(RUN);
    let count = (GUESSED / run[along]).min(total.div_ceil(run[along])).max(1);
    let mut found = Vec::with_capacity(count * run[along]);
    for k in 0..count {
        let mut rest = (k as u128 * total as u128 / count as u128) as usize;
        let mut origin = [0; AXES];
        for axis in (0..AXES).rev() {
            origin[axis] = rest % dims[axis];
            rest /= dims[axis];
        }
        origin[along] = origin[along].min(dims[along] - run[along]);
        found.extend(data(subject.piece(origin, run)));
    }
    found.sort_by(f64::total_cmp);
    found
}

/// Parameters that hold whatever the predictor is: the lattice and the bin.
pub(super) fn analyse<T: Element>(subject: &impl Subject<T>, mixing: bool) -> Parameters {
    let bound = subject.bound();
    let mut sorted = guess(subject);
    let at = |share: f64| sorted.get((sorted.len() as f64 * share) as usize).copied().unwrap_or(0.0);
    let (middle, spread) = (at(0.5), at(0.995) - at(0.005));
    // What rounding to the caller's type may add, where values are of the usual size.
    let usual = middle.abs() + if spread > 0.0 { (spread * ABSURD).max(bound) } else { f64::INFINITY };
    let (least, largest) = subject.range();
    let unit = if T::DTYPE == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let rounding = least.abs().max(largest.abs()).min(usual) * unit / 2.0;
    let half = if rounding < bound / 2.0 { bound - rounding } else { bound };
    let mut parameters = Parameters {
        predictor: Predictor::Levels { frozen: 0 },
        mixing,
        bin: (2.0 * half * (1.0 - 1e-9)).clamp(f64::from_bits(1), f64::MAX),
        growth: 0,
        most: 0,
        lattice: false,
        balanced: false,
        origin: T::from_f64(middle).to_f64(),
    };
    let lattice = if bound > 0.0 {
        let lattice = quantum(&mut sorted, bound).map(|quantum| (parameters.origin, quantum));
        lattice.filter(|&(origin, quantum)| all_on(subject, quantum, origin))
    } else {
        exact_lattice::<T>(&mut sorted, rounding)
    };
    if let Some((origin, quantum)) = lattice.filter(|(_, quantum)| (largest - least) / quantum < MOST_QUANTA) {
        parameters = Parameters { lattice: true, bin: quantum, origin, ..parameters };
    }
    parameters
}

/// The origin and the quantum of a lattice on which nearly all of these values lie to the last bit.
fn exact_lattice<T: Element>(sorted: &mut Vec<f64>, rounding: f64) -> Option<(f64, f64)> {
    let (first, last, middle) = (*sorted.first()?, *sorted.last()?, sorted[sorted.len() / 2]);
    if first == last {
        return Some((first, 1.0));
    }
    let rough = quantum(sorted, rounding)?;
    let whole = |v: f64| Some(v.round()).filter(|whole| *whole > 0.0 && (whole / v - 1.0).abs() < WHOLE);
    let quanta = [Some(rough), whole(rough), whole(rough.recip()).map(f64::recip)];
    let mut best = (sorted.len() - sorted.len() / NEARLY, None);
    for origin in [0.0, middle] {
        for quantum in quanta.into_iter().flatten() {
            let returns = |v: f64| {
                let restored = T::from_f64(origin + ((v - origin) / quantum).round() * quantum);
                restored.to_bits_u64() == T::from_f64(v).to_bits_u64()
            };
            let count = sorted.iter().filter(|v| returns(**v)).count();
            if count > best.0 || count == best.0 && best.1.is_none() {
                best = (count, Some((origin, quantum)));
            }
        }
    }
    best.1
}

/// Whether all of a segment's values are an origin and a multiple of a quantum, to within the bound.
fn all_on<T: Element>(subject: &impl Subject<T>, quantum: f64, origin: f64) -> bool {
    let [frames, h, w] = subject.dims();
    let on = |v: f64| (v - origin - ((v - origin) / quantum).round() * quantum).abs() <= subject.bound();
    (0..frames).all(|t| data(subject.piece([t, 0, 0], [1, h, w])).all(on))
}

/// What all of these values are apart by multiples of, where that is more than a bin.
fn quantum(sorted: &mut Vec<f64>, bound: f64) -> Option<f64> {
    sorted.dedup();
    let mut quantum = 0.0f64;
    let slack = 2.0 * bound;
    for pair in sorted.windows(2) {
        let (mut a, mut b) = (pair[1] - pair[0], quantum);
        // Euclid's algorithm, to within twice the bound.
        while b > slack {
            (a, b) = (b, (a - (a / b).round() * b).abs());
        }
        quantum = a;
        if quantum <= slack {
            return None;
        }
    }
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    let steps = ((last - first) / quantum).round();
    // Over all of them, the quantum's own rounding matters least.
    (steps >= 1.0).then(|| (last - first) / steps)
}

/// A box of a segment: its values, and which of them are not data.
struct Piece<T> {
    origin: [usize; AXES],
    dims: [usize; AXES],
    values: Vec<T>,
    mask: Option<Vec<bool>>,
}

/// Where a box of a segment begins, and its size.
pub(crate) type Place = ([usize; AXES], [usize; AXES]);

/// Boxes of about `size` points of a segment of size `whole`, or the whole of a small one.
pub(crate) fn boxes(whole: [usize; AXES], size: usize) -> Vec<Place> {
    let mut dims = whole;
    let small = whole.iter().product::<usize>() <= 2 * BOXES * size;
    while !small && dims.iter().product::<usize>() > size {
        // Halves the longest axis.
        let longest = (0..AXES).max_by_key(|&axis| dims[axis]).unwrap_or(0);
        dims[longest] = dims[longest].div_ceil(2);
    }
    let origin = |k: usize| {
        // A third and two thirds of the way along each axis, the second box in the other order of axes.
        std::array::from_fn(|axis| (whole[axis] - dims[axis]) * if (k + axis).is_multiple_of(2) { 1 } else { 2 } / 3)
    };
    (0..if small { 1 } else { BOXES }).map(|k| (origin(k), dims)).collect()
}

/// The points of boxes.
pub(crate) fn points(boxes: &[Place]) -> usize {
    boxes.iter().map(|(_, dims)| dims.iter().product::<usize>()).sum()
}

/// Boxes of a segment.
struct Sample<T> {
    boxes: Vec<Piece<T>>,
    range: (f64, f64),
    bound: f64,
}

impl<T: Element> Sample<T> {
    /// Boxes of about `size` points.
    fn new(subject: &impl Subject<T>, size: usize) -> Self {
        let boxes = boxes(subject.dims(), size).into_iter().map(|(origin, dims)| {
            let (values, mask) = subject.piece(origin, dims);
            Piece { origin, dims, values, mask }
        });
        Self { boxes: boxes.collect(), range: subject.range(), bound: subject.bound() }
    }

    /// About how many bits it takes with such parameters.
    fn bits(&self, parameters: &Parameters) -> f64 {
        let windows = self.boxes.iter().map(|piece| Window {
            values: &piece.values,
            dims: piece.dims,
            mask: piece.mask.as_deref(),
            range: self.range,
            bound: self.bound,
        });
        windows.map(|window| estimate(&window, parameters)).sum()
    }

    fn points(&self) -> usize {
        self.boxes.iter().map(|piece| piece.values.len()).sum()
    }

    fn places(&self) -> Vec<Place> {
        self.boxes.iter().map(|piece| (piece.origin, piece.dims)).collect()
    }
}

/// The axis along which values differ least from one to the next, as bits.
fn smoothest<T: Element>(sample: &Sample<T>) -> u8 {
    let mut least = (f64::INFINITY, 0);
    for axis in 0..AXES {
        let (mut sum, mut count) = (0.0, 0);
        for piece in &sample.boxes {
            let grid = Grid::of(piece.dims);
            if grid.dims[axis] < 2 {
                continue;
            }
            let stride = grid.strides[axis];
            for (at, (a, b)) in piece.values.iter().zip(&piece.values[stride..]).enumerate() {
                if at / stride % grid.dims[axis] + 1 < grid.dims[axis] {
                    // A bounded measure: what is not data, or absurd, does not decide.
                    sum += ((a.to_f64() - b.to_f64()).abs() / sample.bound).min(1e3);
                    count += 1;
                }
            }
        }
        if count > 0 && sum / f64::from(count) < least.0 {
            least = (sum / f64::from(count), 1 << axis);
        }
    }
    least.1
}

/// The parameters with the least bits on a sample.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) parameters: Parameters,
    /// The bits that they took.
    pub(crate) bits: f64,
    /// The sample.
    pub(crate) boxes: Vec<Place>,
}

impl Choice {
    /// How many points the sample has.
    pub(crate) fn points(&self) -> usize {
        points(&self.boxes)
    }
}

/// A choice of parameters on its way: a first look, which tells whether more is worth the time, and the rest.
pub(crate) struct Search<'a, S, T> {
    subject: &'a S,
    /// What all parameters have in common.
    base: Parameters,
    axes: u8,
    /// Kinds of predictors, with their bits on the first boxes; the best one first.
    kinds: Vec<(f64, Parameters)>,
    first: Sample<T>,
}

impl<'a, T: Element, S: Subject<T>> Search<'a, S, T> {
    /// Looks at small boxes of a segment.
    pub(crate) fn new(subject: &'a S, mixing: bool) -> Self {
        Self::from(subject, analyse(subject, mixing))
    }

    /// The same of a segment whose values are to return exactly; `None` where they do not lie on a lattice.
    pub(crate) fn exact(subject: &'a S, mixing: bool) -> Option<Self> {
        Some(analyse(subject, mixing)).filter(|base| base.lattice).map(|base| Self::from(subject, base))
    }

    /// The best of parameters that other segments of the field have shown, but for what a segment's values say.
    pub(crate) fn among(subject: &'a S, mixing: bool, known: &[Parameters]) -> Option<Choice> {
        let base = analyse(subject, mixing);
        let sample = Sample::new(subject, BOX);
        let tried = known.iter().map(|p| {
            let Parameters { predictor, growth, most, mixing, .. } = *p;
            // On a lattice, coarser levels are as exact as all others.
            let (growth, most) = if base.lattice { (0, 0) } else { (growth, most) };
            let parameters = Parameters { predictor, growth, most, mixing, ..base };
            Choice { parameters, bits: sample.bits(&parameters), boxes: sample.places() }
        });
        tried.min_by(|a, b| a.bits.total_cmp(&b.bits))
    }

    fn from(subject: &'a S, base: Parameters) -> Self {
        let grid = Grid::of(subject.dims());
        let first = Sample::new(subject, FIRST_BOX);
        let axes = grid.axes();
        let mut kinds = vec![
            Predictor::Levels { frozen: 0 },
            Predictor::Levels { frozen: axes & !smoothest(&first) },
            Predictor::Lorenzo { axes, order: 1 },
            Predictor::Lorenzo { axes: 0, order: 1 },
        ];
        if Fitted::fits(&grid) {
            kinds.push(Predictor::Fitted { axes });
        }
        let kinds = kinds.into_iter().map(|predictor| {
            let parameters = Parameters { predictor, ..base };
            (first.bits(&Parameters { mixing: false, ..parameters }), parameters)
        });
        let mut kinds: Vec<_> = kinds.collect();
        kinds.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { subject, base, axes, kinds, first }
    }

    /// The best of the first look; its bits are those of contexts that are not mixed.
    pub(crate) fn first(&self) -> Choice {
        let (bits, parameters) = self.kinds[0];
        Choice { parameters, bits, boxes: self.first.places() }
    }

    /// The best parameters.
    pub(crate) fn finish(self) -> Choice {
        let sample = Sample::new(self.subject, BOX);
        let mut trials = Trials { sample: &sample, tried: Vec::new() };
        let least = self.kinds[0].0;
        let promising = |kind: fn(Predictor) -> bool| {
            self.kinds.iter().any(|(bits, p)| kind(p.predictor) && *bits <= least * PROMISING)
        };
        if promising(|p| matches!(p, Predictor::Levels { .. })) {
            self.levels(&mut trials);
        }
        if promising(|p| matches!(p, Predictor::Lorenzo { .. })) {
            self.lorenzo(&mut trials);
        }
        if promising(|p| matches!(p, Predictor::Fitted { .. })) {
            trials.bits(Parameters { predictor: Predictor::Fitted { axes: self.axes }, ..self.base });
        }
        let tried = trials.tried;
        self.finals(sample, tried)
    }

    /// The axes of more than one point, each as bits.
    fn each_axis(&self) -> impl Iterator<Item = u8> + Clone + use<T, S> {
        let axes = self.axes;
        (0..AXES).map(|axis| 1 << axis).filter(move |bit| bit & axes != 0)
    }

    /// Tries levels with frozen axes, and with coarser levels quantised finer.
    fn levels(&self, trials: &mut Trials<'_, T>) {
        let levels = |frozen: u8| Parameters { predictor: Predictor::Levels { frozen }, ..self.base };
        let mut by_levels = self.kinds.iter().filter(|(_, p)| matches!(p.predictor, Predictor::Levels { .. }));
        for (_, p) in by_levels.clone() {
            trials.bits(*p);
        }
        // From the better start of the two.
        let start = by_levels.next().map_or(levels(0), |(_, p)| *p);
        let best = trials.greedy(start, self.each_axis(), |p, axis| match p.predictor {
            Predictor::Levels { frozen } if frozen & axis != 0 => Some(levels(frozen & !axis)),
            Predictor::Levels { frozen } if frozen & axis == 0 && (frozen | axis) != self.axes => {
                Some(levels(frozen | axis))
            }
            _ => None,
        });
        if !self.base.lattice {
            for (growth, most) in GROWTHS {
                trials.bits(Parameters { growth, most, ..best });
            }
        }
    }

    /// Tries Lorenzo's predictor of fewer axes, of none, and of the second order.
    fn lorenzo(&self, trials: &mut Trials<'_, T>) {
        let lorenzo = |axes: u8, order: u8| Parameters { predictor: Predictor::Lorenzo { axes, order }, ..self.base };
        let best = trials.greedy(lorenzo(self.axes, 1), self.each_axis(), |p, axis| match p.predictor {
            Predictor::Lorenzo { axes, order } if axes & axis != 0 => Some(lorenzo(axes & !axis, order)),
            _ => None,
        });
        if let Predictor::Lorenzo { axes, .. } = best.predictor {
            trials.bits(lorenzo(axes, 2));
        }
        trials.bits(lorenzo(0, 1));
    }

    /// The best of those tried: of the finalists, as they will be coded, on larger boxes.
    fn finals(self, sample: Sample<T>, mut tried: Vec<(f64, Parameters)>) -> Choice {
        let points = self.subject.dims().iter().product::<usize>();
        tried.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (least, best) = tried[0];
        let by_levels = |p: &Parameters| matches!(p.predictor, Predictor::Levels { .. });
        let mut finalists: Vec<(f64, Parameters)> = tried.iter().copied().filter(|t| t.0 <= least * CLOSE).collect();
        finalists.truncate(FINALISTS);
        if !finalists.iter().any(|(_, p)| by_levels(p))
            && let Some(levels) = tried.iter().find(|(bits, p)| by_levels(p) && *bits <= least * CLOSE_LEVELS)
        {
            finalists.push(*levels);
        }
        let mut sample = sample;
        if finalists.len() > 1 || best.mixing {
            let mut size = FINAL_BOX;
            loop {
                sample = Sample::new(self.subject, size);
                for finalist in &mut finalists {
                    finalist.0 = sample.bits(&finalist.1);
                }
                finalists.sort_by(|a, b| a.0.total_cmp(&b.0));
                size *= LARGER;
                if finalists[0].0 > ENOUGH || size * LARGEST_SHARE > points || finalists.len() == 1 {
                    break;
                }
            }
        }
        let share = sample.points() as f64 / points as f64;
        if finalists[0].0 < SMALL * share {
            tried.retain(|(_, p)| by_levels(p));
            finalists.extend(tried.first());
            return self.small(&finalists);
        }
        Choice { parameters: finalists[0].1, bits: finalists[0].0, boxes: sample.places() }
    }

    /// The best of the finalists and their variants where the code is small: what it takes to learn counts, and hardly
    /// any index is not 0.
    fn small(self, finalists: &[(f64, Parameters)]) -> Choice {
        let sample = Sample::new(self.subject, SMALL_BOX);
        let mut trials = Trials { sample: &sample, tried: Vec::new() };
        for (_, p) in finalists {
            trials.bits(*p);
        }
        let by_levels = finalists.iter().find(|(_, p)| matches!(p.predictor, Predictor::Levels { .. }));
        if let Some((_, p)) = by_levels.filter(|_| !self.base.lattice) {
            for (growth, most) in GROWTHS_SMALL {
                trials.bits(Parameters { growth, most, ..*p });
            }
        }
        let best = trials.tried.iter().min_by(|a, b| a.0.total_cmp(&b.0)).map_or(finalists[0], |best| *best);
        // Contexts that are not mixed learn faster.
        let alone = Parameters { mixing: false, ..best.1 };
        let mixed = if self.base.mixing { sample.bits(&best.1) } else { f64::INFINITY };
        let (bits, parameters) = if best.0 <= mixed { (best.0, alone) } else { (mixed, best.1) };
        Choice { parameters, bits, boxes: sample.places() }
    }
}

/// Parameters tried, and what they cost on a sample.
struct Trials<'a, T> {
    sample: &'a Sample<T>,
    tried: Vec<(f64, Parameters)>,
}

impl<T: Element> Trials<'_, T> {
    /// The bits that parameters take, with contexts that are not mixed.
    fn bits(&mut self, next: Parameters) -> f64 {
        if let Some(found) = self.tried.iter().find(|tried| tried.1 == next) {
            return found.0;
        }
        let bits = self.sample.bits(&Parameters { mixing: false, ..next });
        self.tried.push((bits, next));
        bits
    }

    /// The best of some changes, one axis at a time while it pays.
    fn greedy(
        &mut self,
        start: Parameters,
        axes: impl Iterator<Item = u8> + Clone,
        change: impl Fn(&Parameters, u8) -> Option<Parameters>,
    ) -> Parameters {
        let mut best = (self.bits(start), start);
        loop {
            let from = best.1;
            for axis in axes.clone() {
                let Some(next) = change(&from, axis) else { continue };
                let bits = self.bits(next);
                if bits < best.0 {
                    best = (bits, next);
                }
            }
            if best.1 == from {
                return best.1;
            }
        }
    }
}

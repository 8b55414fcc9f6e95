"""Segments of closed-loop prediction (section 17): parameters, windows, contexts and indices."""

import math
import sys
from dataclasses import dataclass, field

import numpy as np

from .coder import Counters, Decoder, Mixer, probability, stretch
from .data import Reader, require

WAY = 4
LEVELS, FIRST, SECOND, FITTED = range(4)
WINDOW_POINTS = 1 << 21
BATCH = 64
STRETCHES, LEAST_STRETCH = 32, 1024
COARSE, FINE, PARTS = 4, 16, 4
NEAR = 256
OFFSETS = 16
"""The context of offsets among those of numbers."""
EXACT = 30
LIMIT, ALONE_LIMIT, NUMBER_LIMIT = 250, 120, 30
WEIGHT = 19660
BIAS = 256
SIZES = (1024, 512, 1024, 512, 5832, 1024, 512)
ALONE = 5
INT_MAX = (1 << 31) - 1

Offset = tuple[int, int, int]


@dataclass
class Parameters:
    """What a section begins with."""

    mixing: bool
    lattice: bool
    balanced: bool
    predictor: int
    axes: int
    growth: int
    most: int
    bin: float
    origin: float


def read_parameters(reader: Reader, dtype: np.dtype) -> Parameters:
    flags, predictor, growth, width = reader.u8(), reader.u8(), reader.u8(), reader.f64()
    origin = float(np.frombuffer(reader.take(dtype.itemsize), dtype)[0])
    require(flags >> 7 == 0 and predictor & 0x8C == 0, "reserved bits of closed-loop prediction are set")
    require(width > 0 and math.isfinite(width) and math.isfinite(origin), f"bin {width}, origin {origin}")
    mixing, lattice, balanced = (bool(flags & bit) for bit in (16, 32, 64))
    return Parameters(mixing, lattice, balanced, predictor & 3, predictor >> 4, growth & 15, growth >> 4, width, origin)


def within(value: float, limits: tuple[float, float]) -> float:
    least, largest = limits
    if value >= least:
        return value if value <= largest else largest
    return least


def window_frames(frames: int, size: int) -> int:
    most = max(1, WINDOW_POINTS // size)
    return -(-frames // -(-frames // most))


def round_away(value: float) -> float:
    """Halves away from 0."""
    if not math.isfinite(value):
        return value
    size = abs(value)
    whole = math.floor(size)
    return math.copysign(float(whole + (size - whole >= 0.5)), value)


def scale(v: int) -> int:
    if v < 4:
        return v
    high = v.bit_length() - 1
    return min(2 * high + (v >> (high - 1) & 1), 31)


def side(v: int) -> int:
    size = next((k for k, limit in enumerate((2, 5, 10, 24)) if abs(v) < limit), 4)
    return 4 - size if v < 0 else 4 + size


def signed(v: int) -> int:
    size = min(-(-scale(abs(v)) // 2), 7)
    return 7 - size if v < 0 else 7 + size


def sign(v: int) -> int:
    return (v > 0) - (v < 0)


@dataclass
class Context:
    """What is known of a point before its index is."""

    same: int = 0
    near: int = 0
    span: int = 0
    other: int = 0
    axes: int = 0
    west: int = 0
    north: int = 0
    above: int = 0
    value: int = 0
    sides: tuple[int, int, int] = (4, 4, 4)
    lean: int = 0
    kind: int = 0


class IndexCoder:
    """All adaptive state of a segment's code."""

    def __init__(self, mixing: bool) -> None:
        self.mixing = mixing
        self.flags = Counters(4096)
        self.exponents = [Counters(16 * size) for size in SIZES]
        self.exponent_mixers = [Mixer([[WEIGHT] * 8 for _ in range(16 * sets)], 3) for sets in (32, 64)]
        self.digits = [Counters(32 * 32 * 8), Counters(32 * 4)]
        self.signs = [Counters(size) for size in (225, 81, 135, 729)]
        self.sign_mixers = [Mixer([[WEIGHT] * 5 for _ in range(sets)], 3) for sets in (15, 64)]
        self.numbers = Counters(17 * 64)

    def flag(self, decoder: Decoder, context: int) -> int:
        return decoder.counted(self.flags, context, LIMIT)

    def number(self, decoder: Decoder, context: int) -> int:
        exponent = decoder.exponent(self.numbers, 64 * context, NUMBER_LIMIT, 20)
        zigzag = (1 << exponent | decoder.raw(exponent)) - 1
        return zigzag >> 1 if zigzag & 1 == 0 else -(zigzag >> 1) - 1

    def offset(self, decoder: Decoder, width: float, points: int, last: bool) -> float:
        """An offset of predictions, or a shift of values, of so many points, whose bins are so wide."""
        units = 1 << (FINE if last else max(COARSE, min(FINE, points.bit_length() // 2 + 1)))
        number = self.number(decoder, OFFSETS)
        require(abs(number) <= units // PARTS, f"an offset of {number} units")
        return number * (width / units)

    def index(self, decoder: Decoder, at: Context) -> int | None:
        """An index; None for a point stored exactly."""
        total = scale((2 * at.same + at.near) // 3)
        exponent = self._exponent(decoder, at, total)
        if exponent == 0:
            return 0
        if exponent == EXACT:
            return None
        value = 1
        for k in range(exponent):
            if k < 2:
                bit = decoder.counted(self.digits[0], 8 * (32 * exponent + total) + value, LIMIT)
            elif k == 2:
                bit = decoder.counted(self.digits[1], 4 * exponent + (value & 3), LIMIT)
            else:
                bit = decoder.raw(1)
            value = 2 * value + bit
        return 1 - value if self._sign(decoder, at) else value - 1

    def _exponent(self, decoder: Decoder, at: Context, total: int) -> int:
        span = scale(at.span)
        sides = 81 * at.sides[0] + 9 * at.sides[1] + at.sides[2]
        around = [min(abs(v), 7) for v in (at.west, at.north, at.above)]
        base = (
            32 * scale(at.same) + scale(at.near),
            (8 * around[0] + around[1]) * 8 + around[2],
            16 * at.kind + total // 2,
            16 * span + min(scale(abs(at.other)), 15),
            8 * sides + total // 4,
            32 * span + total,
            16 * scale(at.value) + total // 2,
        )
        for exponent in range(EXACT):
            k = min(exponent, 15)
            places = [k * size + b for size, b in zip(SIZES, base, strict=True)]
            if self.mixing:
                sets = (32 * k + total, 64 * k + at.kind)
                more = mixed(decoder, self.exponents, places, self.exponent_mixers, sets)
            else:
                more = decoder.counted(self.exponents[ALONE], places[ALONE], ALONE_LIMIT)
            if not more:
                return exponent
        return EXACT

    def _sign(self, decoder: Decoder, at: Context) -> int:
        other, axes = signed(at.other), signed(at.axes)
        west, north, above, lean = (1 + sign(v) for v in (at.west, at.north, at.above, at.lean))
        places = [
            15 * other + axes,
            ((west * 3 + north) * 3 + above) * 3 + lean,
            (other * 3 + west) * 3 + north,
            81 * at.sides[0] + 9 * at.sides[1] + at.sides[2],
        ]
        if self.mixing:
            return mixed(decoder, self.signs, places, self.sign_mixers, (other, at.kind))
        return decoder.counted(self.signs[0], places[0], ALONE_LIMIT)


def mixed(
    decoder: Decoder, tables: list[Counters], places: list[int], mixers: list[Mixer], sets: tuple[int, int]
) -> int:
    """A bit under the two mixes of some counters and the bias, all of which learn it."""
    inputs = [stretch(table.p1(place)) for table, place in zip(tables, places, strict=True)] + [BIAS]
    mixes = [mixer.mix(inputs, chosen) for mixer, chosen in zip(mixers, sets, strict=True)]
    bit = decoder.bit(probability(*mixes))
    for mixer, chosen, mix in zip(mixers, sets, mixes, strict=True):
        mixer.update(inputs, chosen, mix, bit)
    for table, place in zip(tables, places, strict=True):
        table.update(place, bit, LIMIT)
    return bit


@dataclass
class Window:
    """A window's values and indices while it is decoded, in C order."""

    dims: Offset
    dtype: np.dtype
    masked: list[bool]
    limits: tuple[float, float]
    parameters: Parameters
    values: list[float] = field(init=False)
    indices: list[int] = field(init=False)
    exact: dict[int, bytes] = field(default_factory=dict)
    """Points stored exactly, and their bits."""

    def __post_init__(self) -> None:
        self.strides = (self.dims[1] * self.dims[2], self.dims[2], 1)
        count = math.prod(self.dims)
        self.values = [0.0] * count
        self.indices = [0] * count

    def rounded(self, value: float) -> float:
        """A value in the field's type."""
        return value if self.dtype.itemsize == 8 else float(np.float32(value))

    def distance(self, offset: Offset) -> int:
        return sum(by * stride for by, stride in zip(offset, self.strides, strict=True))


class Quantiser:
    """The bins of a pass."""

    def __init__(self, window: Window, width: float) -> None:
        self.window, self.bin = window, width
        self.offset = -0.0
        self.shift = 0.0
        self.limits = window.limits
        self.inverse = min(1.0 / width, sys.float_info.max)

    def quarters(self, difference: float) -> int:
        value = difference * self.inverse * 4
        if math.isnan(value):
            return 0
        return int(max(min(value, INT_MAX), -INT_MAX - 1))

    def shifted(self, shift: float) -> None:
        """Values are less by the shift from here on."""
        least, largest = self.window.limits
        self.limits = (least - shift, largest - shift)
        self.shift = shift

    def unshifted(self, value: float) -> float:
        """The value of one that is less by the shift; what lies beside a limit comes to lie on it."""
        least, largest = self.window.limits
        near = self.bin / NEAR
        v = value + self.shift
        if v > least + near:
            return self.window.rounded(v if v < largest - near else largest)
        return self.window.rounded(least)

    def within(self, value: float) -> float:
        return within(value, self.limits)

    def settle(self, total: float) -> float:
        p = self.within(total + self.offset)
        if self.window.parameters.lattice:
            origin = self.window.parameters.origin
            p = origin + round_away((p - origin) * self.inverse) * self.bin
        return p

    def put(self, at: int, prediction: float, index: int) -> None:
        """The value of an index, and the index as contexts see it."""
        window = self.window
        window.values[at] = window.rounded(self.within(prediction + index * self.bin))
        window.indices[at] = max(-32767, min(32767, index))


class Run:
    """The code of a segment, window by window."""

    def __init__(self, parameters: Parameters, decoder: Decoder) -> None:
        self.parameters, self.decoder = parameters, decoder
        self.coder = IndexCoder(parameters.mixing)

    def window(self, window: Window) -> None:
        if self.parameters.predictor == LEVELS:
            ByLevels(self, window).decode()
        else:
            InOrder(self, window).decode()

    def point(self, quantiser: Quantiser, at: int, prediction: float, context: Context) -> None:
        """Decodes a point that has bits of its own."""
        window = quantiser.window
        index = self.coder.index(self.decoder, context)
        if index is None:
            size = window.dtype.itemsize
            window.exact[at] = self.decoder.raw(8 * size).to_bytes(size, "little")
            index = 0
        quantiser.put(at, prediction, index)


@dataclass
class Pass:
    """Points of a level that are predicted alike."""

    level: int
    step: int
    odd: int
    active: int
    frozen: int
    starts: Offset
    strides: Offset
    counts: Offset

    def unit(self, axis: int) -> int:
        return 1 if self.frozen >> axis & 1 else self.step

    @property
    def kind(self) -> int:
        return min(self.level, 7) * 8 + self.odd


def order(odd: int) -> tuple[int, int]:
    """Passes of a level come by rising order."""
    return odd.bit_count(), odd


def passes(dims: Offset, frozen: int) -> list[Pass]:
    free = [axis for axis in range(3) if dims[axis] > 1 and not frozen >> axis & 1]
    levels = max([(dims[axis] - 1).bit_length() for axis in free], default=0)
    counts = tuple(dims[axis] if frozen >> axis & 1 else 1 for axis in range(3))
    out = [Pass(levels, 1 << levels, 0, 0, frozen, (0, 0, 0), (1, 1, 1), counts)]
    for level in range(levels - 1, -1, -1):
        step = 1 << level
        active = sum(1 << axis for axis in free if dims[axis] > step)
        for odd in sorted(range(1, 8), key=order):
            if odd & ~active:
                continue
            starts = tuple(step if odd >> axis & 1 else 0 for axis in range(3))
            strides = tuple(2 * step if active >> axis & 1 else 1 for axis in range(3))
            counts = tuple(
                -(-(dims[axis] - starts[axis]) // strides[axis]) if (active | frozen) >> axis & 1 else 1
                for axis in range(3)
            )
            out.append(Pass(level, step, odd, active, frozen, starts, strides, counts))
    return out


def unit_offset(*parts: tuple[int, int]) -> Offset:
    offset = [0, 0, 0]
    for axis, by in parts:
        offset[axis] = by
    return offset[0], offset[1], offset[2]


@dataclass
class Group:
    """Points that share a weight."""

    points: list[Offset]
    causal: bool = False
    pair: int | None = None


def groups_of(one: Pass) -> list[Group]:
    odd = [axis for axis in range(3) if one.odd >> axis & 1]
    active = [axis for axis in range(3) if one.active >> axis & 1]
    out = [Group([unit_offset((a, -1)), unit_offset((a, 1))], pair=a) for a in odd]
    out += [Group([unit_offset((a, -3)), unit_offset((a, 3))]) for a in odd]
    for x in active:
        for y in active:
            other = one.odd ^ (1 << x | 1 << y)
            if x < y and (one.odd >> x | one.odd >> y) & 1 and order(other) < order(one.odd):
                signs = ((-1, -1), (-1, 1), (1, -1), (1, 1))
                out.append(Group([unit_offset((x, i), (y, j)) for i, j in signs]))
    if len(odd) == 3:
        out.append(Group([(2 * (k & 1) - 1, (k & 2) - 1, (k >> 1 & 2) - 1) for k in range(8)]))
    for j in active:
        if j in odd:
            continue
        sides = ((-1, -2), (-1, 2), (1, -2), (1, 2))
        out.append(Group([unit_offset((a, i), (j, k)) for a in odd for i, k in sides]))
        if j != 2:
            out.append(Group([unit_offset((j, -2))], causal=True))
    for f in range(2):
        if one.frozen >> f & 1:
            out.append(Group([unit_offset((f, -1))], causal=True))
            out.append(Group([unit_offset((a, i), (f, -1)) for a in odd for i in (-1, 1)], causal=True))
    return out


@dataclass
class Template:
    """What a point sees, as distances: the points of its sum with their weights, its pairs, and points behind."""

    taps: list[tuple[int, float]]
    pairs: list[tuple[int, int]]
    behind: list[int]


class ByLevels:
    """Prediction by levels."""

    def __init__(self, run: Run, window: Window) -> None:
        self.run, self.window, self.parameters = run, window, run.parameters

    def decode(self) -> None:
        dims = self.window.dims
        frozen = sum(1 << axis for axis in range(3) if dims[axis] > 1 and self.parameters.axes >> axis & 1)
        for one in passes(dims, frozen):
            quantiser = Quantiser(self.window, self._bin(one.level))
            if one.odd == 0:
                self._anchors(one, quantiser)
            else:
                LevelPass(self.run, self.window, one, quantiser).decode()

    def _bin(self, level: int) -> float:
        parameters = self.parameters
        if parameters.lattice:
            return parameters.bin
        factor = 1.0
        for _ in range(min(level, 40)):
            factor = min(factor * (1 + parameters.growth / 4), 1 + parameters.most / 4)
        return parameters.bin / factor

    def _anchors(self, one: Pass, quantiser: Quantiser) -> None:
        window, strides = self.window, self.window.strides
        for place in np.ndindex(*one.counts):
            at = window.distance((int(place[0]), int(place[1]), int(place[2])))
            axis = next((axis for axis in (2, 1, 0) if place[axis] > 0), None)
            before = None if axis is None else at - strides[axis]
            prediction = quantiser.settle(self.parameters.origin if before is None else window.values[before])
            if window.masked[at]:
                quantiser.put(at, prediction, 0)
                continue
            west = 0 if before is None else window.indices[before]
            self.run.point(quantiser, at, prediction, Context(same=4 * abs(west), west=west, kind=one.kind))


class LevelPass:
    """One pass."""

    def __init__(self, run: Run, window: Window, one: Pass, quantiser: Quantiser) -> None:
        self.run, self.window, self.one, self.quantiser = run, window, one, quantiser
        self.groups = groups_of(one)
        self.odd = [axis for axis in range(3) if one.odd >> axis & 1]
        self.weights = self._weights()
        if run.parameters.balanced:
            last = one.level == 0 and one.odd == one.active
            quantiser.offset = run.coder.offset(run.decoder, quantiser.bin, math.prod(one.counts), last)
        self.templates: dict[tuple[int, ...], Template] = {}
        self.last_flags = 0

    def _weights(self) -> list[int]:
        """The weights of all groups but the first."""
        n = len(self.odd)
        cubic = [0] * (len(self.groups) - 1)
        linear = list(cubic)
        linear[: n - 1] = [128 // n] * (n - 1)
        cubic[: n - 1] = [144 // n] * (n - 1)
        cubic[n - 1 : 2 * n - 1] = [-(128 // (8 * n))] * n
        coder, decoder = self.run.coder, self.run.decoder
        kind = coder.number(decoder, int(n > 1))
        kinds = 2 if n == 1 else 2 + 2 * n
        require(0 <= kind <= kinds, f"a pass is predicted in way {kind} of {kinds}")
        if kind == kinds:
            return [weight + coder.number(decoder, 2 + min(g, 13)) for g, weight in enumerate(cubic)]
        if kind < 2:
            return cubic if kind else linear
        which, is_cubic = divmod(kind - 2, 2)
        along = [0] * len(cubic)
        if which > 0:
            along[which - 1] = 144 if is_cubic else 128
        if is_cubic:
            along[n + which - 1] = -16
        return along

    def _shift(self, axis: int, place: Offset, by: int) -> int | None:
        moved = place[axis] + by * self.one.unit(axis)
        if not 0 <= moved < self.window.dims[axis]:
            return None
        return (moved - place[axis]) * self.window.strides[axis]

    def _offset(self, place: Offset, offset: Offset, mirrored: bool) -> int | None:
        total = 0
        for axis, by in enumerate(offset):
            if by == 0:
                continue
            near = (1 if by > 0 else -1) if by % 2 else 0
            tries = (by, -by, near, -near) if mirrored else (by,)
            found = next((d for d in (self._shift(axis, place, one) for one in tries) if d is not None), None)
            if found is None:
                return None
            total += found
        return total

    def _template(self, place: Offset) -> Template:
        # All that is told by how near the ends are.
        key = tuple(
            min(d // self.one.unit(axis), 3)
            for axis, (at, n) in enumerate(zip(place, self.window.dims, strict=True))
            for d in (at, n - 1 - at)
        )
        if key not in self.templates:
            self.templates[key] = self._made(place)
        return self.templates[key]

    def _made(self, place: Offset) -> Template:
        means: list[list[tuple[int, float]]] = []
        pairs: list[tuple[int, int]] = []
        for group in self.groups:
            points = [self._offset(place, offset, not group.causal) for offset in group.points]
            mean = means[0] if None in points else [(p, 1 / len(points)) for p in points if p is not None]
            if group.pair is not None:
                pairs.append((mean[0][0], mean[-1][0]))
                first, third = (self._shift(group.pair, place, by) for by in (-1, -3))
                if self._shift(group.pair, place, 1) is None and first is not None and third is not None:
                    mean = [(first, 1.5), (third, -0.5)]
            means.append(mean)
        taps: dict[int, float] = {}
        for weight, mean in zip([128 - sum(self.weights), *self.weights], means, strict=True):
            if weight == 0:
                continue
            for distance, share in mean:
                added = weight / 128 * share
                taps[distance] = taps[distance] + added if distance in taps else added
        behind = []
        for axis in (1, 0):
            by = -1 if self.one.frozen >> axis & 1 else -2 if self.one.active >> axis & 1 else None
            found = None if by is None else self._shift(axis, place, by)
            if found is not None:
                behind.append(found)
        return Template(list(taps.items()), pairs, behind)

    def decode(self) -> None:
        one = self.one
        batch: list[tuple[int, Template, bool]] = []
        for place in np.ndindex(*one.counts):
            index = [start + int(k) * by for start, k, by in zip(one.starts, place, one.strides, strict=True)]
            where = (index[0], index[1], index[2])
            batch.append((self.window.distance(where), self._template(where), place[2] > 0))
            if len(batch) == BATCH:
                self._batch(batch)
                batch = []
        if batch:
            self._batch(batch)

    def _batch(self, batch: list[tuple[int, Template, bool]]) -> None:
        window, quantiser = self.window, self.quantiser
        seen = [self._seen(at, template) for at, template, _ in batch]
        busy = sum(near > 0 for near, _ in seen)
        widest = max(span for _, span in seen)
        context = (min(self.one.level, 7) * 4 + self.last_flags) * 8 + min(-(-scale(busy) // 2), 7)
        flag = self.run.coder.flag(self.run.decoder, context * 16 + min(scale(widest) // 2, 15))
        self.last_flags = (2 * self.last_flags + flag) & 3
        for (at, template, follows), (near, span) in zip(batch, seen, strict=True):
            total = 0.0
            for distance, weight in template.taps:
                total += window.values[at + distance] * weight
            prediction = quantiser.settle(total)
            if not flag or window.masked[at]:
                quantiser.put(at, prediction, 0)
                continue
            context_of = self._context(at, template, prediction, follows)
            context_of.near, context_of.span = 2 * near // len(template.pairs), span
            self.run.point(quantiser, at, prediction, context_of)

    def _seen(self, at: int, template: Template) -> tuple[int, int]:
        values, indices = self.window.values, self.window.indices
        near, span = 0, 0.0
        for low, high in template.pairs:
            near += abs(indices[at + low]) + abs(indices[at + high])
            apart = abs(values[at + high] - values[at + low])
            span = apart if apart > span else span
        return near, abs(self.quantiser.quarters(span))

    def _context(self, at: int, template: Template, prediction: float, follows: bool) -> Context:
        values, indices, quarters = self.window.values, self.window.indices, self.quantiser.quarters

        def middle(at: int, pair: tuple[int, int]) -> float:
            return (values[at + pair[0]] + values[at + pair[1]]) * 0.5

        west = [at - self.one.strides[2]] if follows else []
        behind = [at + distance for distance in template.behind]
        around = [indices[place] for place in west] or [0]
        around += [indices[place] for place in behind] + [0] * (2 - len(behind))
        pairs = template.pairs
        total = 0.0
        for pair in pairs:
            total += middle(at, pair)
        beside = (west + behind)[:1]
        if len(pairs) > 1:
            axes = quarters(middle(at, pairs[0]) - middle(at, pairs[-1]))
            third = side(quarters(middle(at, pairs[-1]) - prediction))
        elif beside:
            axes = quarters(values[beside[0]] - middle(beside[0], pairs[0]))
            third = side(quarters(values[beside[0]] - prediction))
        else:
            axes, third = 0, 4
        low, high = (side(quarters(values[at + distance] - prediction)) for distance in pairs[0])
        return Context(
            same=4 * sum(map(abs, around)) // max(len(west) + len(behind), 1),
            other=quarters(total / len(pairs) - prediction),
            axes=axes,
            west=around[0],
            north=around[1],
            above=around[2],
            value=abs(quarters(prediction - self.run.parameters.origin)),
            sides=(low, high, third),
            lean=sum(sign(indices[at + distance]) for pair in pairs for distance in pair),
            kind=self.one.kind,
        )


def fitted_points(dims: Offset) -> list[Offset]:
    """What a fitted predictor sees, one behind along the last axis first."""
    axes = [axis for axis in (2, 1, 0) if dims[axis] > 1]
    x = axes[0]
    out = [unit_offset((x, -1)), unit_offset((x, -2))]
    if len(axes) == 1:
        return [*out, unit_offset((x, -3)), unit_offset((x, -4))]
    y = axes[1]
    out += [unit_offset((x, i), (y, -1)) for i in range(-2, 3)] + [unit_offset((y, -2))]
    if len(axes) == 3:
        z = axes[2]
        out += [unit_offset((z, -1)), unit_offset((z, -2))]
        out += [unit_offset((v, i), (z, -1)) for v in (x, y) for i in (-1, 1)]
        out += [unit_offset((x, i), (y, j), (z, -1)) for i, j in ((-1, -1), (-1, 1), (1, -1), (1, 1))]
    return out


class InOrder:
    """Prediction in C order."""

    def __init__(self, run: Run, window: Window) -> None:
        self.run, self.window, self.parameters = run, window, run.parameters
        self.quantiser = Quantiser(window, run.parameters.bin)
        self.order = FIRST if run.parameters.predictor == FIRST else SECOND
        self.fitted: list[tuple[int, float]] = []
        dims = window.dims
        fits = dims[2] >= 8 and all(n == 1 or n >= 5 for n in dims) and math.prod(dims) >= 512
        if run.parameters.predictor == FITTED and fits:
            self._fit()
        self.corners: dict[Offset, list[tuple[int, float]]] = {}

    def _fit(self) -> None:
        points = fitted_points(self.window.dims)
        self.low = [max(-min(point[axis] for point in points), 0) for axis in range(3)]
        self.high = [max(*(point[axis] for point in points), 0) for axis in range(3)]
        numbers = [self.run.coder.number(self.run.decoder, 2 + min(k, 13)) for k in range(len(points) - 1)]
        weights = [128 - sum(numbers), *numbers]
        self.fitted = [(self.window.distance(p), w / 128) for p, w in zip(points, weights, strict=True)]

    def _taps(self, place: Offset) -> list[tuple[int, float]]:
        dims = self.window.dims
        if self.fitted and all(self.low[j] <= place[j] < dims[j] - self.high[j] for j in range(3)):
            return self.fitted
        depth = (min(place[0], 2), min(place[1], 2), min(place[2], 2))
        if depth not in self.corners:
            self.corners[depth] = self._corner(depth)
        return self.corners[depth]

    def _corner(self, depth: Offset) -> list[tuple[int, float]]:
        """Lorenzo's predictor."""
        taps: dict[int, float] = {0: 1.0}
        for axis in (2, 1, 0):
            if not self.parameters.axes >> axis & 1:
                continue
            for _ in range(min(self.order, depth[axis])):
                for distance, weight in list(taps.items()):
                    moved = distance - self.window.strides[axis]
                    taps[moved] = taps.get(moved, 0.0) - weight
        out = [(distance, -weight) for distance, weight in taps.items() if distance and weight]
        if not out and self.parameters.axes:
            out = [(-self.window.strides[axis], 1.0) for axis in (2, 1, 0) if depth[axis]][:1]
        return out

    def decode(self) -> None:
        window, quantiser = self.window, self.quantiser
        total = math.prod(window.dims)
        balanced = self.parameters.balanced
        stretch = -(-max(-(-total // STRETCHES), LEAST_STRETCH) // BATCH) * BATCH if balanced else total
        flags = 0
        for start in range(0, total, BATCH):
            if balanced and start % stretch == 0:
                points = min(stretch, total - start)
                last = start + points == total
                quantiser.shifted(self.run.coder.offset(self.run.decoder, quantiser.bin, points, last))
            end = min(start + BATCH, total)
            context = (flags * 8 + min(scale(self._busy(start, end)), 7)) * 16
            flag = self.run.coder.flag(self.run.decoder, context)
            flags = (2 * flags + flag) & 3
            for at in range(start, end):
                place = (at // window.strides[0], at // window.strides[1] % window.dims[1], at % window.dims[2])
                taps = self._taps(place)
                summed = 0.0 if taps else self.parameters.origin
                for distance, weight in taps:
                    summed += window.values[at + distance] * weight
                prediction = quantiser.settle(summed)
                if not flag or window.masked[at]:
                    quantiser.put(at, prediction, 0)
                else:
                    self.run.point(quantiser, at, prediction, self._context(at, place, prediction))
            if balanced and (end % stretch == 0 or end == total):
                for at in range((end - 1) // stretch * stretch, end):
                    window.values[at] = quantiser.unshifted(window.values[at])

    def _busy(self, start: int, end: int) -> int:
        window = self.window
        for axis in (1, 0):
            stride = window.strides[axis]
            if window.dims[axis] > 1 and stride >= BATCH:
                return sum(map(bool, window.indices[start - stride : end - stride])) if start >= stride else 0
        return 0

    def _context(self, at: int, place: Offset, p: float) -> Context:
        values, indices, quarters = self.window.values, self.window.indices, self.quantiser.quarters
        behind = [self.window.strides[axis] for axis in (2, 1, 0) if place[axis] > 0]
        beside = [values[at - distance] for distance in behind]
        around = [indices[at - distance] for distance in behind] + [0] * (3 - len(behind))
        sides = [side(quarters(value - p)) for value in beside] + [4] * (3 - len(behind))
        out = Context(
            same=4 * sum(map(abs, around)) // max(len(behind), 1),
            west=around[0],
            north=around[1],
            above=around[2],
            value=abs(quarters(p - self.parameters.origin)),
            sides=(sides[0], sides[1], sides[2]),
            lean=sum(map(sign, around)),
            kind=len(behind),
        )
        if len(behind) == 1:
            x = behind[0]
            if at >= 2 * x:
                second = values[at - 2 * x]
                out.near = 4 * abs(indices[at - 2 * x])
                out.other = quarters(2 * beside[0] - second - p)
                out.span = abs(quarters(abs(beside[0] - second)))
            if at >= 3 * x:
                out.axes = quarters(values[at - 2 * x] - values[at - 3 * x])
        elif behind:
            x, y = behind[:2]
            v, u = beside[:2]
            t = beside[2] if len(beside) > 2 else v
            corner = values[at - x - y]
            out.near = 2 * (abs(indices[at - x - y]) + abs(indices[at + x - y]))
            out.axes = quarters(v - u)
            out.other = quarters((v + u + t) / 3 - p)
            apart = [abs(v - corner), abs(u - corner), abs(t - v)]
            known = [distance for distance in apart if not math.isnan(distance)]
            out.span = abs(quarters(max(known))) if known else 0
        return out


def decode_window(run: Run, window: Window) -> np.ndarray:
    """A window's values in C order, points stored exactly in their place."""
    run.window(window)
    out = np.array(window.values, np.float64).astype(window.dtype)
    for at, bits in window.exact.items():
        out[at : at + 1] = np.frombuffer(bits, window.dtype)
    return out


def canonical(dims: Offset) -> Offset:
    """Axes of one point first."""
    sizes = sorted(dims, key=lambda n: n > 1)
    return sizes[0], sizes[1], sizes[2]

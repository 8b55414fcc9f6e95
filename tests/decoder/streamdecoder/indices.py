"""Quantiser indices (section 8): the planes of a window, bit by bit, under what is known of those before."""

from dataclasses import dataclass

import numpy as np

from .bands import Band
from .coder import Counters, Decoder, Mixer, probability, stretch
from .cut import up
from .data import Corrupt
from .priors import counters, weights

BLOCK = 8
UNARY = 14
BUSY = 14
OFTEN, RARELY = 250, 120
LIMIT = 60
BIAS = 256


class Plane:
    """The magnitudes (cut at 255) and block flags of a plane; zeros around each band are what lies outside."""

    def __init__(self, bands: list[Band]) -> None:
        self.strides = [band.width + 4 for band in bands]
        self.magnitudes = [bytearray((band.height + 3) * (band.width + 4)) for band in bands]
        self.flag_strides = [up(band.width, BLOCK) + 2 for band in bands]
        self.flags = [bytearray((up(band.height, BLOCK) + 2) * (up(band.width, BLOCK) + 2)) for band in bands]

    def cross(self, band: int, y: int, x: int) -> tuple[int, int]:
        """The magnitude at (y, x), and the sum of the four around it."""
        m, stride = self.magnitudes[band], self.strides[band]
        at = (y + 2) * stride + x + 2
        return m[at], m[at - 1] + m[at + 1] + m[at - stride] + m[at + stride]


@dataclass
class Context:
    """What a plane is coded under: two earlier planes, if any, and its class."""

    near: Plane | None
    far: Plane | None
    kind: int


def size_class(s: int) -> int:
    """`class(s)`."""
    if s < 4:
        return s
    s = min(s, 4095)
    log = s.bit_length() - 1
    return 2 * log + (s >> (log - 1) & 1)


SIZE_CLASS = [size_class(s) for s in range(4096)]


def cut_class(s: int) -> int:
    return SIZE_CLASS[s] if s < 4096 else SIZE_CLASS[4095]


@dataclass
class Around:
    """What the contexts of an index are made from."""

    inside: int
    near: int
    far: int
    parent: int
    sibling: int
    all: int
    pattern: int


class IndexCoder:
    """All adaptive state of the indices of a segment."""

    def __init__(self, bands: list[Band], mixing: bool) -> None:
        self.bands = bands
        self.mixing = mixing
        self.block = counters("block")
        self.zero = [counters(f"z{k}") for k in range(6)]
        self.more = [counters(f"u{k}") for k in range(4)]
        self.exponents = [counters("e0"), counters("e1")]
        self.digits = counters("m")
        self.escape = counters("x")
        self.zero_mixers = [Mixer(weights("zero_band"), 3), Mixer(weights("zero_all"), 3)]
        self.more_mixers = [Mixer(weights("more_bin"), 3), Mixer(weights("more_all"), 3)]

    def window(self, decoder: Decoder, planes: list[Plane], contexts: list[Context], out: np.ndarray) -> None:
        """Decodes the indices of a window's planes into `out` [planes][height][width]."""
        for number, band in enumerate(self.bands):
            for plane, context, indices in zip(planes, contexts, out, strict=True):
                self._band(decoder, number, band, plane, context, band.of(indices))

    def _band(self, decoder: Decoder, number: int, band: Band, plane: Plane, context: Context, out: np.ndarray) -> None:
        flags, stride = plane.flags[number], plane.flag_strides[number]
        columns = up(band.width, BLOCK)
        for by in range(up(band.height, BLOCK)):
            for bx in range(columns):
                at = (by + 1) * stride + bx + 1
                flags[at] = self._flag(decoder, number, band, plane, context, by, bx)
            if not any(flags[(by + 1) * stride + 1 : (by + 1) * stride + 1 + columns]):
                continue
            for y in range(by * BLOCK, min((by + 1) * BLOCK, band.height)):
                for bx in range(columns):
                    if flags[(by + 1) * stride + bx + 1]:
                        self._run(decoder, number, band, plane, context, y, bx, out)

    def _flag(self, decoder: Decoder, number: int, band: Band, plane: Plane, context: Context, by: int, bx: int) -> int:
        flags, stride = plane.flags[number], plane.flag_strides[number]
        at = (by + 1) * stride + bx + 1
        around = flags[at - 1] + flags[at - stride] + flags[at - stride - 1] + flags[at - stride + 1]
        resembling = 0
        if context.near:
            f = context.near.flags[number]
            resembling = 2 if f[at] else f[at - 1] | f[at + 1] | f[at - stride] | f[at + stride]
        above = 0
        if band.parent is not None:
            above = 1 + plane.flags[band.parent][(by // 2 + 1) * plane.flag_strides[band.parent] + bx // 2 + 1]
        first = int(context.kind == 0)
        index = (((around * 3 + resembling) * 3 + above) * 8 + min(band.level, 7)) * 2 + first
        return decoder.counted(self.block, index, OFTEN)

    def _run(
        self,
        decoder: Decoder,
        number: int,
        band: Band,
        plane: Plane,
        context: Context,
        y: int,
        bx: int,
        out: np.ndarray,
    ) -> None:
        """The points of one row of one block."""
        magnitudes, stride = plane.magnitudes[number], plane.strides[number]
        level = min(band.level, 7)
        for x in range(bx * BLOCK, min((bx + 1) * BLOCK, band.width)):
            around = self._around(number, band, plane, context, y, x)
            if around.all >= BUSY:
                magnitude = self._busy(decoder, around)
            else:
                magnitude = self._magnitude(decoder, around, 4 * level + band.orientation, level, context.kind)
            if magnitude:
                sign = -1 if decoder.raw(1) else 1
                if magnitude >= 1 << 63:
                    raise Corrupt("an index is larger than any that is coded")
                out[y, x] = sign * magnitude
                magnitudes[(y + 2) * stride + x + 2] = min(magnitude, 255)

    def _around(self, number: int, band: Band, plane: Plane, context: Context, y: int, x: int) -> Around:
        m, stride = plane.magnitudes[number], plane.strides[number]
        at = (y + 2) * stride + x + 2
        west, north, north_west, north_east = m[at - 1], m[at - stride], m[at - stride - 1], m[at - stride + 1]
        inside = 4 * (west + north) + 2 * (north_west + north_east) + (3 * (m[at - 2] + m[at - 2 * stride]) >> 1)
        near, centre = 0, 0
        if context.near:
            centre, cross = context.near.cross(number, y, x)
            near = 4 * centre + cross
        everything = 2 * inside + 2 * near
        far, parent, sibling = 0, 0, 0
        if self.mixing:
            if context.far:
                middle, cross = context.far.cross(number, y, x)
                far = 4 * middle + cross
            if band.parent is not None:
                above = self.bands[band.parent]
                place = (min(y // 2, above.height - 1), min(x // 2, above.width - 1))
                middle, cross = plane.cross(band.parent, *place)
                parent = 4 * middle + cross
            for other in band.siblings:
                sibling += plane.magnitudes[other][(y + 2) * plane.strides[other] + x + 2]
            everything += far + parent + 4 * sibling
        pattern = ((min(west, 2) * 3 + min(north, 2)) * 3 + min(north_west, 2)) * 3 + min(north_east, 2)
        return Around(
            min(cut_class(inside), 23),
            min(cut_class(near), 23),
            cut_class(far),
            cut_class(parent),
            cut_class(sibling),
            min(cut_class(everything >> 2), 31),
            pattern * 3 + min(centre, 2),
        )

    def _busy(self, decoder: Decoder, n: Around) -> int:
        first, second = self.exponents
        exponent = 0
        while True:
            a, b = 32 * exponent + n.all, 24 * exponent + n.inside
            p1 = first.p1(a)
            if self.mixing:
                p1 = probability(stretch(p1), stretch(second.p1(b)))
            more = decoder.bit(p1)
            first.update(a, more, RARELY)
            if self.mixing:
                second.update(b, more, RARELY)
            if not more:
                break
            exponent += 1
            if exponent > LIMIT:
                raise Corrupt("the exponent of an index is out of range")
        digits = 1
        for _ in range(min(exponent, 2)):
            digits = digits << 1 | decoder.counted(self.digits, (4 * exponent + digits) & 255, OFTEN)
        rest = max(exponent - 2, 0)
        return (digits << rest | decoder.raw(rest)) - 1

    def _magnitude(self, decoder: Decoder, n: Around, band: int, level: int, kind: int) -> int:
        zero = [
            24 * n.inside + n.near,
            (16 * n.inside + min(n.parent, 15)) * 8 + min(n.sibling, 7),
            32 * n.all + band,
            3 * n.pattern + min(n.parent, 4) // 2,
            (8 * kind + level) * 12 + min(n.all, 11),
            (12 * n.near + min(n.far, 11)) * 6 + min(n.parent, 5),
        ]
        if not self._choice(decoder, self.zero, zero, self.zero_mixers, (band, n.all), OFTEN):
            return 0
        for b in range(UNARY):
            more = [
                32 * b + n.all,
                (16 * b + min(n.inside, 15)) * 8 + min(n.near // 2, 7),
                (32 * b + band) * 8 + min(kind // 2, 7),
                (8 * b + min(n.parent // 2, 7)) * 8 + min(n.far // 2, 7),
            ]
            if not self._choice(decoder, self.more, more, self.more_mixers, (b, n.all), RARELY):
                return b + 1
        exponent = decoder.exponent(self.escape, 0, RARELY, LIMIT)
        return UNARY + (1 << exponent | decoder.raw(exponent))

    def _choice(
        self,
        decoder: Decoder,
        tables: list[Counters],
        at: list[int],
        mixers: list[Mixer],
        sets: tuple[int, int],
        limit: int,
    ) -> int:
        """A bit under the counters at `at`, mixed or by the first alone."""
        if not self.mixing:
            return decoder.counted(tables[0], at[0], limit)
        inputs = [stretch(table.p1(index)) for table, index in zip(tables, at, strict=True)]
        inputs += [BIAS] + [0] * (6 - len(inputs))
        mixed = [mixer.mix(inputs, context) for mixer, context in zip(mixers, sets, strict=True)]
        bit = decoder.bit(probability(*mixed))
        for mixer, context, mix in zip(mixers, sets, mixed, strict=True):
            mixer.update(inputs, context, mix, bit)
        for table, index in zip(tables, at, strict=True):
            table.update(index, bit, limit)
        return bit


class BitCoder(IndexCoder):
    """The indices of a segment bit by bit, and their byte string."""

    def __init__(self, bands: list[Band], decoder: Decoder, mixing: bool) -> None:
        super().__init__(bands, mixing)
        self.decoder = decoder

    def decode(self, planes: list[Plane], contexts: list[Context], out: np.ndarray) -> None:
        """Decodes the indices of a window's planes into `out` [planes][height][width]."""
        self.window(self.decoder, planes, contexts, out)
        self.decoder.check()

    def finish(self) -> None:
        self.decoder.finish("coefficients")

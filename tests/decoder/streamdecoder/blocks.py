"""Corrections of blocks to the bound `block_l2` (section 14)."""

import math
from dataclasses import dataclass, field

import numpy as np

from .coder import Counters, Decoder, Mixer, clamp, squash, stretch
from .data import require
from .transform import cosine_basis

SIDE = 8
LIMIT = 200
EXACT = 24
SETS = 20

Point = tuple[int, int, int]


@dataclass
class Block:
    """What is corrected in a block."""

    start: Point
    size: Point
    refinement: int
    exact: list[int] = field(default_factory=list)
    vectors: list[tuple[int, int]] = field(default_factory=list)
    cosines: list[tuple[Point, int]] = field(default_factory=list)


@dataclass
class Correction:
    """What is corrected in a window."""

    step: int
    vectors: list[np.ndarray]
    blocks: list[Block]


class Numbers:
    """The counters of one kind of number, in some contexts."""

    def __init__(self, contexts: int) -> None:
        self.exponents = Counters(64 * contexts)
        self.digits = Counters(256 * contexts)

    def number(self, decoder: Decoder, context: int = 0) -> int:
        exponent = decoder.exponent(self.exponents, 64 * context, LIMIT, 52)
        digits = 1
        for _ in range(min(exponent, 2)):
            at = 256 * context + 4 * exponent + digits
            digits = digits << 1 | decoder.counted(self.digits, at, LIMIT)
        rest = max(exponent - 2, 0)
        return (digits << rest | decoder.raw(rest)) - 1

    def value(self, decoder: Decoder, context: int) -> int:
        magnitude = self.number(decoder, context) + 1
        return -magnitude if decoder.raw(1) else magnitude


def ordered(size: Point) -> list[Point]:
    """The positions of cosine coefficients by rising sum, then in C order."""
    return sorted(np.ndindex(size), key=lambda p: (sum(p), p))


class BlockCoder:
    """The states of one window."""

    def __init__(self, vectors: int) -> None:
        self.entry, self.vector, self.cosine = Numbers(8), Numbers(3), Numbers(3)
        self.vector_count, self.cosine_count = Numbers(1), Numbers(1)
        self.failing = Counters(8)
        self.refinement = Counters(EXACT)
        for k in range(EXACT):
            self.refinement.set(k, 16384, 2)
        self.takes = Counters(vectors)
        self.flags = [Counters(22 * SETS), Counters(512), Counters(64 * SETS)]
        for table in (self.flags[0], self.flags[2]):
            for k in range(len(table.p)):
                chosen = k % SETS
                table.set(k, (37000 if chosen & 1 else 53000) >> (chosen // 2), 4)
        for k in range(512):
            self.flags[1].set(k, 3000, 1)
        self.mixer = Mixer([[22282] * 4 for _ in range(SETS)], 3)

    def entries(self, decoder: Decoder, size: Point) -> np.ndarray:
        """A stored vector."""
        out = np.zeros(size, np.int64)
        for t, y, x in np.ndindex(size):
            before = [
                int(abs(out[t - 1, y, x])) if t else 0,
                int(abs(out[t, y - 1, x])) if y else 0,
                int(abs(out[t, y, x - 1])) if x else 0,
            ]
            context = min(sum(m // 2 for m in before).bit_length(), 7)
            magnitude = self.entry.number(decoder, context)
            if magnitude:
                value = -magnitude if decoder.raw(1) else magnitude
                require(-128 <= value <= 127, "an entry of a vector is out of range")
                out[t, y, x] = value
        return out

    def block(self, decoder: Decoder, start: Point, size: Point, common: bool, vectors: int) -> Block:
        refinement = 0
        while refinement < EXACT and decoder.counted(self.refinement, refinement, LIMIT):
            refinement += 1
        block = Block(start, size, refinement)
        points = math.prod(size)
        if refinement == EXACT:
            block.exact = [decoder.raw(64) for _ in range(points)]
            return block
        if common and vectors:
            wanted = self.vector_count.number(decoder)
            require(wanted <= vectors, "a block has more vectors than are stored")
            for vector in range(vectors):
                if not wanted:
                    break
                if wanted == vectors - vector or decoder.counted(self.takes, vector, LIMIT):
                    block.vectors.append((vector, self.vector.value(decoder, min(vector, 2))))
                    wanted -= 1
        wanted = self.cosine_count.number(decoder)
        require(wanted <= points, "a block has more cosines than points")
        for done, place in enumerate(ordered(size)):
            if not wanted:
                break
            left = points - done
            if wanted == left or self._flag(decoder, place, wanted, left):
                block.cosines.append((place, self.cosine.value(decoder, min(refinement, 2))))
                wanted -= 1
        return block

    def _flag(self, decoder: Decoder, place: Point, wanted: int, left: int) -> int:
        t, y, x = place
        ratio = left // max(wanted, 1)
        log = max(ratio, 1).bit_length() - 1
        chosen = min(2 * log + (2 * left >= 3 * wanted << log), SETS - 1)
        at = [
            (t + y + x) * SETS + chosen,
            64 * t + 8 * y + x,
            (16 * min(t, 3) + 4 * min(y, 3) + min(x, 3)) * SETS + chosen,
        ]
        inputs = [stretch(table.p1(index)) for table, index in zip(self.flags, at, strict=True)] + [256]
        mixed = self.mixer.mix(inputs, chosen)
        bit = decoder.bit(clamp(squash(mixed), 16, 65520))
        self.mixer.update(inputs, chosen, mixed, bit)
        for table, index in zip(self.flags, at, strict=True):
            table.update(index, bit, LIMIT)
        return bit


def window(decoder: Decoder, shape: Point) -> Correction | None:
    """Decodes the corrections of a window of `shape`."""
    if not decoder.bit(32768):
        return None
    step, vectors = decoder.raw(5), decoder.raw(7)
    require(vectors <= 64, f"{vectors} stored vectors")
    coder = BlockCoder(vectors)
    common = tuple(min(SIDE, n) for n in shape)
    correction = Correction(step, [coder.entries(decoder, common) for _ in range(vectors)], [])
    counts = tuple(-(-n // SIDE) for n in shape)
    failed = np.zeros([n + 1 for n in counts], np.uint8)
    for bt, by, bx in np.ndindex(counts):
        before = failed[bt + 1, by + 1, bx], failed[bt + 1, by, bx + 1], failed[bt, by + 1, bx + 1]
        context = int(before[0]) | int(before[1]) << 1 | int(before[2]) << 2
        if not decoder.counted(coder.failing, context, LIMIT):
            continue
        failed[bt + 1, by + 1, bx + 1] = 1
        start = (SIDE * bt, SIDE * by, SIDE * bx)
        size = tuple(min(SIDE, n - s) for n, s in zip(shape, start, strict=True))
        correction.blocks.append(coder.block(decoder, start, size, size == common, vectors))
        decoder.check()
    return correction


def along(coefficients: np.ndarray, axis: int) -> np.ndarray:
    """The inverse cosine transform along an axis, summed from the left."""
    moved = np.moveaxis(coefficients, axis, 0)
    out = np.zeros_like(moved)
    for k, row in enumerate(cosine_basis(len(moved))):
        for t, factor in enumerate(row):
            out[t] += factor * moved[k]
    return np.moveaxis(out, 0, axis)


def apply(correction: Correction, values: np.ndarray, target: float) -> None:
    """Corrects a window's values, f64 in the field's units."""
    for block in correction.blocks:
        part = values[tuple(slice(s, s + n) for s, n in zip(block.start, block.size, strict=True))]
        if block.refinement == EXACT:
            part[...] = np.array(block.exact, "<u8").view("<f8").reshape(block.size)
            continue
        unit = 2.0 * (math.sqrt(0.5) if correction.step & 1 else 1.0)
        unit /= 2.0 ** (correction.step // 2 + block.refinement)
        added = np.zeros(block.size)
        for place, value in block.cosines:
            added[place] = value * unit
        for axis in range(3):
            added = along(added, axis)
        for vector, value in block.vectors:
            added = added + value * unit * (correction.vectors[vector] / 128)
        part += target * added

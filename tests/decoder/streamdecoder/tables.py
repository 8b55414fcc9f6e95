"""Quantiser indices by tables (section 8): tokens in classes, under frequencies that follow what was coded."""

from functools import cache
from pathlib import Path

import numpy as np

from .bands import Band
from .coder import Decoder
from .data import Corrupt, Reader, require
from .indices import BLOCK, Context, IndexCoder, Plane, cut_class

FILE = Path(__file__).parents[3] / "src/residual/tables.bin"
SIZES = (8, 4, 4, 4, 6, 6, 8, 8, 10, 10, 12, 14, 16, 18, 20, 24, 24, 64, 64, 64, 64, 64, 64, 64)
TOTAL = 4096
LEAST_STATE = 1 << 16
PATIENCE = 1024
MEMORY = 1 << 14
MOST_ONES = 52


def token_range(token: int) -> tuple[int, int]:
    """The least magnitude of a token, and how many digits follow it."""
    if token < 8:
        return token, 0
    half = token - 8
    return (2 + half % 2) << (half // 2 + 2), half // 2 + 2


@cache
def starting_counts() -> tuple[tuple[int, ...], ...]:
    data = FILE.read_bytes()
    if len(data) != sum(SIZES):
        raise ValueError(f"{FILE} has {len(data)} bytes in place of {sum(SIZES)}")
    starts = [sum(SIZES[:k]) for k in range(len(SIZES))]
    return tuple(tuple(data[at : at + size]) for at, size in zip(starts, SIZES, strict=True))


class Table:
    """The frequencies of one class."""

    def __init__(self, counts: tuple[int, ...]) -> None:
        self.counts = list(counts)
        self.fresh = [0] * len(counts)
        self._make()

    def _make(self) -> None:
        size = len(self.counts)
        self.made_at = sum(self.counts)
        scale = ((TOTAL - size) << 32) // max(self.made_at, 1)
        self.frequencies = [1 + (count * scale >> 32) for count in self.counts]
        self.frequencies[self.counts.index(max(self.counts))] += TOTAL - sum(self.frequencies)
        self.low = [sum(self.frequencies[:token]) for token in range(size)]
        self.slots = [token for token, frequency in enumerate(self.frequencies) for _ in range(frequency)]

    def look_through(self) -> None:
        self.counts = [count + fresh for count, fresh in zip(self.counts, self.fresh, strict=True)]
        self.fresh = [0] * len(self.counts)
        total = sum(self.counts)
        if total - self.made_at < self.made_at // 2 + 16:
            return
        if total > MEMORY:
            self.counts = [(count + 1) // 2 for count in self.counts]
        self._make()


class WindowCode:
    """The tokens and raw bits of one window."""

    def __init__(self, reader: Reader) -> None:
        states = reader.u8()
        require(states in (1, 8), f"{states} states")
        words, length = reader.varint(), reader.varint()
        self.states = [reader.u32() for _ in range(states)]
        require(min(self.states) >= LEAST_STATE, "a state is below the least")
        data = reader.take(2 * words)
        self.words = [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2)]
        self.next = 0
        self.length = length
        self.bits = int.from_bytes(reader.take(length), "little")
        self.read = 0

    def token(self, table: Table, place: int) -> int:
        number = place % len(self.states)
        state = self.states[number]
        slot = state % TOTAL
        token = table.slots[slot]
        state = table.frequencies[token] * (state // TOTAL) + slot - table.low[token]
        if state < LEAST_STATE:
            word = self.words[self.next] if self.next < len(self.words) else 0
            self.next += 1
            state = state << 16 | word
        self.states[number] = state
        table.fresh[token] += 1
        return token

    def raw(self, count: int) -> int:
        value = self.bits >> self.read & ((1 << count) - 1)
        self.read += count
        return value

    def finish(self) -> None:
        sound = self.next == len(self.words) and all(state == LEAST_STATE for state in self.states)
        require(sound, "a window's tokens do not end where their code does")
        require((self.read + 7) // 8 == self.length, "raw bits do not end where their bytes do")


class TableCoder(IndexCoder):
    """All adaptive state of the indices of a segment, and its byte string."""

    def __init__(self, bands: list[Band], data: bytes) -> None:
        super().__init__(bands, mixing=True)
        self.reader = Reader(data)
        self.flag_code = Decoder(self.reader.take(self.reader.varint()))
        self.tables = [Table(counts) for counts in starting_counts()]
        self.patience = PATIENCE

    def decode(self, planes: list[Plane], contexts: list[Context], out: np.ndarray) -> None:
        """Decodes the indices of a window's planes into `out` [planes][height][width]."""
        self.code = WindowCode(self.reader)
        self.window(self.flag_code, planes, contexts, out)
        self.code.finish()
        self.flag_code.check()

    def finish(self) -> None:
        self.reader.done("the windows' indices")
        self.flag_code.finish("flags of blocks")

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
        """A strip: the points of one row of one block."""
        places = range(bx * BLOCK, min((bx + 1) * BLOCK, band.width))
        sums = [self._sum(number, band, plane, context, y, x) for x in places]
        count = len(sums)
        tokens, classes = [0] * count, [0] * count
        for place in range(0, count, 2):
            classes[place] = cut_class(sums[place])
            tokens[place] = self.code.token(self.tables[classes[place]], place // 2)
        self._learn((count + 1) // 2)
        for place in range(1, count, 2):
            west = min(token_range(tokens[place - 1])[0], 255)
            east = min(token_range(tokens[place + 1])[0], 255) if place + 1 < count else west
            classes[place] = cut_class(5 * sums[place] // 8 + 8 * (west + east))
            tokens[place] = self.code.token(self.tables[classes[place]], 4 + place // 2)
        self._learn(count // 2)
        magnitudes = [self._magnitude_of(token, kind) for token, kind in zip(tokens, classes, strict=True)]
        for x, magnitude in zip(places, magnitudes, strict=True):
            if magnitude:
                require(magnitude < 1 << 63, "an index is larger than any that is coded")
                out[y, x] = -magnitude if self.code.raw(1) else magnitude
                plane.magnitudes[number][(y + 2) * plane.strides[number] + x + 2] = min(magnitude, 255)

    def _sum(self, number: int, band: Band, plane: Plane, context: Context, y: int, x: int) -> int:
        m, stride = plane.magnitudes[number], plane.strides[number]
        north = (y + 1) * stride + x + 2
        total = 8 * m[north] + 4 * (m[north - 1] + m[north + 1]) + 2 * m[north - stride]
        if context.near:
            centre, cross = context.near.cross(number, y, x)
            total += 2 * (4 * centre + cross)
        if context.far:
            centre, cross = context.far.cross(number, y, x)
            total += (4 * centre + cross) // 4
        if band.parent is not None:
            above = self.bands[band.parent]
            centre, cross = plane.cross(band.parent, min(y // 2, above.height - 1), min(x // 2, above.width - 1))
            total += (4 * centre + cross) // 4
        return min(total, 4095)

    def _learn(self, count: int) -> None:
        self.patience -= count
        if self.patience <= 0:
            self.patience = PATIENCE
            for table in self.tables:
                table.look_through()

    def _magnitude_of(self, token: int, kind: int) -> int:
        least, digits = token_range(token)
        if token + 1 < SIZES[kind]:
            return least + self.code.raw(digits)
        log = 0
        while self.code.raw(1):
            log += 1
            if log > MOST_ONES:
                raise Corrupt("an escape is longer than any that is coded")
        return least + (self.code.raw(log) | 1 << log) - 1

"""Masks (section 9): which points hold special patterns."""

import numpy as np

from .coder import Counters, Decoder, Mixer, clamp, squash, stretch
from .data import FEW_PATTERNS, require

LIMIT = 250
SIDE = 2


class MaskCoder:
    """All adaptive state of a segment's masks, and its last frame."""

    def __init__(self, height: int, width: int, patterns: int) -> None:
        self.height, self.width, self.patterns = height, width, patterns
        self.any = Counters(2)
        self.last_any = 0
        self.same = Counters(2)
        self.same.set(1, 60000, 2)
        self.last_same = 0
        self.empty = Counters(6)
        self.special = [Counters(1 << 8), Counters(1 << 12), Counters(1 << 14)]
        for k in range(2):
            for ahead in range(8):
                for near in range(16):
                    self._vote(k, ahead, near)
        self.mixer = Mixer([[26214] * 4 for _ in range(32)], 4)
        self.bits = 4 if patterns <= FEW_PATTERNS else 8
        self.classes = Counters(1 << 2 * self.bits)
        self.last: np.ndarray | None = None
        """The frame before, with a margin."""

    def _vote(self, k: int, ahead: int, near: int) -> None:
        v = sum(weight * (near >> i & 1) for i, weight in enumerate((3, 3, 1, 1)))
        v += k * sum(weight * (ahead >> i & 1) for i, weight in enumerate((16, 2, 2)))
        total = 8 + 20 * k
        self.special[0].set(k << 7 | ahead << 4 | near, 65536 * (4 * v + 1) // (4 * total + 2), 2)

    def window(self, decoder: Decoder, count: int) -> np.ndarray:
        """The classes of `count` frames."""
        out = np.zeros((count, self.height, self.width), np.uint8)
        self.last_any = decoder.counted(self.any, self.last_any, LIMIT)
        margin = ((SIDE, SIDE), (SIDE, SIDE))
        if not self.last_any:
            self.last = np.pad(out[-1], margin)
            return out
        for frame in out:
            if self.last is not None:
                self.last_same = decoder.counted(self.same, self.last_same, LIMIT)
                if self.last_same:
                    frame[:] = self.last[SIDE:-SIDE, SIDE:-SIDE]
                    continue
            padded = self._frame(decoder)
            frame[:] = padded[SIDE:-SIDE, SIDE:-SIDE]
            self.last = padded
        return out

    def _frame(self, decoder: Decoder) -> np.ndarray:
        own = np.zeros((self.height + 2 * SIDE, self.width + 2 * SIDE), np.uint8)
        above = 1
        for y in range(SIDE, SIDE + self.height):
            before = 2 if self.last is None else int(not self.last[y].any())
            above = decoder.counted(self.empty, 2 * before + above, LIMIT)
            if above:
                continue
            for x in range(SIDE, SIDE + self.width):
                if self._special(decoder, own, y, x):
                    own[y, x] = self._class(decoder, own, y, x) if self.patterns > 1 else 1
        return own

    def _special(self, decoder: Decoder, own: np.ndarray, y: int, x: int) -> int:
        def bits(frame: np.ndarray | None, *places: tuple[int, int]) -> int:
            if frame is None:
                return 0
            return sum(int(frame[y + dy, x + dx] != 0) << i for i, (dy, dx) in enumerate(places))

        last = self.last
        near = bits(own, (0, -1), (-1, 0), (-1, -1), (-1, 1))
        here = bits(last, (0, 0))
        ahead = bits(last, (0, 0), (0, 1), (1, 0))
        wide = bits(own, (0, -2), (-2, 0), (-1, -2), (-1, 2), (-2, -1), (-2, 1))
        around = bits(last, (0, -1), (-1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
        k = int(last is not None)
        at = [
            k << 7 | ahead << 4 | near,
            k << 11 | here << 10 | wide << 4 | near,
            k << 13 | around << 7 | ahead << 4 | near,
        ]
        chosen = k << 4 | here << 3 | (near & 3) << 1 | near >> 3
        inputs = [stretch(table.p1(index)) for table, index in zip(self.special, at, strict=True)] + [256]
        mixed = self.mixer.mix(inputs, chosen)
        bit = decoder.bit(clamp(squash(mixed), 16, 65520))
        self.mixer.update(inputs, chosen, mixed, bit)
        for table, index in zip(self.special, at, strict=True):
            table.update(index, bit, LIMIT)
        return bit

    def _class(self, decoder: Decoder, own: np.ndarray, y: int, x: int) -> int:
        known = [] if self.last is None else [self.last[y, x]]
        known += [own[y, x - 1], own[y - 1, x], own[y - 1, x - 1], own[y - 1, x + 1]]
        context = next((int(c) for c in known if c), 0)
        kind = decoder.tree(self.classes, context << self.bits, self.bits, LIMIT)
        require(1 <= kind <= self.patterns, f"a masked point of class {kind} of {self.patterns}")
        return kind

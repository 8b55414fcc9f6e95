"""The arithmetic coder, its counters and its mixers (section 6)."""

import math

from .data import Corrupt

HALF = 32768
RATE = [131072 // (2 * n + 3) for n in range(256)]
LARGEST = (1 << 22) - 1
FRESH = 1 << 21
REACH = 2815
SLACK = 64
"""More zeros behind its end than any sound code needs."""


def _stretch(p: int) -> int:
    q = (p + 0.5) / 4096
    return round(256 * math.log(q / (1 - q)))


def _squash(x: int) -> int:
    return min(max(math.floor(65536 / (1 + math.exp(-x / 256)) + 0.5), 1), 65535)


STRETCH = [_stretch(p) for p in range(4096)]
SQUASH = [_squash(x) for x in range(-REACH, REACH + 1)]


def clamp(value: int, low: int, high: int) -> int:
    return low if value < low else high if value > high else value


def stretch(p1: int) -> int:
    return STRETCH[p1 >> 4]


def squash(x: int) -> int:
    return SQUASH[clamp(x, -REACH, REACH) + REACH]


def probability(a: int, b: int) -> int:
    """Of two mixes."""
    return clamp(squash((a + b) >> 1), 16, 65520)


class Counters:
    """A table of counters."""

    def __init__(self, size: int) -> None:
        self.p = [FRESH] * size
        self.n = [0] * size

    def set(self, index: int, probability: int, count: int) -> None:
        """`Counter(a, b)`."""
        self.p[index] = 64 * probability
        self.n[index] = count

    def p1(self, index: int) -> int:
        return clamp(self.p[index] >> 6, 16, 65520)

    def update(self, index: int, bit: int, limit: int) -> None:
        n = self.n[index]
        p = self.p[index]
        self.p[index] = p + (((LARGEST if bit else 0) - p) * RATE[n] >> 16)
        if n < limit:
            self.n[index] = n + 1


class Mixer:
    """Sets of weights, one of which a context picks."""

    def __init__(self, sets: list[list[int]], rate: int) -> None:
        self.sets = sets
        self.rate = rate

    def mix(self, inputs: list[int], context: int) -> int:
        total = 0
        for weight, value in zip(self.sets[context], inputs, strict=True):
            total += weight * value >> 4
        return clamp(total >> 12, -REACH, REACH)

    def update(self, inputs: list[int], context: int, mixed: int, bit: int) -> None:
        error = ((bit << 16) - SQUASH[mixed + REACH]) * self.rate >> 4
        weights = self.sets[context]
        for k, value in enumerate(inputs):
            weights[k] = clamp(weights[k] + ((value * error + 32768) >> 16), -(1 << 18), 1 << 18)


class Decoder:
    """The decoder of one byte string."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
        self.at = 4
        self.low = 0
        self.high = (1 << 32) - 1

    def bit(self, p1: int) -> int:
        """A bit that is 1 with probability `p1` / 65536."""
        low, high = self.low, self.high
        mid = low + ((high - low) * p1 >> 16)
        if self.code <= mid:
            bit, high = 1, mid
        else:
            bit, low = 0, mid + 1
        while not (low ^ high) & 0xFF000000:
            low = low << 8 & 0xFFFFFFFF
            high = high << 8 & 0xFFFFFFFF | 255
            byte = self.data[self.at] if self.at < len(self.data) else 0
            self.code = self.code << 8 & 0xFFFFFFFF | byte
            self.at += 1
        self.low, self.high = low, high
        return bit

    def raw(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | self.bit(HALF)
        return value

    def counted(self, counters: Counters, index: int, limit: int) -> int:
        """A bit under a counter, which learns it."""
        bit = self.bit(counters.p1(index))
        counters.update(index, bit, limit)
        return bit

    def tree(self, counters: Counters, base: int, bits: int, limit: int) -> int:
        node = 1
        for _ in range(bits):
            node = 2 * node + self.counted(counters, base + node, limit)
        return node - (1 << bits)

    def exponent(self, counters: Counters, base: int, limit: int, most: int) -> int:
        """A number in unary: a 1 for every one more."""
        exponent = 0
        while self.counted(counters, base + exponent, limit):
            exponent += 1
            if exponent > most:
                raise Corrupt(f"an exponent is above {most}")
        return exponent

    def check(self) -> None:
        """Refuses to go on far behind the end, where damaged bytes could ask for any number of symbols."""
        if self.at > len(self.data) + SLACK:
            raise Corrupt("a code ends early")

    def finish(self, what: str) -> None:
        """After the last symbol: all bytes must have been read."""
        if self.at < len(self.data):
            raise Corrupt(f"{len(self.data) - self.at} bytes of {what} are left")

"""Streams drawn from the format itself: every bit is drawn with about the probability that its context gives it.

So parts are reached that encoders use rarely: stored vectors and exact blocks, stored points, masks of many classes,
and large steps. What decodes here, the tool must decode to the same bits.

`FIELDPRESS_TOOL` names the tool; without it they are left out. `FIELDPRESS_EXAMPLES` is how many streams are drawn.
"""

import os
import random
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sealing import same, seal, varint
from streamdecoder import Corrupt, decode
from streamdecoder import segment as module
from streamdecoder.blocks import EXACT
from streamdecoder.coder import Counters, Decoder
from streamdecoder.cut import segments
from streamdecoder.data import Reader
from streamdecoder.header import ABS, BLOCK_L2, NRMSE, REL, Header, read_header
from streamdecoder.pointwise import CHANCE

TOOL = os.environ.get("FIELDPRESS_TOOL")
EXAMPLES = int(os.environ.get("FIELDPRESS_EXAMPLES", "150"))
SPECIALS = (float("nan"), float("inf"), float("-inf"), -9999.0, 1e20)

pytestmark = pytest.mark.skipif(not TOOL, reason="FIELDPRESS_TOOL names no tool")


class Drawing(Decoder):
    """In place of a decoder: draws each bit, and keeps the bytes that decode to what was drawn."""

    def __init__(self, chance: random.Random, likely: float, patterns: int) -> None:
        super().__init__(b"")
        self.chance, self.likely, self.patterns = chance, likely, patterns
        self.bytes = bytearray()
        self.wanted: list[int] = []
        """Bits that are not drawn, the next one last."""

    def want(self, number: int, bits: int) -> None:
        self.wanted = [number >> k & 1 for k in range(bits)]

    def tree(self, counters: Counters, base: int, bits: int, limit: int) -> int:
        """Weights, centroids and classes within their ranges."""
        least, most = {7: (32, 96), 6: (1, 63), 4: (1, max(1, self.patterns)), 8: (1, self.patterns)}[bits]
        self.want(self.chance.randint(least, most), bits)
        return super().tree(counters, base, bits, limit)

    def raw(self, count: int) -> int:
        """Numbers of vectors, of stored points and their places are small: few others are in their ranges."""
        if count in (7, 40):
            self.want(self.chance.choice([0, 0, 1, 2]), count)
        return super().raw(count)

    def counted(self, counters: Counters, index: int, limit: int) -> int:
        """Some blocks are refined until their values are stored."""
        if len(counters.p) == EXACT and index == 0 and self.chance.random() < 0.05:
            self.wanted = [1] * EXACT
        return super().counted(counters, index, limit)

    def bit(self, p1: int) -> int:
        # Whether points are corrected at all is made likely.
        share = 0.8 if p1 == CHANCE else p1 / 65536
        drawn = self.chance.random() < (share if self.chance.random() < self.likely else 0.5)
        bit = self.wanted.pop() if self.wanted else int(drawn)
        mid = self.low + ((self.high - self.low) * p1 >> 16)
        if bit:
            self.high = mid
        else:
            self.low = mid + 1
        while not (self.low ^ self.high) & 0xFF000000:
            self.bytes.append(self.low >> 24)
            self.low = self.low << 8 & 0xFFFFFFFF
            self.high = self.high << 8 & 0xFFFFFFFF | 255
        return bit

    def finish(self, what: str) -> None:
        self.bytes += self.low.to_bytes(4, "big")

    def check(self) -> None:
        if len(self.bytes) > 30_000:
            raise Corrupt("more is drawn than is wanted")


def header_of(chance: random.Random) -> bytes:
    """A header of segments."""
    double = chance.random() < 0.5
    version = chance.choice([1, 4])
    room, shape = 1500, []
    for _ in range(chance.choice([1, 2, 3, 3, 3, 4])):
        shape.append(max(1, int(min(room, 40) ** chance.random())))
        room //= shape[-1]
    chance.shuffle(shape)
    bound = chance.choice([ABS, REL, NRMSE, BLOCK_L2])
    if chance.random() < 0.15:
        # Enough blocks that some have vectors.
        shape, bound = [9, 16, 25], BLOCK_L2
    out = b"FPRS" + struct.pack("<HBB", version, double, len(shape)) + b"".join(map(varint, shape))
    if len(shape) > 2 and chance.random() < 0.4:
        out += bytes([1, *chance.sample(range(len(shape)), 3)])
    else:
        out += b"\0"
    out += struct.pack("<B4dB", bound, 10.0 ** chance.uniform(-3, 2), 1e-3, 0.5, 7.0, 2)
    low = chance.uniform(-1000, 900)
    out += struct.pack("<dh2d", low + 50, chance.choice([-3, 0, 4, 7]), low, low + 10.0 ** chance.uniform(0, 3))
    working, named = chance.random() < 0.5, chance.random() < 0.5
    out += bytes([working | named << 2 | (version == 4) << 3])
    if named:
        out += struct.pack("<H", chance.randrange(1, 20))
    specials = chance.sample(SPECIALS, chance.choice([0, 0, 1, 2, 5]))
    out += bytes([len(specials)]) + b"".join(struct.pack("<d" if double else "<f", value) for value in specials)
    return out + b"\0"


def section_of(header: Header, segment: module.Segment, chance: random.Random, monkey: pytest.MonkeyPatch) -> bytes:
    """A segment's section, drawn."""
    way = chance.choice([0, 1, 1, 2, 2])
    window = chance.choice([1, 2, 4, 7, 8, 16, 32])
    flags = way | 16 * chance.randrange(2)
    front = struct.pack("<BBh", window, chance.choice([0, 8, 255]), chance.randrange(-2600, 300))
    if chance.random() < 0.3 and window <= 8:
        flags |= 32
        grid = np.random.default_rng(chance.randrange(1 << 32)).integers(-2047, 2047, (window, window))
        front += (grid // 4 + 1500 * np.eye(window, dtype=int)).astype("<i2").tobytes()
    front = bytes([flags]) + front
    corrected = header.bound != NRMSE and chance.random() < 0.7
    drawn: list[Drawing] = []

    def draw(_: bytes) -> Drawing:
        assert header.segments is not None
        drawn.append(Drawing(chance, chance.choice([1.0, 0.99, 0.9]), len(header.segments.specials)))
        return drawn[-1]

    placeholder = front + bytes([0, 0, 0, 0, int(corrected)]) + b"x" * corrected
    with monkey.context() as context:
        context.setattr(module, "Decoder", draw)
        module.SegmentDecoder(placeholder, segment, header, None).decode()
    side, coefficients, mask, corrections = (bytes(one.bytes) for one in drawn)
    parts = [side, mask if header.segments and header.segments.specials else b"", b"", coefficients]
    parts.append(corrections if corrected else b"")
    return front + b"".join(varint(len(part)) for part in parts) + b"".join(parts)


def test_the_tool_decodes_what_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert TOOL is not None
    chance = random.Random(int(os.environ.get("FIELDPRESS_SEED", "7")))
    stream, out = tmp_path / "x.fp", tmp_path / "x.npy"
    decoded = 0
    for _ in range(EXAMPLES):
        head = header_of(chance)
        header = read_header(Reader(head))
        assert header.segments is not None
        with np.errstate(all="ignore"):
            try:
                sections = [
                    section_of(header, segment, chance, monkeypatch)
                    for segment in segments(header, header.segments.frames)
                ]
            except Corrupt:
                # Drawn out of a range.
                continue
            data = seal(head, sections)
            values = decode(data).values
        stream.write_bytes(data)
        command = [TOOL, "decompress", str(stream), "-o", str(out), "--threads", "1"]
        tool = subprocess.run(command, capture_output=True, text=True, check=False)
        assert tool.returncode == 0, f"{tool.stderr}; {data.hex()}"
        assert same(values, np.load(out)), data.hex()
        decoded += 1
    assert decoded > EXAMPLES // 4

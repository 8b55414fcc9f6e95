"""The counters and mixers that a segment's indices start from (section 8, priors)."""

import struct
from functools import cache
from pathlib import Path

from .coder import Counters

FILE = Path(__file__).parents[3] / "src/residual/priors.bin"
SIZES = {
    "block": 720,
    "z0": 576,
    "z1": 3072,
    "z2": 1024,
    "z3": 729,
    "z4": 1536,
    "z5": 1728,
    "u0": 512,
    "u1": 2048,
    "u2": 4096,
    "u3": 1024,
    "e0": 2048,
    "e1": 1536,
    "m": 256,
    "x": 64,
}
MIXERS = {"zero_band": 32, "zero_all": 32, "more_bin": 16, "more_all": 32}
INPUTS = 7


@cache
def _stored() -> tuple[dict[str, list[tuple[int, int]]], dict[str, list[tuple[int, ...]]]]:
    data = FILE.read_bytes()
    at = 0
    counters = {}
    for name, size in SIZES.items():
        counters[name] = list(struct.iter_unpack("<HB", data[at : at + 3 * size]))
        at += 3 * size
    mixers = {}
    for name, size in MIXERS.items():
        mixers[name] = list(struct.iter_unpack(f"<{INPUTS}i", data[at : at + 4 * INPUTS * size]))
        at += 4 * INPUTS * size
    if at != len(data):
        raise ValueError(f"{FILE} has {len(data)} bytes in place of {at}")
    return counters, mixers


def counters(name: str) -> Counters:
    stored = _stored()[0][name]
    table = Counters(len(stored))
    for index, (p, n) in enumerate(stored):
        table.set(index, p, n)
    return table


def weights(name: str) -> list[list[int]]:
    return [list(row) for row in _stored()[1][name]]

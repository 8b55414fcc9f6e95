"""Fields that are held by logarithms (section 18)."""

from decimal import Decimal, localcontext

import numpy as np

from .coder import Counters, Decoder, Mixer, probability, stretch
from .data import Reader, require

SIGNS_VALUES = 1 << 20
LIMIT = 250
BIAS = 256
TERMS = 14
MOST = 1100.0


def _series() -> list[float]:
    with localcontext() as context:
        context.prec = 60
        factor, out = Decimal(1), []
        for k in range(TERMS):
            out.append(float(factor))
            factor *= Decimal(2).ln() / (k + 1)
        return out


SERIES = _series()


def powers(exponents: np.ndarray) -> np.ndarray:
    """2^e of each, in f64."""
    e = np.clip(exponents.astype(np.float64), -MOST, MOST)
    whole = np.rint(e)
    rest = e - whole
    total = np.zeros_like(e)
    for factor in reversed(SERIES):
        total = total * rest + factor
    whole = whole.astype(np.int64)
    part = whole >> 1
    return total * np.ldexp(1.0, part) * np.ldexp(1.0, whole - part)


def distances(shape: tuple[int, ...]) -> tuple[list[int], list[int], list[int]]:
    r = shape[-1]
    f = r * (shape[-2] if len(shape) > 1 else 1)
    near = [1, r, f]
    rows = [1, 2, 3, r - 1, r, r + 1, r + 2, 2 * r]
    frames = [1, r - 1, r, r + 1, f - 1, f, f + 1, f - r, f + r, 2 * f]
    return near, rows, frames


def read_signs(code: bytes, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """1 where a value is negative."""
    decoder = Decoder(code)
    around = distances(shape)
    tables = [Counters(1 << len(ways)) for ways in around]
    mixer = Mixer([[26214] * 4 for _ in range(8)], 3)
    signs = bytearray(count)
    for at in range(count):
        places = []
        for ways in around:
            place = 0
            for distance in ways:
                place = place << 1 | (signs[at - distance] if 0 < distance <= at else 0)
            places.append(place)
        inputs = [stretch(table.p1(place)) for table, place in zip(tables, places, strict=True)] + [BIAS]
        mixed = mixer.mix(inputs, places[0])
        bit = decoder.bit(probability(mixed, mixed))
        signs[at] = bit
        mixer.update(inputs, places[0], mixed, bit)
        for table, place in zip(tables, places, strict=True):
            table.update(place, bit, LIMIT)
    decoder.finish("the signs")
    return np.frombuffer(bytes(signs), np.uint8)


def restore(
    logarithms: np.ndarray, sections: list[bytes], patterns: list[bytes], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """The values, in C order, of their logarithms and the sections beside them."""
    known = np.array([np.frombuffer(bits, dtype)[0] for bits in patterns], dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        values = powers(logarithms)
        for k, section in enumerate(sections):
            part = values[k * SIGNS_VALUES : (k + 1) * SIGNS_VALUES]
            signs, _ = read_side(section, len(part), shape, dtype)
            part *= 1.0 - 2.0 * signs
        values = values.astype(dtype)
    marks = np.isnan(logarithms)
    classes = logarithms.view(f"<u{logarithms.itemsize}")[marks] & 255
    require(bool((classes < len(known)).all()), "a logarithm stands for a pattern that there is not")
    values[marks] = known[classes] if len(known) else 0
    for k, section in enumerate(sections):
        part = values[k * SIGNS_VALUES : (k + 1) * SIGNS_VALUES]
        _, kept = read_side(section, len(part), shape, dtype, with_signs=False)
        for place, bits in kept:
            part[place] = np.frombuffer(bits, dtype)[0]
    return values


def read_side(
    section: bytes, count: int, shape: tuple[int, ...], dtype: np.dtype, *, with_signs: bool = True
) -> tuple[np.ndarray, list[tuple[int, bytes]]]:
    """The signs of `count` values, and those values that are kept."""
    signs = np.zeros(count, np.uint8)
    kept: list[tuple[int, bytes]] = []
    if not section:
        return signs, kept
    reader = Reader(section)
    code = reader.take(reader.varint())
    if code and with_signs:
        signs = read_signs(code, count, shape)
    place = 0
    while reader.left():
        place += reader.varint()
        require(place < count, "a value that is kept lies behind its section")
        kept.append((place, reader.take(dtype.itemsize)))
        place += 1
    return signs, kept

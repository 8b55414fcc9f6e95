"""Lossless sections (section 4)."""

import numpy as np
from pcodec import wrapped

from .coder import Counters, Decoder
from .data import Corrupt, Reader, Unsupported, require

PCO_HEADER = bytes([4, 1])
CHUNK_VALUES = 1 << 18
RECENT = 4
LIMIT = 60
MOST_BITS = 31


def decode_section(section: bytes, count: int, dtype: np.dtype) -> np.ndarray:
    """The `count` values of one section."""
    reader = Reader(section)
    method = reader.u8()
    if method == 0:
        values = np.frombuffer(reader.take(count * dtype.itemsize), dtype)
    elif method == 1:
        values = np.zeros(count, dtype)
        for first in range(0, count, CHUNK_VALUES):
            part = values[first : first + CHUNK_VALUES]
            part[:] = decode_chunk(reader.take(reader.u32()), len(part), dtype)
    else:
        raise Unsupported(f"lossless method {method}")
    reader.done("a lossless section")
    return values


def decode_chunk(chunk: bytes, count: int, dtype: np.dtype) -> np.ndarray:
    size = count * dtype.itemsize
    require(len(chunk) <= size, "a chunk is longer than its values")
    if len(chunk) == size:
        return np.frombuffer(chunk, dtype)
    values = np.zeros(count, dtype)
    try:
        file, _ = wrapped.FileDecompressor.new(PCO_HEADER)
        meta, used = file.chunk_decompressor(chunk, "f32" if dtype.itemsize == 4 else "f64")
        progress, page = meta.read_page_into(chunk[used:], count, values)
    except RuntimeError as error:
        raise Corrupt(f"pco: {error}") from None
    require(progress.finished and used + page == len(chunk), "a pco page has another length")
    return values


class Numbers:
    """The tables that numbers are coded under."""

    def __init__(self) -> None:
        self.length = Counters(MOST_BITS + 1)
        self.bits = Counters((MOST_BITS + 1) * 8)

    def read(self, decoder: Decoder) -> int:
        length = decoder.exponent(self.length, 0, LIMIT, MOST_BITS)
        number = 1
        for _ in range(min(length, 3)):
            number = 2 * number + decoder.counted(self.bits, 8 * length + number, LIMIT)
        rest = max(length - 3, 0)
        return (number << rest | decoder.raw(rest)) - 1


def decode_repeats(section: bytes, count: int, dtype: np.dtype) -> np.ndarray:
    """The `count` values of one section, some of which are copies of others."""
    reader = Reader(section)
    fresh, length = reader.u32(), reader.u32()
    require(fresh <= count, f"{fresh} new values of {count}")
    decoder = Decoder(reader.take(length))
    new = decode_section(reader.take(reader.left()), fresh, dtype)
    values = np.zeros(count, dtype)
    counts = [Numbers() for _ in range(RECENT + 1)]
    before = [Numbers() for _ in range(RECENT + 1)]
    distances, which = Numbers(), [Counters(RECENT) for _ in range(RECENT + 1)]
    recent, context, at, used = [1] * RECENT, 0, 0, 0
    while at < count:
        run = before[context].read(decoder)
        require(run <= min(fresh - used, count - at), "new values beyond the section's")
        values[at : at + run] = new[used : used + run]
        at, used = at + run, used + run
        if at == count:
            break
        kind = 0
        while kind < RECENT and decoder.counted(which[context], kind, LIMIT):
            kind += 1
        distance = recent[kind] if kind < RECENT else distances.read(decoder) + 1
        run = counts[kind].read(decoder) + 1
        require(distance <= at and run <= count - at, "a copy leads out of the section")
        decoder.check()
        copy(values, at, distance, run)
        at += run
        del recent[recent.index(distance) if distance in recent else RECENT - 1]
        recent.insert(0, distance)
        context = kind
    require(used == fresh, "new values are left over")
    decoder.finish("the code of copies")
    return values


def copy(values: np.ndarray, at: int, distance: int, count: int) -> None:
    """Copies values from `distance` before; those of an overlap repeat."""
    source = values[at - distance : at]
    values[at : at + count] = np.resize(source, count)

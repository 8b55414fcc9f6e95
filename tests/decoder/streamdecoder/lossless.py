"""Lossless sections (section 4)."""

import numpy as np
from pcodec import wrapped

from .data import Corrupt, Reader, Unsupported, require

PCO_HEADER = bytes([4, 1])


def decode_section(section: bytes, count: int, dtype: np.dtype) -> np.ndarray:
    """The `count` values of one section."""
    reader = Reader(section)
    method = reader.u8()
    if method == 0:
        values = np.frombuffer(reader.take(count * dtype.itemsize), dtype)
    elif method == 1:
        chunk = reader.take(reader.u32())
        values = decode_chunk(chunk, count, dtype)
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

"""Sealing streams that a test has made or changed, and comparing what they decode to."""

import struct

import numpy as np

from streamdecoder.data import crc


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def seal(head: bytes, sections: list[bytes]) -> bytes:
    """A stream of a header and sections, with their table and checksums."""
    front = head + b"".join(varint(len(section)) + struct.pack("<I", crc(section)) for section in sections)
    return front + struct.pack("<I", crc(front)) + b"".join(sections)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Bit for bit, but for NaNs: which NaN arithmetic makes differs from machine to machine."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    kind = f"<u{a.dtype.itemsize}"
    return bool(((a.view(kind) == b.view(kind)) | (np.isnan(a) & np.isnan(b))).all())

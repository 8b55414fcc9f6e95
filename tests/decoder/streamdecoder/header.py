"""The stream's outer structure (sections 2 and 3): header, table, checksum, sections."""

import math
import struct
from dataclasses import dataclass, field

import numpy as np

from .data import FEW_PATTERNS, Reader, Unsupported, crc, require

CONSTANT, LOSSLESS, SEGMENTS, RAW, REPEATS, LOGARITHMS = range(6)
ABS, REL, NRMSE, PSNR, BLOCK_L2, LOSSLESS_BOUND, PW_REL = range(7)
BOUNDS = ("abs", "rel", "nrmse", "psnr", "block_l2", "lossless", "pw_rel")
SECTION_VALUES = 1 << 18
REPEATS_VALUES = 1 << 24
DEFAULT_FRAMES = 128


def power(exponent: int) -> float:
    """2^exponent: infinite or 0 outside of f64's range."""
    return math.ldexp(1.0, exponent) if exponent < 1024 else math.inf


@dataclass
class Normalisation:
    """How working units become the field's, and what streams of segments share."""

    mean: float
    mean_before: float
    """What a frame before the field has in place of the mean."""
    exponent: int
    low: float
    high: float
    working: type[np.floating]
    follows: bool
    before: int
    """The crc of the frame that the stream follows; 0 where it is not checked."""
    frames: int
    """Frames of a segment."""
    specials: list[bytes]
    model: str | None
    model_hash: bytes
    clamped: bool
    """Whether points are clamped after their corrections, too."""

    @property
    def scale(self) -> float:
        return power(self.exponent)


@dataclass
class Header:
    """What a stream says of its field."""

    version: int
    dtype: np.dtype
    shape: tuple[int, ...]
    axes: tuple[int, ...] | None
    """Frames, planes where they are volumes, rows and columns."""
    bound: int
    bound_value: float
    nrmse: float
    largest_error: float
    range: float
    content: int
    constant: bytes = b""
    segments: Normalisation | None = field(default=None)
    masked: list[bytes] = field(default_factory=list)
    """Without segments: bits of finite values that mark points without data, which matters at reduced scales only. With
    logarithms: of all values that have none."""
    logarithms: "Header | None" = field(default=None)
    """What the stream says of the field of logarithms."""

    @property
    def values(self) -> int:
        return math.prod(self.shape)


def read_header(reader: Reader) -> Header:
    """Section 3."""
    require(reader.take(4) == b"FPRS", "not a stream")
    version = reader.u16()
    if version not in range(1, 10):
        raise Unsupported(f"format version {version}")
    kind = reader.u8()
    require(kind <= 1, f"type of values {kind}")
    dtype = np.dtype(("<f4", "<f8")[kind])
    dimensions = reader.u8()
    require(1 <= dimensions <= 5, f"{dimensions} dimensions")
    shape = tuple(reader.varint() for _ in range(dimensions))
    require(all(shape) and math.prod(shape) * 8 < 1 << 63, f"shape {shape}")
    named = reader.u8()
    require(named <= 2, f"axes {named}")
    axes = None
    if named:
        axes = tuple(reader.u8() for _ in range(2 + named))
        require(len(set(axes)) == len(axes) and max(axes) < dimensions, f"axes {axes} of {dimensions}")
    bound, bound_value = reader.u8(), reader.f64()
    if bound > PW_REL:
        raise Unsupported(f"bound {bound}")
    if bound != LOSSLESS_BOUND:
        require(math.isfinite(bound_value) and bound_value > 0, f"bound {bound_value}")
    nrmse, largest_error, value_range = reader.f64(), reader.f64(), reader.f64()
    content = reader.u8()
    if content > LOGARITHMS:
        raise Unsupported(f"content {content}")
    known = {
        1: content != REPEATS,
        2: content == SEGMENTS,
        3: content == REPEATS,
        4: content != CONSTANT,
        5: named == 2,
        6: content == SEGMENTS,
        7: content != CONSTANT,
        8: content == SEGMENTS,
        9: content in (SEGMENTS, LOGARITHMS) or bound == PW_REL,
    }
    require(known[version], f"content {content} in a stream of version {version}")
    require(version == 9 or (content != LOGARITHMS and bound != PW_REL), f"what is new in 9 in version {version}")
    require(named < 2 or version >= 5, f"frames of volumes in a stream of version {version}")
    header = Header(version, dtype, shape, axes, bound, bound_value, nrmse, largest_error, value_range, content)
    if content == CONSTANT:
        header.constant = reader.take(dtype.itemsize)
    elif content == SEGMENTS:
        header.segments = read_normalisation(reader, dtype, version)
    elif content == LOGARITHMS:
        header.masked = read_patterns(reader, dtype)
        require(reader.u8() <= len(header.masked), "more patterns of points without data than patterns")
        header.logarithms = read_logarithms(reader, header)
    elif version > 3:
        header.masked = read_patterns(reader, dtype)
        require(all(math.isfinite(np.frombuffer(m, dtype)[0]) for m in header.masked), "masked values not finite")
        require(version > 4 or header.masked, "a stream of version 4 without anything that is new in it")
    patterns = header.segments.specials if header.segments else header.masked
    many = len(patterns) > FEW_PATTERNS
    require(version > 7 or many == (version == 7), f"{len(patterns)} special patterns in version {version}")
    return header


def read_logarithms(reader: Reader, outer: Header) -> Header:
    """The header of a field of logarithms."""
    version = int.from_bytes(reader.data[reader.at + 4 : reader.at + 6], "little")
    require(version < 9, "logarithms held by logarithms")
    header = read_header(reader)
    require(header.shape == outer.shape and header.axes == outer.axes, "logarithms of another shape")
    segments = header.segments
    require(segments is None or not (segments.follows or segments.model_hash), "logarithms that do not stand alone")
    return header


def read_patterns(reader: Reader, dtype: np.dtype) -> list[bytes]:
    """The bits of masked values."""
    patterns = reader.u8()
    specials = [reader.take(dtype.itemsize) for _ in range(patterns)]
    require(len(set(specials)) == patterns, "special patterns that are the same")
    return specials


def read_normalisation(reader: Reader, dtype: np.dtype, version: int) -> Normalisation:
    """What the header has for segments."""
    mean, exponent = reader.f64(), reader.i16()
    require(math.isfinite(mean) and -1100 <= exponent <= 1100, f"mean {mean}, exponent {exponent}")
    low, high = reader.f64(), reader.f64()
    require(low <= high and math.isfinite(high - low), f"values from {low} to {high}")
    bits = reader.u8()
    known = 32 if version > 7 else 16 if version > 3 else 8
    require(bits < known and bits & 18 != 16, f"reserved bits are set: {bits:#x}")
    require(version != 4 or bits & 8, "a stream of version 4 without anything that is new in it")
    follows = bool(bits & 2)
    before = reader.u32() if follows else 0
    mean_before = reader.f64() if bits & 16 else mean
    require(
        math.isfinite(mean_before) and not (bits & 16 and struct.pack("<d", mean_before) == struct.pack("<d", mean)),
        "the mean of a frame before",
    )
    frames = reader.u16() if bits & 4 else DEFAULT_FRAMES
    require(frames > 0, "segments of no frames")
    specials = read_patterns(reader, dtype)
    length = reader.u8()
    model, model_hash = None, b""
    if length == 255:
        model = "default"
    elif length:
        model = reader.take(length).decode("utf-8", "replace")
        require("\ufffd" not in model, "the model's name is not UTF-8")
        require(not set(model) & {"/", "\\"}, f"model {model!r}")
    if length:
        model_hash = reader.take(8)
    working = np.float64 if bits & 1 else np.float32
    clamped = bool(bits & 8)
    return Normalisation(
        mean, mean_before, exponent, low, high, working, follows, before, frames, specials, model, model_hash, clamped
    )


def read_sections(data: bytes, reader: Reader, count: int) -> list[bytes]:
    """The table, the checksum of all up to it, and the sections, each compared with its own checksum."""
    require(count * 5 <= reader.left(), f"a table of {count} sections where {reader.left()} bytes are left")
    table = [(reader.varint(), reader.u32()) for _ in range(count)]
    head = crc(data[: reader.at])
    require(reader.u32() == head, "the header's checksum is another")
    sections = []
    for index, (length, checksum) in enumerate(table):
        section = reader.take(length)
        require(crc(section) == checksum, f"the checksum of section {index} is another")
        sections.append(section)
    reader.done("the last section")
    return sections

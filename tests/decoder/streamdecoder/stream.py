"""A stream: bytes to a field."""

from dataclasses import dataclass

import numpy as np

from .cut import by_series, segment_count, segments
from .cut import up as ceil_divide
from .data import NeedsModel, Reader, crc, require
from .header import (
    CONSTANT,
    LOGARITHMS,
    LOSSLESS,
    RAW,
    REPEATS,
    REPEATS_VALUES,
    SECTION_VALUES,
    Header,
    read_header,
    read_sections,
)
from .logarithms import SIGNS_VALUES, restore
from .lossless import decode_repeats, decode_section
from .segment import decode_segment


@dataclass
class Decoded:
    """A stream's header and its field."""

    header: Header
    values: np.ndarray


def section_count(header: Header) -> int:
    """How many sections follow from the header."""
    if header.content == CONSTANT:
        return 0
    if header.content == RAW:
        return 1
    if header.content == LOSSLESS:
        return ceil_divide(header.values, SECTION_VALUES)
    if header.content == REPEATS:
        return ceil_divide(header.values, REPEATS_VALUES)
    if header.logarithms is not None:
        return ceil_divide(header.values, SIGNS_VALUES) + section_count(header.logarithms)
    assert header.segments is not None
    return segment_count(header, header.segments.frames)


def inspect(data: bytes) -> tuple[Header, list[bytes]]:
    """A stream's header and sections, all checksums compared."""
    reader = Reader(data)
    header = read_header(reader)
    return header, read_sections(data, reader, section_count(header))


def decode(data: bytes, before: np.ndarray | None = None) -> Decoded:
    """A stream's field; `before` is the last frame of the stream before it in time, where it follows one.

    Where the stream needs a model, everything that does not is decoded and checked; then `NeedsModel` says why.
    """
    header, sections = inspect(data)
    return decode_sections(header, sections, before)


def decode_sections(header: Header, sections: list[bytes], before: np.ndarray | None = None) -> Decoded:
    """A field of its header and sections."""
    if header.content == LOGARITHMS:
        assert header.logarithms is not None
        beside = ceil_divide(header.values, SIGNS_VALUES)
        logarithms = decode_sections(header.logarithms, sections[beside:]).values.ravel()
        whole = restore(logarithms, sections[:beside], header.masked, header.shape, header.dtype)
        return Decoded(header, whole.reshape(header.shape))
    if header.content == CONSTANT:
        return Decoded(header, np.full(header.shape, np.frombuffer(header.constant, header.dtype)[0], header.dtype))
    if header.content == RAW:
        require(len(sections[0]) == header.values * header.dtype.itemsize, "a raw section has another length")
        return Decoded(header, np.frombuffer(sections[0], header.dtype).reshape(header.shape))
    values = np.zeros(header.values, header.dtype)
    if header.content == LOSSLESS:
        for k, section in enumerate(sections):
            part = values[k * SECTION_VALUES : (k + 1) * SECTION_VALUES]
            part[:] = decode_section(section, len(part), header.dtype)
        return Decoded(header, values.reshape(header.shape))
    if header.content == REPEATS:
        for k, section in enumerate(sections):
            part = values[k * REPEATS_VALUES : (k + 1) * REPEATS_VALUES]
            part[:] = decode_repeats(section, len(part), header.dtype)
        return Decoded(header, values.reshape(header.shape))
    values = values.reshape(header.shape)
    decode_segments(header, sections, values, before)
    return Decoded(header, values)


def decode_segments(header: Header, sections: list[bytes], values: np.ndarray, before: np.ndarray | None) -> None:
    units = header.segments
    assert units is not None
    if units.follows:
        require(before is not None, "the stream follows a frame, which is not given")
        assert before is not None
        checksum = crc(np.ascontiguousarray(before, header.dtype).tobytes())
        require(units.before in (0, checksum), "the stream follows another frame")
        before = by_series(before, header.axes)
    else:
        before = None
    view = by_series(values, header.axes)
    missing = ""
    for segment, section in zip(segments(header, units.frames), sections, strict=True):
        try:
            part = segment.of(view)
            part[...] = decode_segment(section, segment, header, before).reshape(part.shape)
        except NeedsModel as reason:
            missing = str(reason)
    if missing:
        raise NeedsModel(missing)

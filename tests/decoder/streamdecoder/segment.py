"""A segment (section 5): bytes to values, window by window."""

import math
from dataclasses import dataclass

import numpy as np

from . import blocks, closed_loop, pointwise
from .bands import bands_of
from .coder import Decoder
from .cut import Segment, up
from .data import NeedsModel, Reader, Unsupported, require
from .header import ABS, BLOCK_L2, REL, Header, Normalisation, power
from .hierarchical import Hierarchical
from .indices import BitCoder, Plane
from .mask import MaskCoder
from .maths import power_of_two
from .side import Side, SideCoder
from .tables import TableCoder
from .transform import Transform, stored_basis

TRANSFORM, PREVIOUS, HIERARCHICAL, LATENTS = range(4)
WAYS = ("transform", "previous", "hierarchical", "latents")
MODEL_SIDE = 32
MOST_OF_VOLUMES = 1 << 23


@dataclass
class Method:
    """How a segment is coded, and its byte strings."""

    way: int
    mixing: bool
    modelled: bool
    enhanced: bool
    tables: bool
    window: int
    layer_factor: int
    step: int
    noise: int
    views: int
    basis: list[int] | None
    side: bytes
    mask: bytes
    latents: bytes
    coefficients: bytes
    corrections: bytes

    @property
    def needs_model(self) -> bool:
        return self.modelled or self.enhanced or self.way == LATENTS


def read_method(section: bytes) -> Method:
    reader = Reader(section)
    first = reader.u8()
    way = first & 15
    if way > LATENTS:
        raise Unsupported(f"way {way}")
    second, layer_factor, step = reader.u8(), reader.u8(), reader.i16()
    window, tables = second & 127, second > 127
    require(not (tables and first & 16), "indices both by mixed counters and by tables")
    require(1 <= window <= 32, f"window of {window} frames")
    noise, views = 0, 0
    if first & 128:
        noise, views = reader.i16(), reader.u8()
        require(views & ~8 in (1, 4), f"views {views}")
    basis = [reader.i16() for _ in range(window * window)] if first & 32 else None
    lengths = [reader.varint() for _ in range(5)]
    parts = [reader.take(length) for length in lengths]
    reader.done("a segment")
    flags = (bool(first & 16), bool(first & 64), bool(first & 128))
    return Method(way, *flags, tables, window, layer_factor, step, noise, views, basis, *parts)


def takes_model(height: int, width: int) -> bool:
    """Whether frames are large enough for the model."""
    return up(height, MODEL_SIDE) * MODEL_SIDE * up(width, MODEL_SIDE) * MODEL_SIDE <= 4 * height * width


def decode_segment(section: bytes, segment: Segment, header: Header, before: np.ndarray | None) -> np.ndarray:
    """A segment's values [planes][height][width] in the field's type."""
    if section[:1] and section[0] & 15 == closed_loop.WAY:
        require(header.version > 1, "closed-loop prediction in a stream of version 1")
        return decode_closed_loop(section, segment, header)
    return SegmentDecoder(section, segment, header, before).decode()


def decode_closed_loop(section: bytes, segment: Segment, header: Header) -> np.ndarray:
    """A segment of closed-loop prediction (section 17)."""
    units = header.segments
    assert units is not None
    reader = Reader(section)
    parameters = closed_loop.read_parameters(reader, header.dtype)
    require(header.version > 7 or not parameters.balanced, "offsets in a stream of a version before 8")
    masks = reader.take(reader.varint())
    require(units.specials or not masks, "a mask where the field has no special patterns")
    mask, code = Decoder(masks), Decoder(reader.take(reader.left()))
    run = closed_loop.Run(parameters, code)
    height, width = segment.height, segment.width
    mask_coder = MaskCoder(height, width, len(units.specials))
    size = segment.depth if segment.depth > 1 else closed_loop.window_frames(segment.frames, height * width)
    out = []
    for first in range(0, segment.planes, size):
        count = min(size, segment.planes - first)
        classes = np.zeros((count, height, width), np.uint8)
        if units.specials:
            classes = mask_coder.window(mask, count)
        dims = closed_loop.canonical((count, height, width))
        masked = (classes != 0).ravel().tolist()
        window = closed_loop.Window(dims, header.dtype, masked, (units.low, units.high), parameters)
        values = closed_loop.decode_window(run, window).reshape(classes.shape)
        code.check()
        bits = values.view(f"<u{header.dtype.itemsize}")
        for number, pattern in enumerate(units.specials, 1):
            bits[classes == number] = int.from_bytes(pattern, "little")
        out.append(values)
    mask.finish("masks")
    code.finish("indices")
    return np.concatenate(out)


class SegmentDecoder:
    """Decodes one segment. Where it needs a model, its codes are read to the end and its values are not made."""

    def __init__(self, section: bytes, segment: Segment, header: Header, before: np.ndarray | None) -> None:
        assert header.segments is not None
        self.segment, self.header = segment, header
        self.units: Normalisation = header.segments
        self.method = read_method(section)
        require(header.version > 5 or not self.method.tables, "tables in a stream of a version before 6")
        self.working = self.units.working
        height, width = segment.height, segment.width
        if self.method.needs_model:
            require(self.units.model, "a segment uses a model that the header does not name")
            require(takes_model(height, width), "a segment uses a model on frames too small for it")
        require(self.method.way == LATENTS or not self.method.latents, "latents that the way has no use for")
        late = self.method.enhanced and self.method.corrections
        require(header.version > 8 or not late, "a segment is both enhanced and corrected before version 9")
        if segment.depth > 1:
            method = self.method
            plain = method.way == TRANSFORM and not method.modelled and method.basis is None
            require(plain, "volumes of a mode or basis that they do not have")
            window = min(method.window, segment.frames)
            points = window * segment.depth * height * width
            require(window == 1 or points <= MOST_OF_VOLUMES, "a window of volumes is too large")
        self.bands = bands_of(height, width)
        follows = before is not None and segment.first == 0
        start = self._working(segment.of(before)[0, 0]) if follows and before is not None else None
        self.way = self._way(start)
        self.limit = 1 << (22 if self.working is np.float32 else 51)

    def _way(self, before: np.ndarray | None) -> Transform | Hierarchical:
        method = self.method
        basis = None if method.basis is None else stored_basis(method.basis, method.window)
        if method.way == HIERARCHICAL:
            return Hierarchical(self.bands, self.working, method.window, before)
        return Transform(
            self.bands, self.working, method.way == PREVIOUS, method.window, basis, before, self.segment.depth
        )

    def _working(self, frame: np.ndarray) -> np.ndarray:
        """A frame before in working units; 0 where it holds nothing near the field's values."""
        units = self.units
        values = frame.astype(np.float64)
        span = units.high - units.low
        with np.errstate(invalid="ignore"):
            near = (values >= units.low - span) & (values <= units.high + span)
            return np.where(near, (values - units.mean_before) * power(-units.exponent), 0.0).astype(self.working)

    def decode(self) -> np.ndarray:
        """The segment's values [frames][height][width] in the field's type."""
        method, segment = self.method, self.segment
        height, width = segment.height, segment.width
        side = Decoder(method.side)
        index_coder = self._index_coder()
        mask = Decoder(method.mask)
        corrections = Decoder(method.corrections)
        side_coder = SideCoder(method.step)
        mask_coder = MaskCoder(height, width, len(self.units.specials))
        pointwise_coder = pointwise.PointwiseCoder(height, width)
        flagged = method.modelled and method.way == HIERARCHICAL
        previous: list[Plane] = []
        missing = "latents" if method.way == LATENTS else ""
        out = []
        for count in self.way.windows(segment.planes):
            classes = np.zeros((count, height, width), np.uint8)
            if self.units.specials:
                classes = mask_coder.window(mask, count)
            planes = [Plane(self.bands) for _ in range(count)]
            predicted, contexts = self.way.plan(count, previous, planes)
            told = side_coder.window(side, self.bands, predicted, count if flagged else 0)
            indices = np.zeros((count, height, width), np.int64)
            index_coder.decode(planes, contexts, indices)
            require(np.abs(indices).max() <= self.limit, "an index is larger than any that is coded")
            previous = planes
            fixed = self._corrections(corrections, pointwise_coder, count)
            if missing:
                continue
            try:
                frames = self.way.reconstruct(self._values(indices, told), told)
            except NeedsModel as reason:
                missing = str(reason)
                continue
            out.append(self._finish(frames, classes, fixed))
        index_coder.finish()
        for decoder, what in ((side, "side information"), (mask, "masks")):
            decoder.finish(what)
        corrections.finish("corrections")
        if missing or method.enhanced:
            raise NeedsModel(missing or "frames are enhanced")
        return np.concatenate(out)

    def _index_coder(self) -> TableCoder | BitCoder:
        method = self.method
        if method.tables:
            return TableCoder(self.bands, method.coefficients)
        return BitCoder(self.bands, Decoder(method.coefficients), method.mixing)

    def _corrections(
        self, decoder: Decoder, coder: pointwise.PointwiseCoder, count: int
    ) -> pointwise.Correction | blocks.Correction | None:
        if not self.method.corrections:
            return None
        require(self.header.bound in (ABS, REL, BLOCK_L2), "corrections to a bound that has none")
        if self.header.bound == BLOCK_L2:
            return blocks.window(decoder, (count, self.segment.height, self.segment.width))
        return coder.window(decoder, count, 8 * self.header.dtype.itemsize)

    def _values(self, indices: np.ndarray, side: Side) -> list[np.ndarray]:
        """The values of a window's indices, in working arithmetic (section 8, values)."""
        real = self.working
        growth = 1 + self.method.layer_factor / 32
        out = []
        for plane, layer in zip(indices, self.way.layers(len(indices)), strict=True):
            step = real(power_of_two(side.step) * growth ** min(layer, 6))
            table = [real(m - c / 64) * step for m, c in zip((1, 2, 3), side.centroids, strict=True)]
            size = np.abs(plane)
            values = size.astype(real) * step + (table[2] - real(3) * step)
            for m, value in zip((1, 2, 3), table, strict=True):
                values[size == m] = value
            out.append(np.where(plane < 0, -values, np.where(plane > 0, values, real(0))))
        return out

    def _finish(
        self, frames: np.ndarray, classes: np.ndarray, fixed: pointwise.Correction | blocks.Correction | None
    ) -> np.ndarray:
        """Units, corrections and masked points (section 14)."""
        header, units = self.header, self.units
        values = frames.astype(np.float64) * units.scale + units.mean
        values = np.clip(values, units.low, units.high)
        if isinstance(fixed, blocks.Correction):
            blocks.apply(fixed, values, self._target())
            values = np.clip(values, units.low, units.high)
        out = values.astype(header.dtype)
        bits = out.view(f"<u{header.dtype.itemsize}")
        for number, pattern in enumerate(units.specials, 1):
            bits[classes == number] = int.from_bytes(pattern, "little")
        if isinstance(fixed, pointwise.Correction):
            epsilon = header.bound_value * (header.range if header.bound == REL else 1.0)
            pointwise.apply(fixed, out, epsilon, (units.low, units.high) if units.clamped else None)
        return out

    def _target(self) -> float:
        """The norm that blocks are corrected to."""
        units, header = self.units, self.header
        rounding = 2.0**-24 if header.dtype.itemsize == 4 else 2.0**-53
        target = header.bound_value - math.sqrt(512) * max(abs(units.low), abs(units.high)) * rounding
        require(target > 0, "blocks are corrected to a bound that their values cannot meet")
        return target

"""What streams say of themselves, and what calls did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _fieldpress
from ._arrays import DTYPES, stream_bytes

if TYPE_CHECKING:
    from ._arrays import Stream


@dataclass(frozen=True)
class Bound:
    """An error bound: its value and its kind, ``abs``, ``rel``, ``nrmse``, ``psnr``, ``block_l2``, ``pw_rel`` or
    ``lossless``."""

    kind: str
    value: float
    """0 for ``lossless``."""

    def __str__(self) -> str:
        return self.kind if self.kind == "lossless" else f"{self.kind}={self.value:g}"


@dataclass(frozen=True)
class Model:
    """The foundation model that a stream needs."""

    name: str
    hash: str
    """The first bytes of its hash, as hexadecimal digits."""


@dataclass(frozen=True)
class StreamInfo:
    """What a stream's header and table say; nothing of it is decoded."""

    version: int
    """The format's version."""
    shape: tuple[int, ...]
    """The field's shape."""
    dtype: np.dtype[Any]
    """float32 or float64."""
    axes: tuple[int, int, int] | None
    """Which axes are frames, rows and columns, where the last three are not."""
    bound: Bound
    """The bound that was asked for."""
    nrmse: float
    """Root mean square error over the range, as achieved."""
    max_abs_error: float
    """Largest error, in the field's units, as achieved."""
    range: float
    """Maximum − minimum over the points with data."""
    masked: tuple[float, ...]
    """Finite values that mark points without data: the fill value, and sentinels that were found."""
    follows: bool
    """Whether it can only be decoded after another stream's last frame, as in an archive's windows."""
    model: Model | None
    """The foundation model that decoding needs."""
    fm_share: float
    """Share of the chunks that use it, 0 to 1."""
    sections: Mapping[str, int]
    """Bytes of each part; they add up to the stream's."""
    modes: Mapping[str, int]
    """Chunks by mode of prediction and length of window, as in ``transform:24``."""

    @property
    def stream_bytes(self) -> int:
        """Bytes of the stream."""
        return sum(self.sections.values())

    @property
    def input_bytes(self) -> int:
        """Bytes of the field."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    @property
    def ratio(self) -> float:
        """Bytes of the field for each byte of the stream."""
        return self.input_bytes / self.stream_bytes


@dataclass(frozen=True)
class Report:
    """What one call of ``compress_with_report`` did."""

    input_bytes: int
    stream_bytes: int
    seconds: float
    """Wall-clock seconds of the call."""
    stages: Mapping[str, float]
    """Seconds of its stages, summed over threads."""
    sentinels: tuple[float, ...]
    """Values that were found to mark points without data, although nobody had named them; kept bit for bit."""
    mean_error: float
    """The mean of the decoded values less that of the original ones, in the field's units."""
    info: StreamInfo
    """What the stream says of itself."""

    @property
    def ratio(self) -> float:
        """Bytes of the field for each byte of the stream."""
        return self.input_bytes / self.stream_bytes


def inspect(stream: Stream) -> StreamInfo:
    """What a stream says of itself: shape, type, bound, achieved errors, what is in it.

    Raises
    ------
    CorruptError, UnsupportedError
        For bytes that are no stream, or one of a later version.
    """
    return described(_fieldpress.inspect(stream_bytes(stream)))


def described(info: Mapping[str, Any]) -> StreamInfo:
    """The typed form of what the extension says of a stream."""
    of = dict(info)
    model = of.pop("model")
    return StreamInfo(dtype=DTYPES[of.pop("dtype")], bound=Bound(*of.pop("bound")), model=model and Model(*model), **of)

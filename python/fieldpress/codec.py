"""Compressing and decompressing: `compress`, `decompress`, and the `Codec` that both use."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _fieldpress, _runtime
from ._arrays import DTYPES, field, name_of, select, stream_bytes, strided
from ._settings import BoundAndOptions, BoundOrSize, BoundOrSizeAndOptions, Options, Size, bound, keywords, pairs, split
from .errors import InvalidArgument
from .info import Report, described

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray
    from typing_extensions import Unpack

    from ._arrays import Stream

    Array = NDArray[Any]


class Codec:
    """A compressor and decompressor with its options, usable from several threads.

    Nothing is opened until it is used. In a process that was forked, a codec has threads and a model of its own, those
    of the parent process being gone. Codecs can be pickled.

    Parameters
    ----------
    **options
        `fieldpress.Options`: effort, fm, device, threads, fill_value, sentinels, axes, segment, range, model.

    Raises
    ------
    InvalidArgument
        For an option that is not valid.
    """

    @keywords(Options)
    def __init__(self, **options: Unpack[Options]) -> None:
        bounds, _ = split(options)
        if bounds:
            raise TypeError(f"'{next(iter(bounds))}' is a bound, which each call of compress() is given")
        self._pairs = pairs(options)
        self._fill_value = options.get("fill_value")
        self._handle()

    def _handle(self) -> _fieldpress.Codec:
        return _handle(self._pairs, os.getpid())

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._pairs, self._fill_value)

    def __repr__(self) -> str:
        return f"Codec({', '.join(f'{name}={value!r}' for name, value in self._pairs)})"

    @keywords(BoundOrSize)
    def compress(self, array: ArrayLike, **bounds: Unpack[BoundOrSize]) -> bytes:
        """The stream of an array under one bound, or of a size; see `fieldpress.compress`."""
        return self._compress(array, bounds)[0]

    @keywords(BoundOrSize)
    def compress_with_report(self, array: ArrayLike, **bounds: Unpack[BoundOrSize]) -> tuple[bytes, Report]:
        """As `compress`, with what the call did: sizes, errors, times."""
        stream, report = self._compress(array, bounds)
        return stream, Report(**report | {"info": described(report["info"])})

    def _compress(self, array: ArrayLike, bounds: BoundOrSize) -> tuple[bytes, dict[str, Any]]:
        others: dict[str, Any] = dict(bounds)
        ratio = others.pop("ratio", None)
        given = [name for name, value in others.items() if value is not None and value is not False]
        if ratio is not None and given:
            raise InvalidArgument(f"ratio, {', '.join(given)} are given; expected a bound or a ratio")
        of = ("ratio", float(ratio)) if ratio is not None else bound(others)
        return self._handle().compress(strided(field(array, self._fill_value)), of)

    def decompress(self, stream: Stream, box: Any = None, *, scale: int = 1, out: Array | None = None) -> Array:
        """The field of a stream, or a part of it; see `fieldpress.decompress`."""
        data = stream_bytes(stream)
        info = _fieldpress.inspect(data)
        dtype = DTYPES[info["dtype"]]
        chosen = select(... if box is None else box, info["shape"])
        if scale != 1 and not chosen.is_box:
            raise InvalidArgument(f"the box has steps, which a scale of {scale} does not go with")
        if 0 in chosen.count:
            return _given(np.empty(chosen.count, dtype)[chosen.rest], out)
        region = None if chosen.count == info["shape"] else (chosen.start, chosen.count)
        shape = chosen.count if scale == 1 else _fieldpress.output_shape(data, region, scale)
        if out is not None and chosen.is_box:
            kept = tuple(n for axis, n in enumerate(shape) if axis not in chosen.dropped)
            _check_out(out, kept, dtype)
            self._handle().decompress(data, region, scale, np.expand_dims(out, chosen.dropped))
            return out
        array = np.empty(shape, dtype)
        self._handle().decompress(data, region, scale, array)
        return _given(array[chosen.rest], out)

    def check(self, shape: tuple[int, ...]) -> None:
        """Opens what compressing opens at first use, and compares the options with a shape.

        So a simulation learns at its start what its first output would fail on.

        Raises
        ------
        InvalidArgument
            For axes that do not fit the shape.
        ModelError, RuntimeUnavailable
            Where a model, ``fm="on"`` or a device that was asked for cannot be had.
        """
        self._handle().check(list(shape))


class StepStream:
    """Time steps of one field, compressed a window at a time.

    Each stream has the shape ``(steps, *shape)``, decodes without its neighbours, and keeps the bound over its window.

    Parameters
    ----------
    shape, dtype
        Those of a step; float32 or float64.
    window
        Steps of a window.
    **settings
        A bound, and options, as `fieldpress.compress` takes them.
    """

    @keywords(BoundAndOptions)
    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: DTypeLike = np.float32,
        window: int = 8,
        **settings: Unpack[BoundAndOptions],
    ) -> None:
        bounds, options = split(settings)
        codec = Codec(**options)
        self._fill_value = options.get("fill_value")
        self._steps = _fieldpress.StepStream(
            codec._handle(), list(shape), name_of(np.dtype(dtype)), window, bound(bounds)
        )

    def push(self, step: ArrayLike) -> bytes | None:
        """Takes a copy of a step; the window's stream where it is full now."""
        return self._steps.push(strided(field(step, self._fill_value)))

    def flush(self) -> bytes | None:
        """The stream of the steps that wait, however few; None where none do."""
        return self._steps.flush()

    def clear(self) -> None:
        """Drops the steps that wait."""
        self._steps.clear()

    @property
    def waiting(self) -> int:
        """Steps that wait for their window to fill."""
        return self._steps.waiting

    @property
    def window(self) -> int:
        """Steps of a full window."""
        return self._steps.window


@keywords(BoundOrSizeAndOptions)
def compress(array: ArrayLike, **settings: Unpack[BoundOrSizeAndOptions]) -> bytes:
    """Compresses an array of one to five axes under an error bound.

    The bound has been checked on the decoded stream when this returns. NaN, infinities and ``fill_value`` come back
    bit for bit. The array is read where it lies, whatever its strides, without the GIL; it must not be written to
    meanwhile.

    Parameters
    ----------
    array
        float32 or float64, or what has ``__array__`` of these. float16 is compressed as float32, the other byte order
        as the native one. What a masked array masks becomes ``fill_value``, or NaN.
    **settings
        One bound of `fieldpress.Bounds` (nrmse, abs, rel, psnr, block_l2, pw_rel, lossless), or ratio=50: the stream is
        at most a fiftieth of the field, under the tightest nrmse with which it is, which the stream names; that takes
        up to eight times as long. And any of `fieldpress.Options` (effort, fm, device, threads, fill_value, sentinels,
        axes, segment, range, model).

    Returns
    -------
    bytes
        The stream, the same as from C, C++, Fortran, ADIOS2 and HDF5.

    Raises
    ------
    InvalidArgument
        For a type, bound or option that is not valid.
    ModelError, RuntimeUnavailable
        Where ``fm="on"``, or a model or device that was asked for, cannot be had.

    Examples
    --------
    >>> u = np.sin(np.linspace(0, 9, 8 * 64 * 64, dtype="f4")).reshape(8, 64, 64)
    >>> stream = fieldpress.compress(u, nrmse=1e-3)
    >>> len(stream) * 20 < u.nbytes
    True
    """
    others: dict[str, Any] = dict(settings)
    size = {name: others.pop(name) for name in Size.__annotations__ if name in others}
    bounds, options = split(others)
    return Codec(**options).compress(array, **bounds, **size)


@keywords(Options)
def decompress(
    stream: Stream, box: Any = None, *, scale: int = 1, out: Array | None = None, **options: Unpack[Options]
) -> Array:
    """Decompresses a stream, or a part of it.

    Parameters
    ----------
    stream
        ``bytes``, or whatever has the buffer interface, such as a memory map.
    box
        What of the field is wanted, as an index of NumPy's: ``np.s_[0:8, :, 10:20]``. Only what it touches is decoded.
    scale
        2 or 4: a half or a quarter of the points along rows and columns. The box is given in points of full resolution.
    out
        An array to decode into, of the result's shape and type and any strides; without it one is made.
    **options
        Of `fieldpress.Options`: device, threads, model.

    Raises
    ------
    CorruptError, UnsupportedError
        For bytes that cannot be decoded.
    ModelError, RuntimeUnavailable
        Where the stream needs a model that cannot be had.
    IndexError
        For a box outside of the field.
    """
    return Codec(**options).decompress(stream, box, scale=scale, out=out)


def runtime_status() -> tuple[bool, str]:
    """Whether ONNX Runtime, which the model needs, is loaded, and its file, or why it is not; loads it where it can."""
    _runtime.locate()
    return _fieldpress.runtime_status()


@functools.lru_cache(maxsize=32)
def _handle(option_pairs: tuple[tuple[str, str], ...], process: int) -> _fieldpress.Codec:
    """The extension's codec of these options, kept from call to call; a forked process has its own."""
    _runtime.locate()
    return _fieldpress.Codec(list(option_pairs))


def _restored(option_pairs: tuple[tuple[str, str], ...], fill_value: float | None) -> Codec:
    codec = Codec.__new__(Codec)
    codec._pairs, codec._fill_value = option_pairs, fill_value
    return codec


def _check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype or not out.flags.writeable:
        given = f"{out.dtype} of shape {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise InvalidArgument(f"out is {given}; expected a writable array of {dtype} of shape {shape}")


def _given(result: Array, out: Array | None) -> Array:
    """The result, in the caller's array where there is one."""
    if out is None:
        return result
    _check_out(out, result.shape, result.dtype)
    out[...] = result
    return out

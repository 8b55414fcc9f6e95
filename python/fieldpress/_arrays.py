"""Arrays and streams in Python's memory, in the form that the extension takes; nothing is copied that need not be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InvalidArgument

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Buffer

    from ._fieldpress import Strided

    #: A stream's bytes; before Python 3.12, type checkers do not know that arrays have the buffer interface.
    Stream = Buffer | NDArray[Any]

#: NumPy's types by the library's names.
DTYPES: dict[str, np.dtype[Any]] = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}


def name_of(dtype: np.dtype[Any]) -> str:
    """The library's name of a type.

    Raises
    ------
    InvalidArgument
        For another type than float32 and float64.
    """
    for name, known in DTYPES.items():
        if known == dtype:
            return name
    raise InvalidArgument(f"the type {dtype} is not supported; expected float32 or float64")


def field(array: ArrayLike, fill_value: float | None = None) -> NDArray[Any]:
    """An array of native float32 or float64 of what has ``__array__`` or is a sequence.

    float16 becomes float32, and the other byte order the native one, without loss. What a masked array masks becomes
    ``fill_value``, or NaN where there is none.

    Raises
    ------
    InvalidArgument
        For another type.
    """
    if isinstance(array, np.ma.MaskedArray):
        array = array.filled(np.nan if fill_value is None else fill_value) if array.mask.any() else array.data
    array = np.asarray(array)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise InvalidArgument(
            f"the array has type {array.dtype}; expected float32 or float64 (float16 is taken as float32); "
            "convert it first, for example by array.astype('f8')"
        )
    wanted = np.dtype(np.float64 if array.dtype.itemsize == 8 else np.float32)
    return array if array.dtype == wanted else array.astype(wanted)


def marks(fill_value: float | Sequence[float] | None) -> tuple[float, ...]:
    """The values that mark points without data, of one, several or none."""
    if fill_value is None:
        return ()
    return tuple(float(value) for value in np.atleast_1d(np.asarray(fill_value, np.float64)))


def valid_points(x: NDArray[Any], masked: Sequence[float]) -> NDArray[np.bool_]:
    """Points with data: finite, and none of the values that mark others."""
    valid: NDArray[np.bool_] = np.isfinite(x)
    for mark in masked:
        valid &= x != x.dtype.type(mark)
    return valid


def strided(array: NDArray[Any]) -> Strided:
    """The run of memory from an array's first to its last element, with sizes and strides in elements.

    A part of an array (without its halo cells, say) is not copied, nor is one in Fortran order; one with reversed axes,
    or of a structured array's member, is.
    """
    size = array.itemsize
    if not array.flags.aligned or any(
        s % size or s < 0 for s, n in zip(array.strides, array.shape, strict=True) if n > 1
    ):
        array = np.ascontiguousarray(array)
    strides = [stride // size if n > 1 else 0 for stride, n in zip(array.strides, array.shape, strict=True)]
    last = sum((n - 1) * stride for n, stride in zip(array.shape, strides, strict=True))
    length = last + 1 if array.size else 0
    run = np.lib.stride_tricks.as_strided(array, (length,), (size,), writeable=False)
    return run, list(array.shape), strides


def stream_bytes(stream: Any) -> NDArray[np.uint8]:
    """The bytes of a stream, in place: of ``bytes``, a memory map, or whatever has the buffer interface."""
    view = memoryview(stream)
    if not view.c_contiguous:
        raise InvalidArgument("the stream's bytes have gaps; expected contiguous memory")
    return np.frombuffer(view.cast("B"), np.uint8) if view.nbytes else np.empty(0, np.uint8)


@dataclass(frozen=True)
class Selection:
    """What an index of NumPy's selects: a box, and what of the box remains."""

    start: tuple[int, ...]
    """First index along each axis."""
    count: tuple[int, ...]
    """Indices along each axis; 0 where nothing is selected."""
    rest: tuple[int | slice, ...]
    """The index to apply to the box: axes to drop, strides."""

    @property
    def is_box(self) -> bool:
        """Whether all of the box is wanted, perhaps without some axes."""
        return all(isinstance(part, int) or part == slice(None) for part in self.rest)

    @property
    def dropped(self) -> tuple[int, ...]:
        """Axes that a number selects, which the result does not have."""
        return tuple(axis for axis, part in enumerate(self.rest) if isinstance(part, int))


def select(key: Any, shape: Sequence[int]) -> Selection:
    """The selection of an index: numbers, slices and ``...``, as ``np.s_`` makes them.

    Raises
    ------
    IndexError
        For an index outside of the shape, too many of them, or another kind.
    """
    parts = list(key) if isinstance(key, tuple) else [key]
    ellipses = [at for at, part in enumerate(parts) if part is Ellipsis]
    if len(ellipses) > 1:
        raise IndexError("an index can have one '...'")
    missing = len(shape) - len(parts) + len(ellipses)
    if missing < 0:
        raise IndexError(f"{len(parts) - len(ellipses)} indices are given for {len(shape)} axes")
    at = ellipses[0] if ellipses else len(parts)
    parts[at : at + len(ellipses)] = [slice(None)] * missing
    axes = [_axis(part, n, axis) for axis, (part, n) in enumerate(zip(parts, shape, strict=True))]
    start, count, rest = zip(*axes, strict=True) if axes else ((), (), ())
    return Selection(start, count, rest)


def _axis(part: Any, n: int, axis: int) -> tuple[int, int, int | slice]:
    """Start, count and what remains along one axis of size ``n``."""
    if isinstance(part, slice):
        indices = range(*part.indices(n))
        if not indices:
            return 0, 0, slice(None)
        first, last = min(indices[0], indices[-1]), max(indices[0], indices[-1])
        step = None if len(indices) == 1 or indices.step == 1 else indices.step
        return first, last - first + 1, slice(None, None, step)
    if isinstance(part, bool | np.bool_) or not hasattr(part, "__index__") or getattr(part, "ndim", 0) != 0:
        raise IndexError(f"an index of type {type(part).__name__} is not supported; expected numbers, slices and '...'")
    index: int = part.__index__()
    if not -n <= index < n:
        raise IndexError(f"index {index} is out of bounds for axis {axis} with size {n}")
    return index % n, 1, 0

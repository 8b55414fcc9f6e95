"""Zarr, version 3: a serializer, which makes each chunk's bytes.

>>> zarr.create_array(store, shape=u.shape, chunks=(8, 64, 96), dtype="f4",
...                   serializer=fieldpress.zarr.Serializer(nrmse=1e-3), compressors=None)

Where fieldpress is installed, Zarr finds the codec ``fieldpress`` of an array's metadata by itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.abc.codec import ArrayBytesCodec

from ._settings import BoundAndOptions, bound, keywords, split
from .codec import Codec
from .errors import CorruptError, InvalidArgument

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer

#: The codec's name in an array's metadata.
NAME = "fieldpress"


@dataclass(frozen=True, init=False, repr=False)
class Serializer(ArrayBytesCodec):
    """Compresses each chunk as a field under a bound; bounds that are relative refer to each chunk's range.

    A chunk is one to five axes of float32 or float64. Its last three axes are frames, rows and columns unless ``axes``
    says otherwise; choose chunks of eight frames or more. Compressors after it gain nothing: ``compressors=None``.

    Parameters
    ----------
    **settings
        A bound, and options, as `fieldpress.compress` takes them.
    """

    is_fixed_size = False
    settings: tuple[tuple[str, Any], ...]

    @keywords(BoundAndOptions)
    def __init__(self, **settings: Unpack[BoundAndOptions]) -> None:
        bounds, options = split(settings)
        bound(bounds)
        Codec(**options)
        # As JSON has it.
        given = {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items() if v is not None}
        items = tuple((k, v.item() if isinstance(v, np.generic) else v) for k, v in given.items())
        object.__setattr__(self, "settings", items)

    def __hash__(self) -> int:
        return hash(repr(self.settings))

    def __repr__(self) -> str:
        return f"Serializer({', '.join(f'{name}={value!r}' for name, value in self.settings)})"

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The codec of an array's metadata."""
        if data.get("name") != NAME:
            raise InvalidArgument(f"the codec is named {data.get('name')!r}; expected {NAME!r}")
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """The codec as an array's metadata has it."""
        return {"name": NAME, "configuration": dict(self.settings)}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Refuses arrays of a type that cannot be compressed."""
        native = dtype.to_native_dtype() if hasattr(dtype, "to_native_dtype") else np.dtype(dtype)
        if native.kind != "f" or native.itemsize not in (4, 8):
            raise InvalidArgument(f"an array of {native} cannot be compressed; expected float32 or float64")
        if len(shape) == 0:
            raise InvalidArgument("an array without axes cannot be compressed; expected one to five")

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Not known before compression."""
        raise NotImplementedError

    def _split(self) -> tuple[dict[str, Any], Codec]:
        bounds, options = split(dict(self.settings))
        return bounds, Codec(**options)

    def _encode_sync(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        bounds, codec = self._split()
        stream = codec.compress(chunk_array.as_ndarray_like(), **bounds)
        return chunk_spec.prototype.buffer.from_bytes(stream)

    def _decode_sync(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        _, codec = self._split()
        chunk = codec.decompress(chunk_bytes.as_numpy_array())
        if chunk.shape != chunk_spec.shape:
            raise CorruptError(f"a chunk holds a field of shape {chunk.shape}; expected {chunk_spec.shape}")
        return chunk_spec.prototype.nd_buffer.from_numpy_array(chunk)

    async def _encode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        return await asyncio.to_thread(self._encode_sync, chunk_array, chunk_spec)

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        return await asyncio.to_thread(self._decode_sync, chunk_bytes, chunk_spec)

"""numcodecs: a codec for Zarr's version 2, and whatever else takes one.

>>> zarr.create_array(store, shape=u.shape, chunks=(8, 64, 96), dtype="f4", zarr_format=2,
...                   compressors=fieldpress.numcodecs.Fieldpress(nrmse=1e-3))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numcodecs.abc import Codec as Base

from ._settings import BoundAndOptions, bound, keywords, split
from .codec import Codec

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


class Fieldpress(Base):
    """Compresses arrays of float32 and float64 under a bound; bounds that are relative refer to each chunk's range.

    Parameters
    ----------
    **settings
        A bound, and options, as `fieldpress.compress` takes them.
    """

    codec_id = "fieldpress"

    @keywords(BoundAndOptions)
    def __init__(self, **settings: Unpack[BoundAndOptions]) -> None:
        self._bounds, options = split(settings)
        bound(self._bounds)
        self._codec = Codec(**options)
        self._settings = {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items() if v is not None}

    def encode(self, buf: Any) -> bytes:
        """The stream of an array. One in Fortran order is taken with its axes reversed, as it lies in memory."""
        array = np.asarray(buf)
        in_fortran_order = array.flags.f_contiguous and not array.flags.c_contiguous
        return self._codec.compress(array.T if in_fortran_order else array, **self._bounds)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """The array of a stream; into ``out`` where it is given, whatever its shape is, if it has as many bytes."""
        if out is None:
            return self._codec.decompress(buf)
        array = self._codec.decompress(buf)
        np.asarray(out).reshape(-1).view(array.dtype)[...] = array.reshape(-1)
        return out

    def get_config(self) -> dict[str, Any]:
        """What makes the codec anew."""
        return {"id": self.codec_id, **self._settings}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The codec of what `get_config` gave."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"Fieldpress({', '.join(f'{name}={value!r}' for name, value in self._settings.items())})"

"""Error-bounded compression of simulation fields, with a foundation model and a residual coder.

>>> import fieldpress, numpy as np
>>> u = np.sin(np.linspace(0, 9, 8 * 64 * 64, dtype="f4")).reshape(8, 64, 64)
>>> stream = fieldpress.compress(u, nrmse=1e-3)
>>> part = fieldpress.decompress(stream, np.s_[0:4, :, 10:20])
>>> part.shape
(4, 64, 10)

`assess` and `report` say whether what came back is good enough, `suggest` what bound that needs; `open` and
`create` are for archives, `h5` is for HDF5; `fieldpress.zarr`, `fieldpress.numcodecs`, `fieldpress.xarray` and
`fieldpress.adios2` are imported when they are used. Every error is a `FieldpressError`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from . import hdf5
from ._fieldpress import __version__
from ._quality import Quality, quality
from ._settings import BoundAndOptions, Bounds, Options
from .archive import Archive, ArchiveWriter, Variable, create, open
from .codec import Codec, StepStream, compress, decompress, runtime_status
from .errors import (
    CorruptError,
    FieldpressError,
    InternalError,
    InvalidArgument,
    IoError,
    ModelError,
    RuntimeUnavailable,
    UnsupportedError,
)
from .hdf5 import activate as _activate
from .hdf5 import h5
from .info import Bound, Model, Report, StreamInfo, inspect

if TYPE_CHECKING:
    from ._assess import Assessment, assess
    from ._report import report
    from ._suggest import Suggestion, suggest

__all__ = [
    "Archive",
    "ArchiveWriter",
    "Assessment",
    "Bound",
    "BoundAndOptions",
    "Bounds",
    "Codec",
    "CorruptError",
    "FieldpressError",
    "InternalError",
    "InvalidArgument",
    "IoError",
    "Model",
    "ModelError",
    "Options",
    "Quality",
    "Report",
    "RuntimeUnavailable",
    "StepStream",
    "StreamInfo",
    "Suggestion",
    "UnsupportedError",
    "Variable",
    "__version__",
    "assess",
    "compress",
    "create",
    "decompress",
    "h5",
    "hdf5",
    "inspect",
    "open",
    "quality",
    "report",
    "runtime_status",
    "suggest",
]

_activate()

#: Modules for other packages, which are imported with them.
_HOSTS = ("adios2", "numcodecs", "xarray", "zarr")
#: What needs further packages, by the module that it is in.
_EXTRAS = {
    "Assessment": "_assess",
    "Suggestion": "_suggest",
    "assess": "_assess",
    "report": "_report",
    "suggest": "_suggest",
}


def __getattr__(name: str) -> Any:
    if name in _HOSTS:
        return importlib.import_module(f".{name}", __name__)
    if name in _EXTRAS:
        return getattr(importlib.import_module(f".{_EXTRAS[name]}", __name__), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")

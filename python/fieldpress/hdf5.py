"""HDF5: the filter's parameters, and where its plugin is."""

from __future__ import annotations

import math
import os
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ._settings import Bounds, bound, keywords
from .errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

#: The filter's number.
FILTER = 413
#: The plugin's file.
PLUGIN = "libh5z_fieldpress.so"
#: Names the plugin's folder, or its file, in place of the one inside of the package.
VARIABLE = "FIELDPRESS_HDF5_PLUGIN"
#: Where HDF5 looks for plugins where the environment does not say.
DEFAULT_FOLDER = "/usr/local/hdf5/lib/plugin"

#: Numbers of the kinds of bounds, as docs/hosts.md has them.
_KINDS = {"abs": 1, "rel": 2, "nrmse": 3, "psnr": 4, "block_l2": 5, "lossless": 6, "pw_rel": 8}


def plugin_folder() -> Path | None:
    """The folder of the plugin: the environment's, the package's, or one that HDF5 is told of already."""
    named = os.environ.get(VARIABLE)
    told = os.environ.get("HDF5_PLUGIN_PATH", "").split(os.pathsep)
    places = [Path(named)] if named else [Path(__file__).parent / "plugins", *map(Path, filter(None, told))]
    for place in places:
        file = place if place.name == PLUGIN else place / PLUGIN
        if file.is_file():
            return file.parent
    return None


def activate() -> bool:
    """Tells HDF5 where the plugin is, and returns whether it is there; importing fieldpress does it.

    HDF5 reads the environment when it is loaded, so a library that is loaded already must be told by its own call:
    h5py's is. Import fieldpress before netCDF4.
    """
    folder = plugin_folder()
    if folder is None:
        return False
    told = os.environ.get("HDF5_PLUGIN_PATH") or DEFAULT_FOLDER
    if str(folder) not in told.split(os.pathsep):
        os.environ["HDF5_PLUGIN_PATH"] = os.pathsep.join([str(folder), told])
    h5py = sys.modules.get("h5py")
    if h5py is not None and hasattr(h5py, "h5pl"):
        known = [h5py.h5pl.get(at) for at in range(h5py.h5pl.size())]
        if os.fsencode(folder) not in known:
            h5py.h5pl.prepend(os.fsencode(folder))
    return True


#: Where the filter has its values that mark points without data, behind what it notes of a chunk, and the most of them.
_MARKS, _MOST_MARKS = 14, 8
#: What the use of the model adds to the effort.
_MODEL = {None: 0, "auto": 0, "off": 4, False: 4, "on": 8, True: 8}


def _marks(sentinels: str | Sequence[float] | None) -> tuple[float, ...] | None:
    """Values that mark points without data; None where they are found in each chunk."""
    if sentinels is None or (isinstance(sentinels, str) and sentinels == "auto"):
        return None
    if isinstance(sentinels, str):
        sentinels = () if sentinels == "off" else [float(part) for part in sentinels.split(",")]
    given = tuple(float(value) for value in sentinels)
    if len(given) > _MOST_MARKS or not all(map(math.isfinite, given)):
        raise InvalidArgument(f"sentinels={sentinels!r} is not valid; expected up to {_MOST_MARKS} finite numbers")
    return given


def _halves(value: float) -> tuple[int, int]:
    low, high = struct.unpack("<2I", struct.pack("<d", value))
    return low, high


@keywords(Bounds)
def h5(
    *,
    effort: int | None = None,
    fm: Literal["auto", "on", "off"] | bool | None = None,
    sentinels: str | Sequence[float] | None = None,
    **bounds: Unpack[Bounds],
) -> dict[str, Any]:
    """The keywords that compress a dataset: of h5py's ``create_dataset``, and of a variable in xarray's ``encoding``.

    Parameters
    ----------
    effort
        0 (fast), 1 (the default) or 2 (smallest).
    fm
        Use of the foundation model: where it pays (the default), or "off": no reader of the file needs it then.
    sentinels
        Values far outside of all others that mark points without data, too: found in each chunk (the default), "off",
        or up to eight numbers. The dataset's own fill value always marks them.
    **bounds
        One bound of `fieldpress.Bounds`. Those that are relative refer to each chunk's range.

    Raises
    ------
    InvalidArgument
        For a bound or effort that is not valid, and where no plugin is found.

    Examples
    --------
    >>> file.create_dataset("u", data=u, chunks=(8, 64, 96), **fieldpress.h5(rel=1e-3))
    """
    kind, value = bound(bounds)
    if effort not in (None, 0, 1, 2):
        raise InvalidArgument(f"effort={effort} is not valid; expected 0, 1 or 2")
    if fm not in _MODEL:
        raise InvalidArgument(f"fm={fm!r} is not valid; expected auto, on or off")
    marks = _marks(sentinels)
    if not activate():
        raise InvalidArgument(
            f"HDF5's plugin {PLUGIN} is not part of this installation; {VARIABLE} may name its folder "
            "(lib/fieldpress/hdf5 of a CMake installation)"
        )
    parameters = [_KINDS[kind], *_halves(value)]
    if (effort, fm, marks) != (None, None, None):
        parameters.append((1 if effort is None else effort) + _MODEL[fm])
    if marks is not None:
        parameters += [0] * (_MARKS - len(parameters)) + [1 + len(marks)]
        parameters += [half for mark in marks for half in _halves(mark)]
    return {"compression": FILTER, "compression_opts": tuple(parameters)}

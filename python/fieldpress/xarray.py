"""xarray: archives as datasets, and datasets written through fieldpress.

>>> xarray.open_dataset("run.fpa", engine="fieldpress", chunks={})
>>> dataset.to_netcdf("u.nc", engine="h5netcdf", encoding=fieldpress.xarray.encoding(dataset, rel=1e-3))
>>> dataset.to_zarr("u.zarr", encoding=fieldpress.xarray.encoding(dataset, "zarr", rel=1e-3))
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, Literal

import xarray
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from ._settings import BoundAndOptions, Options, bound, keywords, split
from .archive import TIME, Archive, Variable
from .errors import InvalidArgument
from .hdf5 import h5

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from typing_extensions import Unpack

#: Values of a chunk, at most where chunks are chosen here: 16 MB of float32.
_CHUNK_VALUES = 1 << 22
#: Frames, rows and columns of a chunk, at most.
_MOST = (128, 1024, 1024)

#: What `FieldpressBackend.open_dataset` hands to `xarray.decode_cf`.
_DECODERS = ("mask_and_scale", "decode_times", "decode_timedelta", "use_cftime", "decode_coords")


class _Lazy(BackendArray):
    """A variable whose values are read when they are needed."""

    def __init__(self, variable: Variable) -> None:
        self.variable = variable
        self.shape = variable.shape
        self.dtype = variable.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self.variable.__getitem__
        )


class FieldpressBackend(BackendEntrypoint):
    """The engine ``fieldpress``, which opens archives. Chunks of dask are by default the archive's windows of steps."""

    description = "Open archives of fieldpress (.fpa)"
    url = "https://github.com/fieldpress/fieldpress"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "missing", "threads", *_DECODERS)

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        missing: float = math.nan,
        threads: int | None = None,
        **decoders: Any,
    ) -> xarray.Dataset:
        """The dataset of an archive.

        Parameters
        ----------
        filename_or_obj
            The file's path.
        drop_variables
            Names that are left out.
        missing
            What points get that were never put.
        threads
            Threads of each read; dask reads several chunks at once by itself.
        **decoders
            As of `xarray.decode_cf`.
        """
        options: Options = {} if threads is None else {"threads": threads}
        archive = Archive(os.fspath(filename_or_obj), missing=missing, **options)
        dropped = {drop_variables} if isinstance(drop_variables, str) else set(drop_variables or ())
        windows = tuple(len(steps) for steps in archive.commits)
        variables = {TIME: xarray.Variable((TIME,), archive.time, archive.time_attrs)}
        for name, (dims, values, attrs) in archive._coords.items():
            variables[name] = xarray.Variable(dims, values, attrs)
        coordinates = [name for name in variables if name not in dropped]
        for name, variable in archive.items():
            data = indexing.LazilyIndexedArray(_Lazy(variable))
            lazy = xarray.Variable(variable.dims, data, variable.attrs)
            lazy.encoding["preferred_chunks"] = {TIME: windows}
            # A variable may have the name of the steps' dimension.
            variables[f"{name}_" if name in variables else name] = lazy
        dataset = xarray.Dataset({k: v for k, v in variables.items() if k not in dropped}, attrs=archive.attrs)
        dataset = xarray.decode_cf(
            dataset.set_coords(coordinates), **{k: v for k, v in decoders.items() if v is not None}
        )
        dataset.set_close(archive.close)
        return dataset

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether a path ends with ``.fpa``."""
        try:
            return str(os.fspath(filename_or_obj)).endswith(".fpa")
        except TypeError:
            return False


@keywords(BoundAndOptions)
def encoding(
    dataset: xarray.Dataset,
    to: Literal["netcdf", "zarr"] = "netcdf",
    *,
    only: Iterable[str] | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    **settings: Unpack[BoundAndOptions],
) -> dict[str, dict[str, Any]]:
    """The ``encoding`` that writes a dataset's floating variables through fieldpress; coordinates stay as they are.

    Chunks are chosen here: whole frames of rows and columns as far as they go, and many frames. Packing, shuffling and
    other compression that the variables had are not taken over.

    Parameters
    ----------
    to
        "netcdf", for ``to_netcdf(..., engine="h5netcdf")``, or "zarr", for ``to_zarr`` in Zarr's version 3.
    only
        Names of the variables that are compressed; without it all that hold float32 or float64.
    overrides
        Bounds and options of single variables in place of the others': ``{"ta": {"abs": 0.1}}``.
    **settings
        A bound, and options, as `fieldpress.compress` takes them; for NetCDF the option effort alone.

    Raises
    ------
    InvalidArgument
        For a name that is no variable, or one that holds other values; for an option that HDF5's filter does not take.
    """
    own = dict(overrides or {})
    floats = [str(name) for name, v in dataset.data_vars.items() if v.dtype.kind == "f" and v.ndim and v.size]
    names = floats if only is None else list(only)
    for name in {*names, *own} - set(floats):
        raise InvalidArgument(f"{name!r} is no variable of floating values; expected one of {', '.join(floats)}")
    bounds, options = split(settings)
    out = {}
    for name in names:
        own_bounds, own_options = split(own.get(name, {}))
        out[name] = _encoding_of(dataset[name].shape, to, own_bounds or bounds, {**options, **own_options})
    return out


def _encoding_of(shape: Sequence[int], to: str, bounds: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The encoding of one variable."""
    bound(bounds)
    if to == "zarr":
        # Loaded here: who writes NetCDF has no need of Zarr.
        from .zarr import Serializer

        return {"chunks": _chunks(shape), "serializer": Serializer(**bounds, **options), "compressors": None}
    if to != "netcdf":
        raise InvalidArgument(f"to={to!r} is not known; expected 'netcdf' or 'zarr'")
    effort = options.pop("effort", None)
    if options:
        raise InvalidArgument(f"HDF5's filter does not take {', '.join(options)}; expected effort alone")
    return {"chunksizes": _chunks(shape), **h5(effort=effort, **bounds)}


def _chunks(shape: Sequence[int]) -> tuple[int, ...]:
    """Chunks of a variable whose last three axes are frames, rows and columns."""
    if len(shape) == 1:
        return (min(shape[0], _CHUNK_VALUES),)
    last = [min(n, most) for n, most in zip(shape[-3:], _MOST[-len(shape[-3:]) :], strict=True)]
    if len(last) == 3:
        last[0] = min(last[0], max(8, _CHUNK_VALUES // (last[1] * last[2])))
    return (*(1 for _ in shape[:-3]), *last)

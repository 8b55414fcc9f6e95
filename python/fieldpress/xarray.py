"""xarray: archives as datasets.

>>> xarray.open_dataset("run.fpa", engine="fieldpress", chunks={})
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import xarray
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from ._settings import Options
from .archive import TIME, Archive, Variable

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        for dim, (values, attrs) in archive._coords.items():
            if archive.dims.get(dim) == len(values):
                variables[dim] = xarray.Variable((dim,), values, attrs)
        for name, variable in archive.items():
            data = indexing.LazilyIndexedArray(_Lazy(variable))
            lazy = xarray.Variable(variable.dims, data, variable.attrs)
            lazy.encoding["preferred_chunks"] = {TIME: windows}
            # A variable may have the name of the steps' dimension.
            variables[f"{name}_" if name in variables else name] = lazy
        dataset = xarray.Dataset({k: v for k, v in variables.items() if k not in dropped}, attrs=archive.attrs)
        dataset = xarray.decode_cf(dataset, **{k: v for k, v in decoders.items() if v is not None})
        dataset.set_close(archive.close)
        return dataset

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether a path ends with ``.fpa``."""
        try:
            return str(os.fspath(filename_or_obj)).endswith(".fpa")
        except TypeError:
            return False

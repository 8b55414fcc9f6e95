"""Archives: the output of a job, many variables and steps in one file, read lazily and written from one process.

An archive's steps are the first axis of every variable here. Names of dimensions and one-dimensional coordinates are
kept in attributes that begin with ``_`` (docs/archive.md, Names and coordinates), and are left out of `attrs`.
"""

from __future__ import annotations

import contextlib
import math
import os
from builtins import open as open_file
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _fieldpress, _runtime
from ._arrays import DTYPES, Selection, field, name_of, select, strided
from ._settings import Bounds, Options, bound, keywords, pairs, split
from .errors import InvalidArgument
from .info import Bound

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import ArrayLike, DTypeLike, NDArray
    from typing_extensions import Self, Unpack

    Attributes = Mapping[str, str | int | float | Sequence[int] | Sequence[float]]

#: The attribute of a variable that names its dimensions, separated by commas.
DIMENSIONS = "_dimensions"
#: The attribute of an archive that holds the coordinate along a dimension begins so; after another dot follow those of
#: its own attributes.
COORDINATE = "_coordinate."
#: The dimension of the steps, and the beginning of the attributes of the archive that describe their times.
TIME = "time"


class Archive(Mapping[str, "Variable"]):
    """An archive opened for reading: a mapping from names to variables. Usable from several threads, and pickled.

    A variable that is indexed, as NumPy's arrays are, reads and decodes what the index touches::

        with fieldpress.open("run.fpa") as run:
            run["temperature"][3:7, 10:20]     # steps 3 to 6, rows 10 to 19

    Parameters
    ----------
    path
        The file.
    missing
        What points get that were never put; None makes them an error.
    **options
        Of `fieldpress.Options`: device, threads, model.

    Raises
    ------
    FileNotFoundError, PermissionError
        As from ``open``.
    CorruptError, UnsupportedError
        For a file that is no sound archive, or one of a later version.
    """

    @keywords(Options)
    def __init__(
        self, path: str | PathLike[str], *, missing: float | None = math.nan, **options: Unpack[Options]
    ) -> None:
        self._arguments = (os.fspath(path), missing, dict(options))
        self.missing = missing
        with open_file(path, "rb"):
            pass  # raises what Python's own open does
        _runtime.locate()
        self._reader: _fieldpress.Reader | None = _fieldpress.Reader(os.fspath(path), list(pairs(split(options)[1])))
        self._process = os.getpid()
        #: Attributes of the archive.
        self.attrs: dict[str, Any] = _values(self._reader.attributes())
        #: What describes the times: ``units`` and ``calendar`` as CF has them, where the writer gave any.
        self.time_attrs: dict[str, Any] = _values(self._reader.time_attributes())
        #: What each step is as the writer gave it, usually the simulated time.
        self.time: NDArray[np.float64] = np.array(self._reader.times(), np.float64)
        described = zip(self._reader.variables(), self._reader.dimensions(), strict=True)
        self._variables = {
            of["name"]: Variable(self, number, of, tuple(dims)) for number, (of, dims) in enumerate(described)
        }
        self._coords = self._fitting_coordinates(self._reader)

    def _fitting_coordinates(
        self, reader: _fieldpress.Reader
    ) -> dict[str, tuple[tuple[str, ...], NDArray[np.float64], dict[str, Any]]]:
        """Dimensions, values and attributes of each coordinate; of those alone that fit the variables' dimensions."""
        sizes, out = self.dims, {}
        for name, dims, values, attributes in reader.coordinates():
            shape = [sizes.get(dim, 0) for dim in dims]
            if math.prod(shape) == len(values):
                out[name] = tuple(dims), np.array(values).reshape(shape), _values(attributes)
        return out

    @property
    def path(self) -> str:
        """The file."""
        return self._arguments[0]

    @property
    def steps(self) -> int:
        """Committed steps."""
        return len(self.time)

    @property
    def dims(self) -> dict[str, int]:
        """Names and sizes of the variables' dimensions."""
        return {name: n for v in self.values() for name, n in zip(v.dims, v.shape, strict=True)} or {TIME: self.steps}

    @property
    def coords(self) -> dict[str, NDArray[Any]]:
        """Coordinates along dimensions, the times among them."""
        return {TIME: self.time} | {name: values for name, (_, values, _) in self._coords.items()}

    @property
    def commits(self) -> list[range]:
        """Steps that were committed together: to read one of them, its window is decoded."""
        return [range(*steps) for steps in self.reader().commits()]

    def reader(self) -> _fieldpress.Reader:
        """The extension's reader; a forked process opens its own.

        Raises
        ------
        InvalidArgument
            Where the archive is closed.
        """
        if self._reader is None:
            raise InvalidArgument(f"the archive {self.path} is closed")
        if self._process != os.getpid():
            path, _, options = self._arguments
            self._reader = _fieldpress.Reader(path, list(pairs(options)))
            self._process = os.getpid()
        return self._reader

    def close(self) -> None:
        """Closes the file. What was read stays."""
        self._reader = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> Variable:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, self._arguments

    def __repr__(self) -> str:
        lines = [f"<fieldpress.Archive {self.path}: {self.steps} steps>"]
        lines += [
            f"    {v.name}({', '.join(f'{d}: {n}' for d, n in zip(v.dims, v.shape, strict=True))}) {v.dtype}"
            for v in self.values()
        ]
        return "\n".join(lines)


class Variable:
    """A variable of an archive: steps, then the axes of its domain. Indexing reads; nothing is kept."""

    def __init__(self, archive: Archive, number: int, described: Mapping[str, Any], dims: tuple[str, ...]) -> None:
        self._archive, self._number = archive, number
        self._domain: tuple[int, ...] = described["shape"]
        #: Its name.
        self.name: str = described["name"]
        #: float32 or float64.
        self.dtype: np.dtype[Any] = DTYPES[described["dtype"]]
        #: Names of its dimensions, the steps' first.
        self.dims: tuple[str, ...] = (TIME, *dims)
        #: Its attributes.
        self.attrs: dict[str, Any] = {
            name: _value(value) for name, value in described["attributes"].items() if name != DIMENSIONS
        }

    @property
    def shape(self) -> tuple[int, ...]:
        """Steps, then the sizes of the domain."""
        return (self._archive.steps, *self._domain)

    @property
    def ndim(self) -> int:
        """Its number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Its number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of its values, decoded."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def bound(self, step: int) -> Bound | None:
        """The bound of a step's values; None where the variable was not put."""
        info = self._archive.reader().commit_info(self._number, range(len(self))[step])
        return Bound(*info["bound"]) if info else None

    def nrmse(self, step: int) -> float | None:
        """Root mean square error over the range, as achieved in a step's window."""
        info = self._archive.reader().commit_info(self._number, range(len(self))[step])
        return float(info["nrmse"]) if info else None

    @property
    def stream_bytes(self) -> int:
        """Bytes of its streams in the archive."""
        infos = (self._archive.reader().commit_info(self._number, steps[0]) for steps in self._archive.commits)
        return sum(info["stream_bytes"] for info in infos if info)

    def __getitem__(self, key: Any) -> Any:
        chosen = select(key, self.shape)
        out = np.empty(chosen.count, self.dtype)
        if 0 in chosen.count:
            return out[chosen.rest]
        stride = chosen.rest[0].step if isinstance(chosen.rest[0], slice) else None
        if stride is None:
            self._read(chosen, chosen.start[0], out)
            return out[chosen.rest]
        # Steps that are not wanted are not decoded for it.
        steps = range(chosen.count[0])[::stride]
        out = np.empty((len(steps), *chosen.count[1:]), self.dtype)
        for at, step in enumerate(steps):
            self._read(chosen, chosen.start[0] + step, out[at : at + 1])
        return out[(slice(None), *chosen.rest[1:])]

    def _read(self, chosen: Selection, first: int, out: NDArray[Any]) -> None:
        """Reads a box at as many steps as the output has, from ``first`` on."""
        reader, missing = self._archive.reader(), self._archive.missing
        region = None if chosen.count[1:] == self._domain else (chosen.start[1:], chosen.count[1:])
        if out.ndim <= _fieldpress.MAX_DIMS:
            reader.read(self._number, (first, first + len(out)), region, missing, out)
            return
        for step, values in enumerate(out, first):
            reader.read(self._number, (step, step + 1), region, missing, values)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a variable of an archive is read, which makes an array; copy=False cannot be had")
        return np.asarray(self[...], dtype)

    def __repr__(self) -> str:
        dims = ", ".join(f"{name}: {n}" for name, n in zip(self.dims, self.shape, strict=True))
        return f"<fieldpress.Variable {self.name}({dims}) {self.dtype}>"


class ArchiveWriter:
    """An archive opened for writing, by this process alone; programs with MPI write from C, C++ or Fortran.

    Variables are defined, steps begin, boxes are put, steps end; a full window is committed, and stays whatever happens
    after::

        with fieldpress.create("run.fpa", window=8, time_units="days since 2000-01-01") as run:
            run.define("t", (180, 360), dims=("lat", "lon"), attrs={"units": "K"})
            for time, values in simulation:
                with run.step(time):
                    run.put("t", values, nrmse=1e-3)

    Parameters
    ----------
    path
        The file.
    mode
        "create" (an error where there is one), "replace" or "append".
    window
        Steps that are kept in memory, coded and committed together. A crash loses those that are not committed.
    attrs
        Attributes of the archive: text, a number, or a sequence of numbers.
    time_units, calendar
        What the steps' times are, as CF has it: "days since 2000-01-01", "noleap".
    **options
        `fieldpress.Options`, and the archive's own (docs/archive.md): keep, keyframe, embed_model, sync, lock.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        mode: str = "create",
        window: int = 1,
        attrs: Attributes | None = None,
        time_units: str | None = None,
        calendar: str | None = None,
        **options: Any,
    ) -> None:
        _runtime.locate()
        self._fill_value = options.get("fill_value")
        settings = pairs({"mode": mode, "window": window, **options})
        self._writer = _fieldpress.Writer(os.fspath(path), list(settings))
        self._numbers: dict[str, tuple[int, tuple[int, ...]]] = {}
        described = {f"{TIME}.units": time_units, f"{TIME}.calendar": calendar} | dict(attrs or {})
        for name, value in described.items():
            if value is not None:
                self._writer.set_attribute(name, _attribute(value))

    def define(
        self,
        name: str,
        shape: Sequence[int],
        dtype: DTypeLike = np.float32,
        *,
        dims: Sequence[str] | None = None,
        attrs: Attributes | None = None,
    ) -> None:
        """Defines a variable by the shape of its domain, without the steps.

        Raises
        ------
        InvalidArgument
            For a name that is taken, as many names of dimensions as there are no axes, or during a step.
        """
        described = dict(attrs or {})
        if dims is not None:
            if len(dims) != len(shape) or any("," in dim or not dim for dim in dims):
                raise InvalidArgument(f"dims are {tuple(dims)}; expected {len(shape)} names without commas")
            described[DIMENSIONS] = ",".join(dims)
        attributes = [(key, _attribute(value)) for key, value in described.items()]
        number = self._writer.define(name, list(shape), name_of(np.dtype(dtype)), attributes)
        self._numbers[name] = number, tuple(shape)

    def coordinate(
        self, name: str, values: ArrayLike, attrs: Attributes | None = None, *, dims: Sequence[str] | None = None
    ) -> None:
        """Sets a coordinate along the dimension of its name, or along ``dims``: numbers, kept exactly.

        Raises
        ------
        InvalidArgument
            For as many names of dimensions as the values have no axes.
        """
        array = np.asarray(values, np.float64)
        dims = (name,) if dims is None else tuple(dims)
        if len(dims) != array.ndim or any("," in dim or not dim for dim in dims):
            raise InvalidArgument(f"dims are {dims}; expected {array.ndim} names without commas")
        self._writer.set_attribute(COORDINATE + name, _attribute(array.ravel()))
        if dims != (name,):
            self._writer.set_attribute(f"{COORDINATE}{name}.{DIMENSIONS}", ",".join(dims))
        for key, value in (attrs or {}).items():
            self._writer.set_attribute(f"{COORDINATE}{name}.{key}", _attribute(value))

    @contextlib.contextmanager
    def step(self, time: float) -> Iterator[None]:
        """One step: begins it, and ends it where nothing was raised."""
        self.begin_step(time)
        yield
        self.end_step()

    def begin_step(self, time: float) -> None:
        """Begins a step; the time is what a reader finds as its `Archive.time`."""
        self._writer.begin_step(float(time))

    @keywords(Bounds)
    def put(self, name: str, array: ArrayLike, *, start: Sequence[int] | None = None, **bounds: Unpack[Bounds]) -> None:
        """Gives a variable's values in this step, or those of a box that begins at ``start``; they are copied."""
        if name not in self._numbers:
            known = ", ".join(self._numbers) or "none"
            raise InvalidArgument(f"variable {name} is not defined; defined are: {known}")
        number, shape = self._numbers[name]
        values = strided(field(array, self._fill_value))
        self._writer.put(number, list(start or (0,) * len(shape)), values, bound(bounds))

    def end_step(self) -> None:
        """Ends the step; where its window is full, it is committed and on stable storage when this returns."""
        self._writer.end_step()

    def flush(self) -> None:
        """Commits the steps of a window that is not full yet."""
        self._writer.flush()

    @property
    def committed_steps(self) -> int:
        """Steps that no crash takes away."""
        return self._writer.committed_steps

    def close(self) -> None:
        """Commits the steps that ended, and closes the file."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # After an error the step in progress is dropped, of which closing would complain.
        with contextlib.suppress(Exception) if kind else contextlib.nullcontext():
            self.close()


@keywords(Options)
def open(path: str | PathLike[str], *, missing: float | None = math.nan, **options: Unpack[Options]) -> Archive:
    """Opens an archive for reading; see `Archive`."""
    return Archive(path, missing=missing, **options)


def create(path: str | PathLike[str], **settings: Any) -> ArchiveWriter:
    """Opens an archive for writing; see `ArchiveWriter`."""
    return ArchiveWriter(path, **settings)


def _reopened(path: str, missing: float | None, options: Options) -> Archive:
    return Archive(path, missing=missing, **options)


def _attribute(value: Any) -> str | list[int] | list[float]:
    """An attribute as the archive has it: text, whole numbers, or numbers."""
    if isinstance(value, str):
        return value
    values = np.atleast_1d(np.asarray(value))
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise InvalidArgument(
            f"the attribute {value!r} is not supported; expected text, a number, or a list of numbers"
        )
    numbers: list[int] | list[float] = values.tolist()
    return numbers


def _values(attributes: Mapping[str, str | list[int] | list[float]]) -> dict[str, Any]:
    """Attributes as a reader wants them."""
    return {name: _value(value) for name, value in attributes.items()}


def _value(value: str | list[Any]) -> Any:
    """An attribute as a reader wants it: text, a number, or an array of them."""
    if isinstance(value, str):
        return value
    return value[0] if len(value) == 1 else np.array(value)

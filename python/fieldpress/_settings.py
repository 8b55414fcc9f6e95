"""Keywords: bounds and options, their types, and their text, which the library reads."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar

import numpy as np

from . import _fieldpress
from .errors import InvalidArgument

if TYPE_CHECKING:
    from os import PathLike

F = TypeVar("F", bound=Callable[..., Any])


class Bounds(TypedDict, total=False):
    """The error bound: exactly one of these.

    *Range* is the field's maximum − minimum over the points with data. NaN, infinities and the fill value always come
    back bit for bit.
    """

    nrmse: float
    """Root mean square error at most this × range."""
    abs: float
    """No error above this, in the field's units."""
    rel: float
    """No error above this × range."""
    psnr: float
    """20 log10(range / RMSE) at least this many dB."""
    block_l2: float
    """The ℓ2 norm of the error of every 8×8×8 block at most this, in the field's units."""
    pw_rel: float
    """No error above this × the size of the point's own value: zeros and signs are exact."""
    lossless: bool
    """Every bit as it was."""


class Size(TypedDict, total=False):
    """The size of a stream, in place of a bound."""

    ratio: float
    """The stream is at most this part of the field's bytes, under the tightest bound of kind nrmse with which it is."""


class Options(TypedDict, total=False):
    """How to compress and decompress; what is not given has the library's default."""

    effort: Literal[0, 1, 2]
    """0: fast, without the model; 1, the default; 2: smallest, for archives."""
    fm: Literal["auto", "on", "off"] | bool
    """Use of the foundation model: where it pays (the default), always, never."""
    device: str
    """Where the model runs: "auto", "cpu", "cuda" or "cuda:N"."""
    threads: int
    """Threads, 1 to 1024; by default as many as the process may use."""
    fill_value: float
    """A value that marks points without data."""
    sentinels: str
    """Values far outside of all others that mark such points, too: "auto" (the default) finds them, as 1e20 and -9999;
    "off" does not; "-9999,1e20" names them."""
    axes: tuple[int, int, int] | tuple[int, int, int, int]
    """Which axes are frames, rows and columns, or frames, planes, rows and columns; by default tried on a sample where
    there is a choice."""
    segment: int
    """Frames that are coded together, and from whose first on a part is decoded; by default 128."""
    range: float
    """The range that rel, nrmse and psnr refer to, in place of the field's own."""
    model: str | PathLike[str]
    """The folder of a model package, in place of the one inside."""
    trust_embedded_model: bool
    """Whether the model that an archive carries may run although it is not installed: a model is a program."""


class BoundAndOptions(Bounds, Options, total=False):
    """A bound, and options."""


class BoundOrSize(Bounds, Size, total=False):
    """A bound, or a size."""


class BoundOrSizeAndOptions(BoundOrSize, Options, total=False):
    """A bound or a size, and options."""


def text(value: object) -> str:
    """An option's value as the library's option string has it; numbers keep all of their digits."""
    if isinstance(value, np.generic):
        plain: object = value.item()
        return text(plain)
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, tuple | list):
        return ",".join(text(part) for part in value)
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    return str(value)


def pairs(options: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Options as names and text; those that are None are left out."""
    return tuple((name, text(value)) for name, value in options.items() if value is not None)


def split(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Bounds and options of one set of keywords.

    Raises
    ------
    TypeError
        For a keyword that is neither.
    """
    bounds = {name: value for name, value in settings.items() if name in _fieldpress.BOUND_NAMES}
    options = {name: value for name, value in settings.items() if name not in bounds}
    known = [name for name, _ in _fieldpress.OPTION_KEYS]
    for name in options:
        if name not in known:
            raise TypeError(
                f"'{name}' is not known; expected a bound ({', '.join(_fieldpress.BOUND_NAMES)}) "
                f"or an option ({', '.join(known)})"
            )
    return bounds, options


def bound(bounds: Mapping[str, Any]) -> tuple[str, float]:
    """Kind and value of the one bound that is given.

    Raises
    ------
    InvalidArgument
        Where none is, or several are.
    TypeError
        For a keyword that is no bound.
    """
    for name in bounds:
        if name not in _fieldpress.BOUND_NAMES:
            raise TypeError(f"'{name}' is not known; expected a bound: {', '.join(_fieldpress.BOUND_NAMES)}")
    given = {k: v for k, v in bounds.items() if v is not None and not (k == "lossless" and v is False)}
    if len(given) != 1:
        what = f"the bounds {', '.join(given)} are given" if given else "no bound is given"
        names = [f"{name}={'True' * (name == 'lossless')}" for name in _fieldpress.BOUND_NAMES]
        raise InvalidArgument(f"{what}; expected one of {', '.join(names)}")
    ((kind, value),) = given.items()
    return kind, 0.0 if kind == "lossless" else float(value)


def keywords(*groups: type) -> Callable[[F], F]:
    """Shows the keywords of typed dictionaries in a function's signature, for ``help`` and completion.

    Type checkers read them from the annotation of ``**settings``.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        names = dict.fromkeys(name for group in groups for name in group.__annotations__)
        more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in names]
        function.__signature__ = signature.replace(parameters=own + more)  # type: ignore[attr-defined]
        return function

    return decorate

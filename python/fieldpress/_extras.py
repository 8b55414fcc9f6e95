"""Packages that only parts of fieldpress need."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def quality_extra() -> Iterator[None]:
    """Says how to get what assessing fields needs, where it is missing.

    Raises
    ------
    ModuleNotFoundError
        With the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("scipy", "skimage", "matplotlib"):
            raise
        raise ModuleNotFoundError(
            f"{error.name} is missing, which assessing fields needs; install it: pip install 'fieldpress[quality]'",
            name=error.name,
        ) from error

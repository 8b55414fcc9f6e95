"""A second decoder of fieldpress streams and archives, written from `docs/format.md` and `docs/archive.md`.

It is slow and plain, and shares nothing with the library but the documents and the priors that belong to the format. It
runs no model: what a stream with a model holds is decoded as far as it goes without one.
"""

from .archive import Archive
from .data import Corrupt, NeedsModel, Unsupported
from .stream import Decoded, decode, inspect

__all__ = ["Archive", "Corrupt", "Decoded", "NeedsModel", "Unsupported", "decode", "inspect"]

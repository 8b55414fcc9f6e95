"""Exceptions, one for each kind of error; the message names what was wrong and what was expected."""

__all__ = [
    "CorruptError",
    "FieldpressError",
    "InternalError",
    "InvalidArgument",
    "IoError",
    "ModelError",
    "RuntimeUnavailable",
    "UnsupportedError",
]


class FieldpressError(Exception):
    """Every error of fieldpress."""


class InvalidArgument(FieldpressError, ValueError):
    """An argument or option that cannot be accepted."""


class CorruptError(FieldpressError):
    """Bytes that are no sound stream or archive: damaged, cut short, or not of fieldpress."""


class UnsupportedError(FieldpressError):
    """A stream or archive of a version, or with a feature, that this version does not know."""


class ModelError(FieldpressError):
    """A model package that is missing, damaged, or not the one that a stream names."""


class RuntimeUnavailable(FieldpressError, RuntimeError):
    """ONNX Runtime or a device that is missing, or failed (``pip install onnxruntime``)."""


class IoError(FieldpressError, OSError):
    """A refusal of the file system or the operating system."""


class InternalError(FieldpressError):
    """A bug in fieldpress: the check of its own output failed, or it panicked."""

"""Every golden stream decodes to the digest that is stored for it; what needs a model is decoded as far as it goes."""

import hashlib
from pathlib import Path

import pytest

from streamdecoder import NeedsModel, decode, inspect
from streamdecoder.cut import segments
from streamdecoder.data import Corrupt
from streamdecoder.latents import read, read_package
from streamdecoder.segment import WAYS, read_method

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/assets/golden"
PACKAGE = ROOT / "models/default"

# Streams whose values only the model's graphs can give, with the reason that the decoder must find.
MODELLED = {
    "fm-hierarchical-nrmse-f32": "the model's interpolator predicts a frame",
    "fm-enhanced-nrmse-f32": "the model's interpolator predicts a frame",
    "fm-corrected-rel-f32": "the model's interpolator predicts a frame",
    "fm-corrected-block-f32": "frames are enhanced",
    "fm-latents-nrmse-f32": "latents",
}


def digests() -> dict[str, str]:
    lines = (GOLDEN / "digests.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split() for line in lines if not line.startswith("#"))


def stream(name: str) -> bytes:
    return (GOLDEN / f"{name}.fp").read_bytes()


def test_every_golden_stream_has_a_digest() -> None:
    assert {path.stem for path in GOLDEN.glob("*.fp")} == set(digests())


@pytest.mark.parametrize("name", sorted(set(digests()) - set(MODELLED)))
def test_decodes_to_its_digest(name: str) -> None:
    values = decode(stream(name)).values
    assert hashlib.sha256(values.tobytes()).hexdigest() == digests()[name]


@pytest.mark.parametrize("name", sorted(MODELLED))
def test_what_needs_no_model_is_sound(name: str) -> None:
    """All codes of side information, masks, indices and corrections end where their bytes do."""
    with pytest.raises(NeedsModel, match=MODELLED[name]):
        decode(stream(name))


def test_latents_up_to_z() -> None:
    data = stream("fm-latents-nrmse-f32")
    header, sections = inspect(data)
    assert header.segments is not None and header.segments.model == "latents"
    package = read_package(PACKAGE)
    for segment, section in zip(segments(header, header.segments.frames), sections, strict=True):
        method = read_method(section)
        assert WAYS[method.way] == "latents" and method.window == package.frames
        windows = -(-segment.frames // method.window)
        tiles = read(method.latents, segment, windows, package)
        # The encoder's z is of a trained model: small numbers that are not all the same.
        assert all(abs(tile.z).max() < 20 and tile.z.any() for tile in tiles)


@pytest.mark.parametrize("name", ["previous-nrmse-f32", "lossless-f32", "constant-f32"])
def test_changed_bytes_are_refused(name: str) -> None:
    data = stream(name)
    for at in range(0, len(data), max(1, len(data) // 40)):
        damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises((Corrupt, ValueError)):
            inspect(damaged)
    for cut in range(0, len(data), max(1, len(data) // 20)):
        with pytest.raises(Corrupt):
            inspect(data[:cut])

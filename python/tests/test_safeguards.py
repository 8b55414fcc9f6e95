"""Under compression-safeguards, through numcodecs: a sign, which fieldpress does not promise, is guaranteed."""

import numcodecs
import numpy as np
from conftest import waves
from numcodecs_safeguards import SafeguardedCodec

import fieldpress


def test_signs_are_kept() -> None:
    field = waves((8, 40, 48))
    bound = 0.5
    plain = fieldpress.decompress(fieldpress.compress(field, abs=bound, effort=0, threads=1))
    assert np.any(np.sign(plain) != np.sign(field)), "without safeguards, signs near zero are not kept"

    codec = SafeguardedCodec(
        codec={"id": "fieldpress", "abs": bound, "effort": 0, "threads": 1},
        safeguards=[{"kind": "sign"}, {"kind": "eb", "type": "abs", "eb": bound}],
    )
    stream = codec.encode(field)
    decoded = np.asarray(numcodecs.get_codec(codec.get_config()).decode(stream)).reshape(field.shape)
    np.testing.assert_array_equal(np.sign(decoded), np.sign(field))
    assert np.abs(decoded - field).max() <= bound
    assert len(stream) * 4 < field.nbytes

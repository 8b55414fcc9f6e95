"""Gray–Scott reaction–diffusion in pattern-forming regimes, started from random patches.

∂u/∂t = Du ∇²u − u v² + F (1 − u),    ∂v/∂t = Dv ∇²v + u v² − (F + k) v
"""

from __future__ import annotations

import numpy as np

from training.corpus.spectral import Array

REGIMES = (
    (0.026, 0.051),
    (0.039, 0.058),
    (0.018, 0.051),
    (0.029, 0.057),
    (0.026, 0.055),
    (0.0367, 0.0649),
    (0.022, 0.051),
)
"""(F, k) after Pearson 1993: waves, moving spots, worms, chaos, replication."""


def laplacian(x: Array) -> Array:
    """Nine-point periodic stencil, unit grid."""
    vertical = np.roll(x, 1, 0) + np.roll(x, -1, 0)
    diagonal = np.roll(vertical, 1, 1) + np.roll(vertical, -1, 1)
    return 0.2 * (vertical + np.roll(x, 1, 1) + np.roll(x, -1, 1)) + 0.05 * diagonal - x


def generate(seed: int, size: int, frames: int) -> dict[str, Array]:
    rng = np.random.default_rng([seed, 3])
    feed, kill = REGIMES[seed % len(REGIMES)]
    scale = float(rng.uniform(0.7, 1.5))
    du, dv = 1.0 * scale, 0.5 * scale
    u, v = np.ones((size, size), np.float32), np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(8, 30))):
        y, x, r = rng.integers(size), rng.integers(size), int(rng.integers(4, 12))
        rows, cols = np.arange(y, y + r) % size, np.arange(x, x + r) % size
        u[np.ix_(rows, cols)], v[np.ix_(rows, cols)] = 0.5, 0.25
    v += rng.uniform(0, 0.02, v.shape).astype(np.float32)
    dt, every = 0.6, int(rng.integers(5, 14))

    def steps(count: int) -> None:
        nonlocal u, v
        for _ in range(count):
            reaction = u * v * v
            u, v = (
                u + dt * (du * laplacian(u) - reaction + feed * (1 - u)),
                v + dt * (dv * laplacian(v) + reaction - (feed + kill) * v),
            )

    steps(int(rng.integers(700, 1800)) if size >= 128 else 50)
    out: dict[str, list[Array]] = {"u": [], "v": []}
    for _ in range(frames):
        out["u"].append(u)
        out["v"].append(v)
        steps(every)
    return {name: np.stack(x) for name, x in out.items()}

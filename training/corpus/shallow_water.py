"""Rotating shallow water on a periodic plane: balanced vortices with gravity waves radiating from them.

    ∂u/∂t + ζ×u = −∇(g h + |u|²/2) − f×u,    ∂h/∂t + ∇·(h u) = 0

Fields: height `h`, velocity `u`, vorticity `z`.
"""

from __future__ import annotations

import numpy as np

from training.corpus.spectral import Array, Grid


def generate(seed: int, size: int, frames: int) -> dict[str, Array]:
    rng = np.random.default_rng([seed, 7])
    grid = Grid(size)
    k = np.sqrt(grid.k2)
    k0 = float(rng.uniform(3, 8))
    psi = grid.random_field(rng, (k > 0) * np.exp(-(((k - k0) / 2) ** 2)))
    u, v = grid.velocity(-psi * grid.k2)
    scale = 1 / np.sqrt(np.mean(u * u + v * v))
    u, v = u * scale, v * scale
    celerity = float(rng.uniform(2, 5))
    coriolis = float(rng.uniform(2, 12))
    depth = celerity**2
    height = depth + coriolis * float(rng.uniform(0.6, 1.0)) * grid.inverse(psi) * scale
    height = np.maximum(height, 0.3 * depth).astype(np.float32)
    state = [grid.forward(a.astype(np.float32)) for a in (u, v, height)]
    dt = 0.4 * grid.dx / (celerity * 1.5 + 4)
    damping = np.exp(-2.0 * k0 * (grid.k2 / (size / 3) ** 2) ** 2 * dt)
    ikx, iky = 1j * grid.kx * grid.dealias, 1j * grid.ky * grid.dealias

    def tendency(s: list[Array]) -> list[Array]:
        uu, vv, hh = (grid.inverse(a) for a in s)
        absolute = coriolis + grid.inverse(ikx * s[1] - iky * s[0])
        bernoulli = grid.forward(hh + 0.5 * (uu * uu + vv * vv))
        return [
            grid.forward(absolute * vv) - ikx * bernoulli,
            -grid.forward(absolute * uu) - iky * bernoulli,
            -(ikx * grid.forward(hh * uu) + iky * grid.forward(hh * vv)),
        ]

    def step(s: list[Array]) -> list[Array]:
        def add(a: list[Array], b: list[Array], f: float) -> list[Array]:
            return [x + f * y for x, y in zip(a, b, strict=True)]

        k1 = tendency(s)
        k2 = tendency(add(s, k1, dt / 2))
        k3 = tendency(add(s, k2, dt / 2))
        k4 = tendency(add(s, k3, dt))
        total = [a + 2 * b + 2 * c + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True)]
        return [(x * damping).astype(np.complex64) for x in add(s, total, dt / 6)]

    for _ in range(int(rng.integers(60, 250))):
        state = step(state)
    out: dict[str, list[Array]] = {"h": [], "u": [], "z": []}
    for _ in range(frames):
        out["h"].append(grid.inverse(state[2]))
        out["u"].append(grid.inverse(state[0]))
        out["z"].append(grid.inverse(ikx * state[1] - iky * state[0]))
        for _ in range(5):
            state = step(state)
    return {name: np.stack(x) for name, x in out.items()}

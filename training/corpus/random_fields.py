"""Gaussian random fields of random spectral slope: drifting, dispersing (each wave at its own speed) or carried by a
flow.
"""

from __future__ import annotations

import numpy as np

from training.corpus.spectral import Array, Grid


def generate(seed: int, size: int, frames: int) -> dict[str, Array]:
    rng = np.random.default_rng([seed, 8])
    grid = Grid(size)
    k = np.sqrt(grid.k2)
    knee, slope = float(rng.uniform(2, 12)), float(rng.uniform(3, 7))
    shape = (k > 0) * (1 + (k / knee) ** 2) ** (-slope / 2) * np.exp(-((k / (0.35 * size)) ** 4))
    spectrum = grid.random_field(rng, shape)
    if seed % 2 == 0:
        drift = rng.normal(0, 0.5, 2) * grid.dx
        power, rate = float(rng.uniform(0.3, 1.2)), float(rng.uniform(0.01, 0.06))
        omega = (rng.choice([-1.0, 1.0], k.shape) if seed % 4 == 0 else 1.0) * rate * k**power
        phase = (drift[0] * grid.ky + drift[1] * grid.kx + omega).astype(np.float32)
        return {"f": np.stack([grid.inverse(spectrum * np.exp(-1j * t * phase)) for t in range(frames)])}
    # Passive tracer in a steady incompressible flow, lightly diffused.
    stream = grid.random_field(rng, (k > 0) * (1 + (k / 3) ** 2) ** -2.5)
    u, v = grid.velocity(-stream * grid.k2)
    top = float(np.sqrt(np.max(u * u + v * v)))
    u, v = u / top, v / top
    dt = 0.4 * grid.dx
    decay = np.exp(-1.0 * (grid.k2 / (size / 3) ** 2) ** 2 * dt * 4).astype(np.float32)

    def tendency(x_hat: Array) -> Array:
        flux_x, flux_y = (grid.forward(c * grid.inverse(x_hat)) for c in (u, v))
        return -1j * (grid.kx * flux_x + grid.ky * flux_y) * grid.dealias

    out = []
    for index in range(frames + 20):
        if index >= 20:
            out.append(grid.inverse(spectrum))
        for _ in range(2):
            k1 = tendency(spectrum)
            k2 = tendency(spectrum + dt / 2 * k1)
            k3 = tendency(spectrum + dt / 2 * k2)
            spectrum = ((spectrum + dt * k3) * decay).astype(np.complex64)
    return {"f": np.stack(out)}

"""Acoustic waves in a random medium: second order in time, pseudo-spectral Laplacian, random sources and sponge-free
box.

∂²p/∂t² = ∇·(c² ∇p) + s
"""

from __future__ import annotations

import numpy as np

from training.corpus.spectral import Array, Grid


def generate(seed: int, size: int, frames: int) -> dict[str, Array]:
    rng = np.random.default_rng([seed, 4])
    grid = Grid(size)
    k = np.sqrt(grid.k2)
    medium = grid.inverse(grid.random_field(rng, (1 + (k / rng.uniform(3, 8)) ** 2) ** -1.5))
    medium /= np.abs(medium).max()
    speed2 = (1 + float(rng.uniform(0.1, 0.5)) * medium).astype(np.float32) ** 2
    ik = (1j * grid.kx * grid.dealias).astype(np.complex64), (1j * grid.ky * grid.dealias).astype(np.complex64)
    width = float(rng.uniform(3, 7)) * grid.dx
    axis = np.arange(size) * grid.dx
    pressure = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(2, 10))):
        cy, cx = rng.uniform(0, 2 * np.pi, 2)
        dy, dx = (np.minimum(np.abs(axis - c), 2 * np.pi - np.abs(axis - c)) for c in (cy, cx))
        r2 = (dy[:, None] ** 2 + dx[None, :] ** 2) / width**2
        pressure += (rng.normal() * (1 - r2 / 2) * np.exp(-r2 / 2)).astype(np.float32)
    dt = 0.35 * grid.dx / float(np.sqrt(speed2.max()))
    before = pressure.copy()

    def step() -> None:
        nonlocal pressure, before
        p_hat = grid.forward(pressure)
        flux = [grid.forward(speed2 * grid.inverse(d * p_hat)) for d in ik]
        acceleration = grid.inverse(ik[0] * flux[0] + ik[1] * flux[1])
        pressure, before = (2 * pressure - before + dt**2 * acceleration).astype(np.float32), pressure

    for _ in range(int(rng.integers(120, 400))):
        step()
    every, out = int(rng.integers(1, 4)), []
    for _ in range(frames):
        out.append(pressure)
        for _ in range(every):
            step()
    return {"p": np.stack(out)}

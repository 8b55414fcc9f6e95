"""Tropical-cyclone-like vortices: Holland-profile winds and pressure, translating and spiralling over a moving
background.

Closed-form (nothing is integrated): pressure `p`, wind `u`, and a rain-like `r` with rotating spiral bands.
"""

from __future__ import annotations

import numpy as np

from training.corpus.spectral import Array, Grid


def background(grid: Grid, rng: np.random.Generator, frames: int, slope: float) -> Array:
    """A Gaussian random field drifting and slowly changing, `[frames, size, size]`, unit variance."""
    k = np.sqrt(grid.k2)
    spectrum = grid.random_field(rng, (k > 0) * (1 + (k / 3) ** 2) ** (-slope / 2))
    drift = rng.normal(0, 0.02, 2)
    omega = (rng.normal(0, 0.03, grid.k2.shape) * np.sqrt(k)).astype(np.float32)
    out = [
        grid.inverse(spectrum * np.exp(-1j * t * (drift[0] * grid.kx + drift[1] * grid.ky + omega)))
        for t in range(frames)
    ]
    field = np.stack(out).astype(np.float32)
    return field / field.std()


def generate(seed: int, size: int, frames: int) -> dict[str, Array]:
    rng = np.random.default_rng([seed, 6])
    grid = Grid(size)
    pressure = float(rng.uniform(1, 4)) * background(grid, rng, frames, 5)
    wind = float(rng.uniform(1, 4)) * background(grid, rng, frames, 4)
    rain = 0.5 * np.maximum(background(grid, rng, frames, 3) - 1, 0)
    y, x = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32), indexing="ij")
    for _ in range(int(rng.integers(1, 5))):
        start, heading = rng.uniform(0.1, 0.9, 2) * size, rng.uniform(0, 2 * np.pi)
        speed, curve = float(rng.uniform(0.1, 0.6)), float(rng.normal(0, 0.01))
        eye, shape = float(rng.uniform(4, 12)), float(rng.uniform(1.0, 1.8))
        deep, spin = float(rng.uniform(20, 60)), float(rng.choice([-1, 1]))
        arms, pitch, rotation = int(rng.integers(1, 4)), float(rng.uniform(2, 5)), float(rng.uniform(0.01, 0.06))
        position = np.array(start)
        for t in range(frames):
            angle = heading + curve * t
            position = position + speed * np.array([np.sin(angle), np.cos(angle)])
            dy, dx = y - position[0], x - position[1]
            r = np.hypot(dy, dx) + 0.5
            intensity = deep * (1 + 0.2 * np.sin(0.03 * t + heading))
            ratio = (eye / r) ** shape
            pressure[t] += -intensity * (1 - np.exp(-ratio))
            tangential = np.sqrt(intensity * ratio * np.exp(-ratio)) * 5
            wind[t] += -spin * tangential * dy / r
            phase = arms * (np.arctan2(dy, dx) - spin * (pitch * np.log(r / eye) - rotation * t))
            rain[t] += tangential * 0.2 * np.maximum(np.cos(phase), 0) ** 2 * np.exp(-r / (8 * eye))
    return {"p": pressure, "u": wind, "r": rain}

"""3-D turbulence, forced at the largest scales: two-dimensional slices in time of a pseudo-spectral Navier–Stokes box.

Velocity component `u` and one vorticity component `w` on two slices each.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from training.corpus.spectral import Array


def generate(seed: int, size: int, frames: int) -> dict[str, Array]:
    rng = np.random.default_rng([seed, 9])
    n = size
    line = (np.fft.fftfreq(n) * n).astype(np.float32)
    k = [line[:, None, None], line[None, :, None], np.arange(n // 2 + 1, dtype=np.float32)[None, None, :]]
    k2 = k[0] ** 2 + k[1] ** 2 + k[2] ** 2
    safe = np.where(k2 > 0, k2, 1)
    keep = ((np.abs(k[0]) < n / 3) & (np.abs(k[1]) < n / 3) & (k[2] < n / 3)).astype(np.float32)

    def inverse(x: Array) -> Array:
        return fft.irfftn(x, s=(n, n, n), workers=1)

    def project(s: list[Array]) -> list[Array]:
        pressure = sum(a * b for a, b in zip(k, s, strict=True)) / safe
        return [(a - b * pressure) * keep for a, b in zip(s, k, strict=True)]

    shape = keep * (k2 > 0) * (1 + k2 / 9) ** -1.8
    state = project([fft.rfftn(rng.standard_normal((n, n, n)).astype(np.float32), workers=1) * shape for _ in range(3)])
    energy = np.sqrt(sum(float(np.mean(inverse(s) ** 2)) for s in state))
    state = [s / energy for s in state]
    dx = 2 * np.pi / n
    viscosity = 0.45 * dx ** (4 / 3)
    forcing = (0.25 * (k2 <= 6) * (k2 > 0)).astype(np.float32)

    def curl(s: list[Array], i: int) -> Array:
        a, b = (i + 1) % 3, (i + 2) % 3
        return inverse(1j * (k[a] * s[b] - k[b] * s[a]))

    def tendency(s: list[Array]) -> list[Array]:
        u = [inverse(x) for x in s]
        w = [curl(s, i) for i in range(3)]
        cross = [
            fft.rfftn(u[(i + 1) % 3] * w[(i + 2) % 3] - u[(i + 2) % 3] * w[(i + 1) % 3], workers=1) for i in range(3)
        ]
        return [t + forcing * x for t, x in zip(project(cross), s, strict=True)]

    dt = 0.12 * dx
    damping = np.exp(-viscosity * k2 * dt).astype(np.float32)
    half = np.exp(-viscosity * k2 * dt / 2).astype(np.float32)

    def step(s: list[Array]) -> list[Array]:
        k1 = tendency(s)
        middle = [(x + dt / 2 * y) * half for x, y in zip(s, k1, strict=True)]
        k2_ = tendency(middle)
        return [(x * damping + dt * y * half).astype(np.complex64) for x, y in zip(s, k2_, strict=True)]

    for _ in range(110):
        state = step(state)
    out: dict[str, list[Array]] = {"u0": [], "u1": [], "w0": [], "w1": []}
    for _ in range(frames):
        u, w = inverse(state[0]), curl(state, 2)
        out["u0"].append(u[0])
        out["u1"].append(u[:, n // 2])
        out["w0"].append(w[:, :, 0])
        out["w1"].append(w[n // 2])
        state = step(step(state))
    return {name: np.stack(x) for name, x in out.items()}

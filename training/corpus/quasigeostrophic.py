"""Quasi-geostrophic flow on a β-plane, one layer: barotropic, or equivalent-barotropic with a deformation radius.

    ∂q/∂t + J(ψ, q) + β ∂ψ/∂x = −ν ∇⁴ q' − μ q',    q = ∇²ψ − ψ/L²

Fields: potential vorticity `q` and streamfunction `psi` (a sea-surface-height or pressure look-alike).
"""

from __future__ import annotations

import numpy as np

from training.corpus.spectral import Array, Grid


class Flow:
    """The flow of one seed, spun up; `q` is the spectrum of its potential vorticity."""

    def __init__(self, seed: int, size: int) -> None:
        rng = np.random.default_rng([seed, 2])
        grid = self.grid = Grid(size)
        k0 = float(rng.uniform(4, 10))
        deformation = float(rng.choice([0.0, 1.0])) * float(rng.uniform(3, 12)) ** 2
        self.invert = (-1 / np.where(grid.k2 + deformation > 0, grid.k2 + deformation, 1)).astype(np.float32)
        self.invert[0, 0] = 0
        k = np.sqrt(grid.k2)
        q = grid.random_field(rng, np.exp(-(((k - k0) / 2) ** 2)) * grid.dealias)
        q /= grid.inverse(q).std()
        psi_rms = float(grid.inverse(self.invert * q).std())
        speed = psi_rms * k0
        self.beta = float(rng.uniform(0, 0.25)) * speed * k0**2
        forcing = grid.random_field(rng, np.exp(-(((k - k0) / 1.5) ** 2)) * grid.dealias)
        self.forcing = forcing * (0.05 * float(rng.random() < 0.7) / grid.inverse(forcing).std())
        self.damping = 1.5 * (grid.k2 / (size / 3) ** 2) ** 2 + 0.02
        self.q = q
        for index in range(int(rng.integers(400, 900))):
            if index % 10 == 0:
                self.dt = min(0.6 * grid.dx / self.fastest(), 0.05, 1.5 / (self.beta / max(k0, 1) + 1e-6))
            self.step()
        # Frames are a few cells of the fastest flow apart (under one of the typical flow), in steps that are stable.
        interval = float(rng.uniform(2, 5)) * grid.dx / self.fastest()
        self.every = max(1, int(np.ceil(interval / self.dt)))
        """Steps from one frame to the next."""
        self.dt = interval / self.every

    def tendency(self, q: Array) -> Array:
        grid, psi = self.grid, self.invert * q
        u, v = grid.inverse(-1j * grid.ky * psi), grid.inverse(1j * grid.kx * psi)
        pv = grid.inverse(q)
        advect = 1j * (grid.kx * grid.forward(u * pv) + grid.ky * grid.forward(v * pv)) * grid.dealias
        return self.forcing - advect - self.beta * 1j * grid.kx * psi

    def step(self) -> None:
        q, dt = self.q, self.dt
        k1 = self.tendency(q)
        k2 = self.tendency(q + dt / 2 * k1)
        k3 = self.tendency(q + dt / 2 * k2)
        k4 = self.tendency(q + dt * k3)
        self.q = ((q + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)) * np.exp(-self.damping * dt)).astype(np.complex64)

    def psi(self) -> Array:
        """Spectrum of the streamfunction."""
        return self.invert * self.q

    def velocity(self) -> tuple[Array, Array]:
        """`(u, v)` in space: u = −∂ψ/∂y, v = ∂ψ/∂x."""
        psi = self.psi()
        return self.grid.inverse(-1j * self.grid.ky * psi), self.grid.inverse(1j * self.grid.kx * psi)

    def fastest(self) -> float:
        u, v = self.velocity()
        return float(np.abs(v).max() + np.abs(u).max())


def generate(seed: int, size: int, frames: int) -> dict[str, Array]:
    flow = Flow(seed, size)
    out: dict[str, list[Array]] = {"q": [], "psi": []}
    for _ in range(frames):
        out["q"].append(flow.grid.inverse(flow.q))
        out["psi"].append(flow.grid.inverse(flow.psi()))
        for _ in range(flow.every):
            flow.step()
    return {name: np.stack(v) for name, v in out.items()}

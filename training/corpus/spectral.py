"""Periodic 2-D pseudo-spectral helpers (single precision, scipy.fft), shared by the generators."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import fft

Array = np.ndarray


@dataclass
class Grid:
    """Wavenumbers of a `[size, size]` periodic box of side 2π, with the 2/3 dealiasing mask."""

    size: int
    kx: Array = field(init=False)
    ky: Array = field(init=False)
    k2: Array = field(init=False)
    inv_k2: Array = field(init=False)
    dealias: Array = field(init=False)

    def __post_init__(self) -> None:
        n = self.size
        self.kx = np.arange(n // 2 + 1, dtype=np.float32)[None, :]
        self.ky = (np.fft.fftfreq(n) * n).astype(np.float32)[:, None]
        self.k2 = self.kx**2 + self.ky**2
        self.inv_k2 = np.where(self.k2 > 0, 1.0 / np.maximum(self.k2, 1), 0).astype(np.float32)
        self.dealias = ((np.abs(self.kx) < n / 3) & (np.abs(self.ky) < n / 3)).astype(np.float32)

    @property
    def dx(self) -> float:
        return 2 * np.pi / self.size

    def forward(self, x: Array) -> Array:
        return fft.rfft2(x, workers=1)

    def inverse(self, x_hat: Array) -> Array:
        return fft.irfft2(x_hat, s=(self.size, self.size), workers=1)

    def velocity(self, w_hat: Array) -> tuple[Array, Array]:
        """Velocity `(u, v)` of a vorticity spectrum: u = ∂ψ/∂y, v = −∂ψ/∂x, ψ = ∇⁻² (−w)."""
        psi = w_hat * self.inv_k2
        return self.inverse(1j * self.ky * psi), self.inverse(-1j * self.kx * psi)

    def random_field(self, rng: np.random.Generator, spectrum: Array) -> Array:
        """Spectrum of a Gaussian random field whose amplitude per mode is `spectrum` (up to a factor)."""
        return self.forward(rng.standard_normal((self.size, self.size)).astype(np.float32)) * spectrum.astype(
            np.float32
        )

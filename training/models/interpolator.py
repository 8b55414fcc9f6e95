"""The interpolator: four decoded frames in, a correction to the polynomial base of the middle frame out.

`planes [N, 6, H, W]` and `cond [N, 4]` as in docs/model-package.md. The body is `gated_unet.py`'s: its gated term
multiplies the stem's features (local derivatives of the references, say) by coefficients (a velocity, say). An advected
field needs just that product: the correction to the average is v·∇(b−a)/2 to leading order.

Of the six planes the stem reads the four from `(b−m)/s` to `(b2−b)/e`; the other two are linear in these, with
coefficients that `cond` tells.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from training.models.gated_unet import GatedUnet, GatedUnetConfig, stem

PLANES, CONDITIONS = 6, 4
READ = slice(1, 5)
"""The planes that the stem reads."""


@dataclass(frozen=True)
class InterpolatorConfig(GatedUnetConfig):
    pass


class Interpolator(GatedUnet):
    def __init__(self, config: InterpolatorConfig) -> None:
        super().__init__(config, stem(config, READ.stop - READ.start, bias=True), CONDITIONS, hidden=64)

    def forward(self, planes: Tensor, cond: Tensor) -> Tensor:
        return self.body(self.stem(planes[:, READ]), cond)

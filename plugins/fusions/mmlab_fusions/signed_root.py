"""What follows a product of many numbers in the papers: a signed square root, and length 1."""

from __future__ import annotations

from torch import Tensor

from mmlab.plugin import normalize

#: Added to |z| under the signed square root, whose slope at zero is then 1 / (2 sqrt(1e-8)) = 5e3.
ROOT_EPSILON = 1e-8


def normalized(z: Tensor) -> Tensor:
    """Signed square roots of (..., D), brought to length 1; zero stays zero.

    z / (sqrt(|z| + e) + sqrt(e)) is sign(z) (sqrt(|z| + e) - sqrt(e)) without its cancellation.
    """
    root = z / ((z.abs() + ROOT_EPSILON).sqrt() + ROOT_EPSILON**0.5)
    return normalize(root)

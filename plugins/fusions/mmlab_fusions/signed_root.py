"""What follows a product of many numbers in the papers: a signed square root, and length 1."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

#: Added to |z| under the signed square root, whose slope at zero is then 1 / (2 sqrt(1e-8)) = 5e3.
ROOT_EPSILON = 1e-8

#: Shortest length a vector is divided by.
LENGTH_EPSILON = 1e-4


def normalized(z: Tensor) -> Tensor:
    """Signed square roots of (..., D), brought to length 1; zero stays zero.

    z / (sqrt(|z| + e) + sqrt(e)) is sign(z) (sqrt(|z| + e) - sqrt(e)) without its cancellation.
    """
    root = z / ((z.abs() + ROOT_EPSILON).sqrt() + ROOT_EPSILON**0.5)
    return F.normalize(root, dim=-1, eps=LENGTH_EPSILON)

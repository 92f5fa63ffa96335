"""Flow matching along straight lines, by a network that predicts the clean sample.

At time t in [0, 1) a noisy sample is x_t = t x + (1 - t) e, with noise e at t = 0 and the sample x
at t = 1. A network that predicts x from x_t says the velocity, too: v = (x - x_t) / (1 - t).

Source: Lipman et al., arXiv:2210.02747; the prediction of x under the loss of velocities is that of
Li and He, arXiv:2511.13720.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mmlab.plugin import Condition

#: Noisy samples (B, ...), times (B,) and their condition -> clean samples (B, ...).
Predict = Callable[[Tensor, Tensor, Condition], Tensor]

#: The least that an error is divided by: near t = 1 the velocity is not trained on rounding.
SHORTEST = 0.05


def logit_normal(time: Tensor, mean: float, deviation: float) -> Tensor:
    """Uniform times in [0, 1) -> times whose logit is normal, by their quantiles.

    Most of what there is to learn is between noise and sample, not at either end.
    Source: Esser et al., arXiv:2403.03206, section 3.1, where t runs the other way.
    """
    normal = math.sqrt(2) * torch.erfinv(2 * time - 1)
    return torch.sigmoid(mean + deviation * normal)


def flow_loss(
    predict: Predict, clean: Tensor, condition: Condition, noise: Tensor, time: Tensor
) -> Tensor:
    """Mean squared error of the velocity, (B,), where it is divided by 1 - t no less than SHORTEST.

    clean and noise: (B, ...); time: (B,). Of precision float32 at least.
    """
    t = time.view(-1, *[1] * (clean.ndim - 1))
    predicted = predict(t * clean + (1 - t) * noise, time, condition)
    error = (predicted.to(clean.dtype) - clean) / (1 - t).clamp(min=SHORTEST)
    return error.square().flatten(1).mean(1)


@torch.no_grad()
def flow_sample(
    predict: Predict, condition: Condition, noise: Tensor, *, steps: int, guidance: float
) -> Tensor:
    """Samples (B, ...) from noise (B, ...) by Euler's method, `steps` of equal length.

    A step from t to t + h moves by h v = h / (1 - t) (x - x_t), so the last one ends at x.
    """
    sample = noise
    for step in range(steps):
        time = torch.full((len(noise),), step / steps, dtype=noise.dtype, device=noise.device)
        clean = _guided(predict, sample, time, condition, guidance).to(noise.dtype)
        sample = sample + (clean - sample) / (steps - step)
    return sample


def _guided(
    predict: Predict, noisy: Tensor, time: Tensor, condition: Condition, guidance: float
) -> Tensor:
    """Classifier-free guidance: none + guidance (condition - none), arXiv:2207.12598 eq. 6."""
    if guidance == 1:
        return predict(noisy, time, condition)
    none = predict(noisy, time, condition.absent())
    return none + guidance * (predict(noisy, time, condition) - none)


def embed_time(time: Tensor, width: int) -> Tensor:
    """Times in [0, 1] (B,) -> sines and cosines of them (B, width); `width` is even.

    Source: Vaswani et al., arXiv:1706.03762, section 3.5, for 1000 t.
    """
    half = width // 2
    rates = torch.exp(torch.arange(half, device=time.device) * (-math.log(10_000) / half))
    angles = 1000 * time[:, None] * rates.to(time.dtype)  # (B, half)
    return torch.cat([angles.sin(), angles.cos()], 1)

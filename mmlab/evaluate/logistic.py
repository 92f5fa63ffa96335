"""Logistic regression with an L2 penalty, to its minimum: L-BFGS, then Newton's method."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

#: Iterations of L-BFGS at the most.
ITERATIONS = 1000
#: L-BFGS ends where no slope of the mean loss is steeper.
STEEPNESS = 1e-5
#: How far above its minimum a fit may end, as a share of it.
EXCESS = 1e-10
#: Products with the Hessian at the most; each costs as much as an iteration of L-BFGS.
PRODUCTS = 2000
#: A Newton step that must be made shorter than this share of itself is rounding.
LEAST_STEP = 1e-6
#: What a bias is divided by at the least, where no sample is in doubt.
LEAST_CURVATURE = 1e-30
#: More numbers than these are fitted in float32: 1 GB in float64.
DOUBLE_ELEMENTS = 1 << 27

logger = logging.getLogger(__name__)


def fit_logistic(
    x: Tensor, target: Tensor, label_count: int, penalty: float
) -> tuple[Tensor, Tensor]:
    """Weight (C, D) and bias (C,) of a logistic regression, its bias not penalised.

    The sum of losses plus penalty / 2 * |weight|^2 is minimised by L-BFGS as far as it goes, then
    by Newton steps, where slopes are slight. Features x (n, D); targets (n,) int64, or (n, C) for
    several labels. Of two labels, one to a sample, it is the difference of their weights that is
    penalised, as by those who have one weight for a yes or no.

    All this in the principal axes of the features around their mean, which changes no solution: the
    penalty is the same along any axes, and the bias is free.
    """
    # It takes long to import, and few evaluations need it.
    from scipy.optimize import minimize

    if label_count == 2 and target.ndim == 1:
        penalty *= 2  # of two opposite weights each has half of what the one of a yes or no has
    x = x if x.numel() > DOUBLE_ELEMENTS else x.double()
    mean = x.mean(0)
    axes = _principal_axes(x - mean)
    objective = _Objective((x - mean) @ axes, target, label_count, penalty)

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        value, slope = objective.value_and_slope(torch.from_numpy(flat).to(x))
        return float(value), slope.double().cpu().numpy()

    start = np.zeros(label_count * (axes.shape[1] + 1))
    options = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "gtol": STEEPNESS, "ftol": 1e-14}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    flat = torch.from_numpy(found.x).to(x)
    if penalty > 0 and flat.dtype == torch.float64:
        flat = _descend(objective, flat)
    weight, bias = _unpack(flat, label_count)
    weight = weight @ axes.T
    bias = bias - weight @ mean
    if target.ndim == 2:
        return weight, bias
    # What all labels share changes no probability, and the penalty wants none of it.
    return weight - weight.mean(0), bias - bias.mean()


def _principal_axes(x: Tensor) -> Tensor:
    """Axes (D, r) of length 1, of as many as there can be, along which features x vary apart."""
    if len(x) < x.shape[1]:
        return cast(Tensor, torch.linalg.svd(x, full_matrices=False).Vh.T)
    return cast(Tensor, torch.linalg.eigh(x.T @ x).eigenvectors)


class _Objective:
    """Mean loss plus penalty / (2 n) * |weight|^2, of a flat vector of weight (C, D) and bias (C,).

    Its slope and diagonal are flat vectors too.
    """

    def __init__(self, x: Tensor, target: Tensor, label_count: int, penalty: float) -> None:
        self.x = x
        self.target = target
        self.label_count = label_count
        self.shrink = penalty / len(x)

    def value_and_slope(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        weight, _ = _unpack(flat, self.label_count)
        value, slope = _loss_and_slope(self._logits(flat), self.target)
        return value + self.shrink / 2 * weight.square().sum(), self._pull(slope, weight)

    def curvature(self, flat: Tensor) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        """The product of the Hessian at a point with a direction, and about its diagonal."""
        bend, spread = _bend(self._logits(flat), self.target)

        def product(direction: Tensor) -> Tensor:
            weight, _ = _unpack(direction, self.label_count)
            return self._pull(bend(self._logits(direction)), weight)

        weights = (spread.T @ self.x.square() + self.shrink).flatten()
        return product, torch.cat([weights, spread.sum(0).clamp(min=LEAST_CURVATURE)])

    def excess(self, slope: Tensor, diagonal: Tensor) -> float:
        """About how far above the minimum: at most, but that biases count one by one."""
        weights, biases = _unpack(slope.square(), self.label_count)
        _, bends = _unpack(diagonal, self.label_count)
        return float(weights.sum() / (2 * self.shrink) + (biases / (2 * bends)).sum())

    def _logits(self, flat: Tensor) -> Tensor:
        weight, bias = _unpack(flat, self.label_count)
        return self.x @ weight.T + bias

    def _pull(self, slope: Tensor, weight: Tensor) -> Tensor:
        """From a slope by logits (n, C) to one by weight and bias, with the penalty's."""
        return torch.cat([(slope.T @ self.x + self.shrink * weight).flatten(), slope.sum(0)])


def _descend(objective: _Objective, flat: Tensor) -> Tensor:
    """Newton's method, each step solved by conjugate gradients and halved until it descends."""
    left = PRODUCTS
    while True:
        value, slope = objective.value_and_slope(flat)
        product, diagonal = objective.curvature(flat)
        if objective.excess(slope, diagonal) <= EXCESS * float(value):
            return flat
        step, used = _solve(product, diagonal, -slope, left)
        left -= used
        length, promised = 1.0, float(step @ slope)
        while float(objective.value_and_slope(flat + length * step)[0]) > float(value) + (
            length * promised * 1e-4
        ):
            length /= 2
        flat = flat + length * step
        if left <= 0 or length < LEAST_STEP:
            logger.warning("a probe's fit ended before its minimum: its penalty is very weak")
            return flat


def _solve(
    product: Callable[[Tensor], Tensor], diagonal: Tensor, wanted: Tensor, limit: int
) -> tuple[Tensor, int]:
    """Conjugate gradients for product(x) = wanted, the more exact the shorter it is; and products.

    The matrix must have no negative direction; about its diagonal is the preconditioner.
    """
    x, rest = torch.zeros_like(wanted), wanted
    way = scaled = rest / diagonal
    size, first = float(rest @ scaled), float(wanted.norm())
    for count in range(limit):
        if float(rest.norm()) <= min(0.5, first**0.5) * first:
            return x, count
        image = product(way)
        length = size / float(way @ image)
        x, rest = x + length * way, rest - length * image
        scaled = rest / diagonal
        before, size = size, float(rest @ scaled)
        way = scaled + size / before * way
    return x, limit


def _unpack(flat: Tensor, label_count: int) -> tuple[Tensor, Tensor]:
    weight, bias = flat[:-label_count], flat[-label_count:]
    return weight.reshape(label_count, -1), bias


def _loss_and_slope(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The mean loss of logits (n, C), and its slope by each of them."""
    if target.ndim == 2:
        truth = target.to(logits.dtype)
        loss = (F.softplus(logits) - logits * truth).sum() / len(logits)
        return loss, (torch.sigmoid(logits) - truth) / len(logits)
    slope = torch.softmax(logits, 1)
    slope[torch.arange(len(slope), device=slope.device), target] -= 1
    return F.cross_entropy(logits, target), slope / len(logits)


def _bend(logits: Tensor, target: Tensor) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """How the slope of the mean loss changes with a change (n, C) of the logits, each alone too."""
    if target.ndim == 2:
        spread = torch.sigmoid(logits) * torch.sigmoid(-logits) / len(logits)
        return lambda change: spread * change, spread
    shares = torch.softmax(logits, 1)

    def bend(change: Tensor) -> Tensor:
        return shares * (change - (shares * change).sum(1, keepdim=True)) / len(logits)

    return bend, shares * (1 - shares) / len(logits)

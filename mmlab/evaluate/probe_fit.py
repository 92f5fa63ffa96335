"""Linear classifiers on features: logistic regression, AdamW, and the search for a penalty."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

Method = Literal["lbfgs", "adamw"]

#: Iterations of L-BFGS at the most.
ITERATIONS = 1000
#: L-BFGS ends where no slope of the mean loss is steeper.
STEEPNESS = 1e-5
#: More numbers than these are fitted in float32: 1 GB in float64.
DOUBLE_ELEMENTS = 1 << 27

#: AdamW's settings in CLIP_benchmark.
EPOCHS, LEARNING_RATE, BATCH_SIZE = 10, 0.1, 64

#: Penalties from which the search chooses, and where it begins.
GRID_SIZE, COARSE_STEP = 97, 16
_DECADES: dict[Method, tuple[int, int]] = {"lbfgs": (-6, 6), "adamw": (-6, 2)}


@dataclass(frozen=True)
class Examples:
    """Features (n, D), float32, and targets: (n,) int64, or (n, C) float for several labels."""

    x: Tensor
    target: Tensor

    def join(self, other: Examples) -> Examples:
        """These and others."""
        return Examples(torch.cat([self.x, other.x]), torch.cat([self.target, other.target]))

    def take(self, index: Sequence[int]) -> Examples:
        """Some of them."""
        chosen = torch.tensor(index, device=self.x.device)
        return Examples(self.x[chosen], self.target[chosen])


@dataclass(frozen=True)
class Probe:
    """A fitted linear classifier: weight (C, D), bias (C,), float32."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Scores (n, C) of features (n, D)."""
        return x @ self.weight.T + self.bias


def grid(method: Method) -> npt.NDArray[np.float64]:
    """The penalties a search chooses from: 97 at equal distances in the logarithm.

    >>> float(grid("lbfgs")[0]), float(grid("lbfgs")[48]), float(grid("adamw")[-1])
    (1e-06, 1.0, 100.0)
    """
    return np.logspace(*_DECADES[method], num=GRID_SIZE)


def fit(
    method: Method, examples: Examples, label_count: int, penalty: float, seed: int = 0
) -> Probe:
    """A linear classifier of these examples.

    "lbfgs" minimises the sum of losses over examples plus penalty / 2 * |weight|^2 to the end,
    which scikit-learn calls C = 1 / penalty; the bias is not penalised. "adamw" does as
    CLIP_benchmark: 10 epochs of batches of 64, learning rate 0.1 falling by a cosine, `penalty` as
    weight decay; `seed` makes the first weights and the order of examples. The loss is the
    cross-entropy, or for several labels the sum of their binary ones.
    """
    if method == "lbfgs":
        return _fit_lbfgs(examples, label_count, penalty)
    return _fit_adamw(examples, label_count, penalty, seed)


def search(evaluate: Callable[[int], float], size: int = GRID_SIZE, step: int = COARSE_STEP) -> int:
    """The place of about the best of `size` values: coarse first, then halving steps around it.

    `evaluate` is called once for a place; of equal ones the lowest place counts. Source: Radford et
    al., arXiv:2103.00020, appendix A.3.
    """
    known: dict[int, float] = {}

    def best_of(places: Sequence[int]) -> int:
        for place in places:
            if place not in known:
                known[place] = evaluate(place)
        return max(places, key=lambda place: (known[place], -place))

    best = best_of(range(0, size, step))
    while step > 1:
        step //= 2
        best = best_of([max(best - step, 0), best, min(best + step, size - 1)])
    return best


def _fit_lbfgs(examples: Examples, label_count: int, penalty: float) -> Probe:
    # It takes long to import, and few evaluations need it.
    from scipy.optimize import minimize

    count, width = examples.x.shape
    dtype = torch.float64 if examples.x.numel() <= DOUBLE_ELEMENTS else torch.float32
    x, device = examples.x.to(dtype), examples.x.device

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        weight, bias = _unpack(torch.from_numpy(flat).to(device, dtype), label_count)
        value, slope = _loss_and_slope(x @ weight.T + bias, examples.target)
        value += penalty / (2 * count) * weight.square().sum()
        weight_slope = slope.T @ x + (penalty / count) * weight
        slopes = torch.cat([weight_slope.flatten(), slope.sum(0)])
        return value.item(), slopes.double().cpu().numpy()

    start = np.zeros(label_count * (width + 1))
    options = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "gtol": STEEPNESS, "ftol": 1e-14}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    weight, bias = _unpack(torch.from_numpy(found.x).float().to(device), label_count)
    return Probe(weight, bias)


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


@torch.enable_grad()
def _fit_adamw(examples: Examples, label_count: int, penalty: float, seed: int) -> Probe:
    generator = torch.Generator().manual_seed(seed)
    count, width = examples.x.shape
    limit = 1 / math.sqrt(width)  # as torch.nn.Linear begins
    shapes = ((label_count, width), (label_count,))
    parameters = [
        (torch.rand(shape, generator=generator) * 2 * limit - limit)
        .to(examples.x.device)
        .requires_grad_()
        for shape in shapes
    ]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=penalty)
    steps = EPOCHS * math.ceil(count / BATCH_SIZE)
    for step, rows in enumerate(_batches(count, generator)):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * step / steps)) / 2
        batch = examples.take(rows)
        logits = batch.x @ parameters[0].T + parameters[1]
        optimizer.zero_grad()
        _loss(logits, batch.target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return Probe(*(parameter.detach() for parameter in parameters))


def _batches(count: int, generator: torch.Generator) -> list[list[int]]:
    epochs = [torch.randperm(count, generator=generator).tolist() for _ in range(EPOCHS)]
    return [
        order[start : start + BATCH_SIZE]
        for order in epochs
        for start in range(0, count, BATCH_SIZE)
    ]


def _loss(logits: Tensor, target: Tensor) -> Tensor:
    if target.ndim == 2:
        return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype))
    return F.cross_entropy(logits, target)

"""Flow matching against what is known in closed form: a linear network on Gaussian data.

Of x ~ N(m, s^2) the best prediction from x_t = t x + (1 - t) e is
m + k (x_t - t m) with k = t s^2 / (t^2 s^2 + (1 - t)^2). Its flow takes the noise e to m + s e.
"""

from __future__ import annotations

import pytest
import torch
from mmlab_generators.flow import Predict, embed_time, flow_loss, flow_sample, logit_normal
from torch import Tensor

from mmlab.plugin import Condition

SPREAD = 0.3


def posterior(means: Tensor, noisy: Tensor, time: Tensor) -> Tensor:
    t = time.view(-1, 1)
    slope = t * SPREAD**2 / (t**2 * SPREAD**2 + (1 - t) ** 2)
    return means + slope * (noisy - t * means)


def best(noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
    """The mean is the condition's vector, and zero without one."""
    assert condition.fused is not None
    return posterior(condition.fused * condition.present[:, None], noisy, time)


def means(*values: float) -> Condition:
    fused = torch.tensor(values, dtype=torch.float64)[:, None]
    return Condition((), fused, torch.ones(len(values), dtype=torch.bool))


def noise(count: int, width: int = 1, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("guidance", [0.0, 1.0, 3.0])
def test_samples_of_the_best_network_are_those_of_the_gaussian(guidance: float) -> None:
    """Guidance moves the mean: of two Gaussians of one spread it is that of their flow."""
    given, condition = noise(4), means(0.5, -2.0, 1.0, 0.0)
    assert condition.fused is not None
    expected = guidance * condition.fused + SPREAD * given
    errors = [
        float(
            (flow_sample(best, condition, given, steps=n, guidance=guidance) - expected).abs().max()
        )
        for n in (50, 100, 200)
    ]
    assert errors[2] < 0.01
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1)  # Euler's method is of order 1
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.1)


def test_one_step_ends_at_what_the_network_predicts_from_noise() -> None:
    condition = means(0.5, -2.0)
    sample = flow_sample(best, condition, noise(2), steps=1, guidance=1)
    torch.testing.assert_close(sample, condition.fused)


def test_a_sample_without_condition_is_not_guided() -> None:
    none = means(5.0, 5.0).absent()
    samples = [flow_sample(best, none, noise(2), steps=9, guidance=g) for g in (0.0, 1.0, 7.0)]
    torch.testing.assert_close(samples[0], samples[1])
    torch.testing.assert_close(samples[0], samples[2])


@pytest.mark.parametrize("time", [0.0, 0.2, 0.5, 0.9])
def test_the_least_loss_is_that_of_the_gaussian_and_at_its_best_network(time: float) -> None:
    """Of velocities the best network is left with s^2 / (t^2 s^2 + (1 - t)^2).

    Among networks c x_t the loss is a parabola of c, whose lowest point is at k.
    """
    count = 200_000
    clean, times = SPREAD * noise(count, seed=1), torch.full((count,), time, dtype=torch.float64)
    condition = means(*[0.0] * count)
    variance = time**2 * SPREAD**2 + (1 - time) ** 2

    def loss(predict: Predict) -> float:
        return float(flow_loss(predict, clean, condition, noise(count), times).mean())

    below, zero, above = (loss(lambda x, t, _, c=c: c * x) for c in (-1.0, 0.0, 1.0))
    lowest = (below - above) / (2 * (above + below - 2 * zero))
    assert lowest == pytest.approx(time * SPREAD**2 / variance, abs=0.005)
    assert loss(best) == pytest.approx(SPREAD**2 / variance, rel=0.02)


def test_the_loss_is_finite_at_the_very_end() -> None:
    """At t = 1 the noisy sample is the clean one; an error counts no more than at 0.95."""
    clean, times = noise(3), torch.ones(3, dtype=torch.float64)
    loss = flow_loss(lambda x, t, _: x + 0.1, clean, means(0, 0, 0), noise(3), times)
    torch.testing.assert_close(loss, torch.full_like(loss, (0.1 / 0.05) ** 2))


def test_times_are_a_logit_normal_by_their_quantiles() -> None:
    uniform = torch.linspace(0, 1, 10_001, dtype=torch.float64)[:-1]
    logits = torch.logit(logit_normal(uniform, -0.4, 1.5))[1:]  # the first is at minus infinity
    assert float(logits.mean()) == pytest.approx(-0.4, abs=0.01)
    assert float(logits.std()) == pytest.approx(1.5, abs=0.01)
    assert float(logit_normal(torch.zeros(1), -0.4, 1.5)) == 0
    assert bool((logits.diff() > 0).all())


def test_embedded_times_are_told_apart() -> None:
    embedded = embed_time(torch.linspace(0, 1, 101), 32)
    distances = torch.cdist(embedded, embedded) + 10 * torch.eye(101)
    assert float(distances.min()) > 0.1

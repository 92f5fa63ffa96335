"""The probe by AdamW beside CLIP_benchmark's own code, on the same features, on the CPU.

CLIP_benchmark moves all to a GPU by `.cuda()` and `.to("cuda")`; here both leave tensors where they
are. Its `accuracy` makes a float of an array with one element, which numpy 2.4 refuses; here the
same count is made by torch. Nothing else of it is changed.

First weights are the same for one seed. The order of the
examples is not: it comes from torch's DataLoader there. Where it is given to both, both fit the
same weights; otherwise accuracies differ as those of two seeds do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.evaluated import Words, encoded, subject
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmlab.evaluate import Encoded
from mmlab.evaluate.evaluators.linear_probe import LinearProbe
from mmlab.evaluate.probes import Examples, fit, grid, search
from mmlab.plugin import Split

peer = pytest.importorskip("clip_benchmark.metrics.linear_probe")

LABELS, WIDTH = 10, 32

#: Defaults of CLIP_benchmark's command line.
LEARNING_RATE, EPOCHS, BATCH_SIZE = 0.1, 10, 64

THEIR_NAMES = {
    "top1": "lp_acc1",
    "top5": "lp_acc5",
    "mean_per_class_recall": "lp_mean_per_class_recall",
}


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave tensors and modules where they are when they are sent to a GPU."""
    to = Tensor.to

    def stay(self: Tensor, *given: Any, **more: Any) -> Tensor:
        return self if given == ("cuda",) else to(self, *given, **more)

    monkeypatch.setattr(Tensor, "to", stay)
    for kind in (Tensor, nn.Module):
        monkeypatch.setattr(kind, "cuda", lambda self: self)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(peer, "accuracy", accuracy)


def accuracy(scores: Tensor, truths: Tensor, topk: tuple[int, ...]) -> list[float]:
    """Top-k accuracies, as CLIP_benchmark's function of this name counts them."""
    first = scores.topk(max(topk), 1).indices == truths[:, None]
    return [float(first[:, :k].any(1).double().mean()) for k in topk]


def examples(count: int, seed: int) -> Examples:
    """Overlapping clusters of vectors of length 1."""
    centres = F.normalize(torch.randn(LABELS, WIDTH, generator=torch.Generator().manual_seed(99)))
    noise = torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))
    target = torch.arange(count) % LABELS
    return Examples(F.normalize(centres[target] + 0.35 * noise), target)


@dataclass
class InOurOrder:
    """A loader of batches in the order that mmlab takes for a seed, again and again."""

    examples: Examples
    seed: int
    epoch: int = 0
    orders: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        torch.rand(LABELS, WIDTH, generator=generator)  # the first weights, and biases
        torch.rand(LABELS, generator=generator)
        count = len(self.examples.x)
        self.orders = [torch.randperm(count, generator=generator).tolist() for _ in range(EPOCHS)]

    def __len__(self) -> int:
        return -(-len(self.examples.x) // BATCH_SIZE)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = self.orders[self.epoch % EPOCHS]
        self.epoch += 1
        for start in range(0, len(order), BATCH_SIZE):
            batch = self.examples.take(order[start : start + BATCH_SIZE])
            yield batch.x, batch.target


def peers_probe(loader: Any, weight_decay: float, seed: int) -> nn.Linear:
    trained = peer.train(
        loader, WIDTH, LABELS, weight_decay, LEARNING_RATE, EPOCHS, False, "cpu", seed
    )
    return trained.module


def top1(scores: Tensor, truths: Tensor) -> float:
    return float((scores.argmax(1) == truths).double().mean())


@pytest.mark.parametrize("weight_decay", [0.0, 0.01, 1.0, 100.0])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_same_examples_in_the_same_order_give_the_same_weights(
    weight_decay: float, seed: int
) -> None:
    data, test = examples(500, seed), examples(1000, 7)
    ours = fit("adamw", data, LABELS, weight_decay, seed)
    theirs = peers_probe(InOurOrder(data, seed), weight_decay, seed)
    np.testing.assert_allclose(ours.weight, theirs.weight.detach(), atol=2e-6)
    np.testing.assert_allclose(ours.bias, theirs.bias.detach(), atol=2e-6)
    found, expected = ours(test.x), theirs(test.x).detach()
    assert top1(found, test.target) == top1(expected, test.target)
    assert top1(found, test.target) > 0.7 or weight_decay == 100


def test_their_own_order_changes_top1_as_another_seed_does() -> None:
    data, test = examples(500, 0), examples(1000, 7)
    loader = DataLoader(
        peer.FeatureDataset(data.x, data.target), batch_size=BATCH_SIZE, shuffle=True
    )
    seeds = range(6)
    ours = [top1(fit("adamw", data, LABELS, 0.01, s)(test.x), test.target) for s in seeds]
    theirs = [top1(peers_probe(loader, 0.01, s)(test.x), test.target) for s in seeds]
    spread = np.hypot(np.std(ours, ddof=1), np.std(theirs, ddof=1))
    assert 0 < spread < 0.01
    assert abs(np.mean(ours) - np.mean(theirs)) <= 3 * spread / np.sqrt(len(seeds))


@pytest.mark.slow
def test_both_search_the_same_weight_decays_and_find_the_same_peak(
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, validation, seed = examples(200, 0), examples(300, 5), 2
    decays = grid("adamw").tolist()

    def quality(place: int) -> float:
        return top1(
            fit("adamw", data, LABELS, decays[place], seed)(validation.x), validation.target
        )

    loader = [(validation.x, validation.target)]

    def find_peak(places: list[int]) -> int:
        ours = InOurOrder(data, seed)
        settings = (WIDTH, LABELS, LEARNING_RATE, EPOCHS, False, "cpu", False, seed)
        return int(peer.find_peak(decays, places, ours, loader, *settings))

    # as its `evaluate` does
    peak, step = find_peak([decays.index(value) for value in np.logspace(-6, 2, num=7)]), 8
    while step > 0:
        peak = find_peak([max(peak - step, 0), peak, min(peak + step, 96)])
        step //= 2
    assert search(quality) == peak


# --- the whole evaluation -----------------------------------------------------------------------


def splits() -> dict[Split, Examples]:
    return {"train": examples(300, 0), "validation": examples(200, 1), "test": examples(2000, 2)}


def ours(data: Mapping[Split, Examples], seed: int) -> Mapping[str, float | None]:
    """Metrics of mmlab's probe; features are a picture's."""
    labels = tuple("abcdefghij")
    model = subject(inputs=["image"])

    def split(name: Split) -> Encoded:
        part = data[name]
        rows = [{"image": row} for row in F.pad(part.x, (0, 256 - WIDTH)).tolist()]
        truths = [(label,) for label in part.target.tolist()]
        words = Words(rows, truths, labels=labels, modalities=("image",), revision=name)
        return replace(encoded(model, words), split=name)

    asked = replace(split("test"), other=split)
    (result,) = LinearProbe(method="adamw", seed=seed)(model, asked, "probe")
    return result.metrics


def theirs(data: Mapping[Split, Examples], seed: int, folder: Path) -> Mapping[str, float]:
    """Metrics of CLIP_benchmark's `evaluate`, of a model that gives a picture back as its features.

    Features are as wide as ours, so that both begin with the same weights. It orders the training
    samples by a draw that it does not seed.
    """
    torch.manual_seed(seed)
    model = nn.Module()
    model.encode_image = lambda x: x  # type: ignore[assignment]
    loaders = {
        name: [(F.pad(part.x, (0, 256 - WIDTH)), part.target)] for name, part in data.items()
    }
    found = peer.evaluate(
        model,
        loaders["train"],
        loaders["test"],
        fewshot_k=-1,
        batch_size=BATCH_SIZE,
        num_workers=0,
        lr=LEARNING_RATE,
        epochs=EPOCHS,
        model_id="model",
        seed=seed,
        feature_root=str(folder),
        device="cuda",
        val_dataloader=loaders["validation"],
        amp=False,
    )
    return {name: float(found[key]) for name, key in THEIR_NAMES.items()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*CUDA is not available:UserWarning")
@pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")
def test_the_whole_evaluation_gives_their_figures_within_two_points(tmp_path: Path) -> None:
    data = splits()
    found, expected = ours(data, 0), theirs(data, 0, tmp_path)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.02), name

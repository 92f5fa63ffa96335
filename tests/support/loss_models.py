"""A small real model for every loss of the losses plugin, and batches with all that they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

import mmlab_losses
import torch
from mmlab_fusions.gating import Gating
from mmlab_fusions.late_interaction import LateInteraction
from torch import Tensor, nn

from mmlab.model.model import Model, Step
from mmlab.plugin import Batch, Features, Shapes, Vocabulary

ROWS, LENGTH, WIDTH, DIM, WORDS, VIEWS = 8, 5, 4, 6, 12, 2
KEYS = ("image", "text")
VOCABULARY = Vocabulary(size=WORDS, pad=0, mask=1, special=frozenset({0, 1, 2}))

LOSSES = mmlab_losses.mmlab_losses()
#: Options that a loss must have, or that make it do more.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "captioning": {"width": 8, "heads": 2},
    "decoupled": {"positives": "text", "views": {"image": 2, "text": 1}, "hardness": 0.5},
    "distillation": {"teachers": ["image", "text"]},
    "info_nce": {"chunk": 3, "label_smoothing": 0.1, "alike": "image"},
    "masked_language_modelling": {"share": 0.5, "hidden": 0.8, "random": 0.1},
    "simclr": {"hidden": 7, "dim": 5},
    "simsiam": {"hidden": 7, "dim": 8},
}
#: The options under which a loss is about the text encoder.
ABOUT_TEXT: Mapping[str, Mapping[str, Any]] = {
    "simclr": {"encoder": "text"},
    "simsiam": {"encoder": "text"},
}


class Reader(nn.Module):
    """Pictures (B, N, WIDTH) or texts (B, N) -> tokens and their mean.

    Where it counts, it has what freezing must stop: a batch norm, dropout, and a count of calls.
    """

    preprocessing = "reader"
    dim = token_dim = DIM
    calls: Tensor

    def __init__(self, first: nn.Module, *, counts: bool) -> None:
        super().__init__()
        self.first = first
        self.norm = nn.BatchNorm1d(DIM) if counts else nn.Identity()
        self.dropout = nn.Dropout(0.1 if counts else 0.0)
        self.second = nn.Linear(DIM, DIM)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Features:
        if self.training:
            self.calls += 1
        hidden = self.dropout(torch.tanh(self.first(x)))
        tokens = self.second(self.norm(hidden.transpose(1, 2)).transpose(1, 2))
        return Features.of(tokens.mean(1), tokens, x > 2 if x.ndim == 2 else None)


def shapes_for(name: str) -> Shapes:
    """What a loss is told; binary cross entropy gets several labels a sample."""
    return Shapes(
        dims=dict.fromkeys(KEYS, DIM),
        fused=5,
        labels=("a", "b", "c"),
        label_counts=(3, 3, 2),
        is_multi_label=name == "binary_cross_entropy",
        vocabularies={"text": VOCABULARY},
        token_dims=dict.fromkeys(KEYS, DIM),
        labelled_count=ROWS,
        targets=("x", "y"),
        target_deviations=(1.0, 2.0),
    )


def make_loss(name: str, about: Mapping[str, Mapping[str, Any]] = OPTIONS) -> Any:
    factory = EntryPoint(name, LOSSES[name], "mmlab").load()
    options = {**OPTIONS.get(name, {}), **about.get(name, {})}
    takes_shapes = factory.__init__.__annotations__.keys() & {"shapes"}
    return factory(*([shapes_for(name)] if takes_shapes else []), **options)


def make_step(
    losses: Mapping[str, Any],
    *,
    frozen: frozenset[str] = frozenset(),
    counts: bool = False,
    seed: int = 0,
) -> Step:
    """Two encoders; a fusion of tokens, or one with a head where a loss reads a prediction."""
    torch.manual_seed(seed)
    encoders = {
        "image": Reader(nn.Linear(WIDTH, DIM), counts=counts),
        "text": Reader(nn.Embedding(WORDS, DIM), counts=counts),
    }
    predicts = any("prediction" in loss.reads for loss in losses.values())
    fusion = (
        Gating([DIM, DIM], dim=5) if predicts else LateInteraction([DIM, DIM], [DIM, DIM], dim=4)
    )
    width = 2 if losses.keys() & {"mse", "mae"} else 3
    head = nn.Linear(5, width) if predicts else None
    model = Model(encoders, fusion, KEYS, head=head, frozen=frozen)
    return Step(model, losses, {name: 0.5 + i for i, name in enumerate(losses)})


def make_batch(*, is_multi_label: bool = False, dtype: torch.dtype = torch.float32) -> Batch:
    """Pictures and texts, of which some repeat and some are absent, with further views."""
    target = torch.arange(ROWS) % 3
    generator = torch.Generator().manual_seed(1)
    batch = Batch(
        inputs=dict(_inputs(generator, dtype)),
        present={key: torch.arange(ROWS) != 5 - i for i, key in enumerate(KEYS)},
        target=nn.functional.one_hot(target, 3).to(dtype) if is_multi_label else target,
        index=torch.arange(ROWS),
        views={},
        targets=torch.randn(ROWS, 2, generator=generator),
    )
    views = [dict(_inputs(generator, dtype)) for _ in range(VIEWS)]
    return replace(batch, views={key: torch.stack([view[key] for view in views]) for key in KEYS})


def _inputs(generator: torch.Generator, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    yield "image", torch.randn(ROWS, 3, WIDTH, generator=generator, dtype=torch.float64).to(dtype)
    ids = torch.randint(3, WORDS, (ROWS, LENGTH), generator=generator)
    ids[:, 0] = 2
    ids[::2, -1] = 0
    ids[3] = ids[0]
    yield "text", ids

"""The model: presence, freezing, and the score of every pair through any fusion."""

from __future__ import annotations

from dataclasses import replace

import torch
from support.planted import Vector
from support.products import Product, batch
from torch import nn

from mmlab.model.model import Model
from mmlab.plugin import Features, Scores


class Lopsided(Product):
    """A similarity whose two directions differ: rows ask with u.v, columns with twice that."""

    def score(self, u: Features, v: Features) -> Scores:
        scores = u.pooled @ v.pooled.T
        return Scores(scores, 2 * scores)


def model(fusion: nn.Module, **options: object) -> Model:
    torch.manual_seed(0)
    return Model({"image": Vector(), "text": Vector()}, fusion, ["image", "text"], **options)  # type: ignore[arg-type]


def test_pairs_of_a_vector_fusion_score_as_a_loop_over_pairs() -> None:
    scorer = nn.Linear(3, 1, bias=False)
    joined = model(Product(), scorer=scorer)
    outputs = joined(batch(5))
    u, v = outputs.features["image"].pooled, outputs.features["text"].pooled
    expected = torch.stack([torch.stack([scorer(a * b)[0] for b in v]) for a in u])
    torch.testing.assert_close(outputs.similarity.dense().forward, expected)
    torch.testing.assert_close(outputs.similarity.block(1, 3).backward, expected[1:3])


def test_pair_scores_use_the_direction_that_was_asked() -> None:
    joined = model(Lopsided())
    outputs = joined(batch(4))
    u, v = (joined.project(key, outputs.features[key]) for key in ("image", "text"))
    dense = outputs.similarity.dense()
    torch.testing.assert_close(joined.pair_scores("image", u, "text", v), dense.forward)
    torch.testing.assert_close(joined.pair_scores("text", v, "image", u), dense.backward.T)


def test_further_features_are_scored_as_those_of_the_batch_would_be() -> None:
    joined = model(Lopsided())
    outputs, others = joined(batch(4)), joined(batch(4))
    found = outputs.similarity.of(others.features)
    torch.testing.assert_close(found.dense().backward, others.similarity.dense().backward)
    assert list(found.sides) == ["image", "text"]
    assert found.sides["text"].pooled is found.v.pooled


def test_features_carry_the_presence_of_the_batch() -> None:
    joined = model(Product(), scorer=nn.Linear(3, 1))
    half = replace(
        batch(2), present={"image": torch.tensor([True, False]), "text": torch.tensor([True, True])}
    )
    assert joined(half).features["image"].present.tolist() == [True, False]


def test_a_frozen_encoder_gets_no_gradient_and_stays_in_eval_mode() -> None:
    joined = model(Product(), head=nn.Linear(3, 2), frozen=frozenset({"image"}))
    joined.train()
    joined(batch(4)).prediction.sum().backward()
    assert not joined.encoders["image"].training
    assert joined.encoders["text"].training
    assert all(p.grad is None for p in joined.encoders["image"].parameters())
    assert all(p.grad is not None for p in joined.encoders["text"].parameters())


def test_the_fused_vector_is_there_for_a_head_or_for_a_loss_that_reads_it() -> None:
    scorer = nn.Linear(3, 1)
    assert model(Product(), scorer=scorer)(batch(2)).fused is None
    assert model(Product(), scorer=scorer, gives_fused=True)(batch(2)).fused.shape == (2, 3)
    assert model(Product(), head=nn.Linear(3, 4))(batch(2)).prediction.shape == (2, 4)

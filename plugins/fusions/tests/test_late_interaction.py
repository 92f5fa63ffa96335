import math
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from mmlab_fusions import late_interaction
from mmlab_fusions.late_interaction import LateInteraction
from torch import Tensor

from mmlab.plugin import Features, Scores, SpecError
from mmlab.testing import check_fusion

COUNTS = (3, 1, 2)


def tokens(size: int, count: int, width: int, seed: int) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(size, count, width, dtype=torch.float64, generator=source)


def features(x: Tensor, counts: Sequence[int] | None = None) -> Features:
    mask = None if counts is None else torch.arange(x.shape[1]) < torch.tensor(counts)[:, None]
    return Features.of(x.new_zeros(len(x), 1), x, mask)


def scores(fusion: LateInteraction, u: Features, v: Features) -> Scores:
    return fusion.score(fusion.project(0, u), fusion.project(1, v))


def make(**options: int) -> LateInteraction:
    torch.manual_seed(0)
    return LateInteraction((9, 9), (4, 3), **{"dim": 5} | options).double()


def best_slowly(asks: Tensor, answers: Tensor) -> float:
    """Mean over tokens that ask of the largest cosine with a token that answers."""
    best = [max(float(F.cosine_similarity(x, y, dim=0)) for y in answers) for x in asks]
    return math.fsum(best) / len(best)


@pytest.mark.parametrize("token_dims", [(8, 6), (3, 4)])
def test_late_interaction_keeps_the_contract(token_dims: tuple[int, int]) -> None:
    check_fusion(LateInteraction, dims=(8, 6), token_dims=token_dims, dim=5)


@torch.no_grad()
def test_both_directions_are_what_slow_loops_give() -> None:
    fusion, images, texts = make(), tokens(2, 4, 4, seed=0), tokens(3, 3, 3, seed=1)
    found = scores(fusion, features(images), features(texts, COUNTS))
    x, y = fusion.projections[0](images), fusion.projections[1](texts)
    real = [y[b, : COUNTS[b]] for b in range(3)]
    forward = [[best_slowly(image, text) for text in real] for image in x]
    backward = [[best_slowly(text, image) for text in real] for image in x]
    torch.testing.assert_close(found.forward, torch.tensor(forward).double())
    torch.testing.assert_close(found.backward, torch.tensor(backward).double())


def test_padding_is_neither_found_nor_averaged() -> None:
    fusion, images = make(), features(tokens(2, 4, 4, seed=0))
    short = tokens(3, 2, 3, seed=1)
    padded = torch.cat([short, tokens(3, 5, 3, seed=2)], dim=1)
    expected = scores(fusion, images, features(short))
    found = scores(fusion, images, features(padded, (2, 2, 2)))
    torch.testing.assert_close(found.forward, expected.forward)
    torch.testing.assert_close(found.backward, expected.backward)


def test_the_order_of_tokens_does_not_matter() -> None:
    fusion, texts = make(), features(tokens(3, 3, 3, seed=1))
    images = tokens(2, 4, 4, seed=0)
    expected = scores(fusion, features(images), texts)
    found = scores(fusion, features(images.flip(1)), texts)
    torch.testing.assert_close(found.backward, expected.backward)


def test_one_token_a_side_is_the_cosine() -> None:
    fusion, images, texts = make(), tokens(2, 1, 4, seed=0), tokens(3, 1, 3, seed=1)
    x, y = fusion.projections[0](images)[:, 0], fusion.projections[1](texts)[:, 0]
    found = scores(fusion, features(images), features(texts))
    torch.testing.assert_close(found.forward, F.cosine_similarity(x[:, None], y[None], dim=-1))
    torch.testing.assert_close(found.backward, found.forward)


def test_a_text_without_any_token_scores_zero() -> None:
    fusion, images = make(), features(tokens(2, 4, 4, seed=0))
    texts = tokens(3, 3, 3, seed=1).requires_grad_()
    found = scores(fusion, images, features(texts, (3, 0, 2)))
    assert found.forward[:, 1].tolist() == found.backward[:, 1].tolist() == [0.0, 0.0]
    (found.forward.sum() + found.backward.sum()).backward()
    assert texts.grad is not None
    assert texts.grad[1].abs().max() == 0


def test_rows_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fusion, u, v = make(), features(tokens(5, 4, 4, seed=0)), features(tokens(3, 3, 3, seed=1))
    whole = scores(fusion, u, v)
    monkeypatch.setattr(late_interaction, "TOKEN_PAIRS", 2 * 4 * 9)
    parts = scores(fusion, u, v)
    torch.testing.assert_close(parts.forward, whole.forward)
    torch.testing.assert_close(parts.backward, whole.backward)


def test_cosines_of_tokens_are_not_kept_for_the_gradient() -> None:
    fusion, size, count = make(), 8, 16
    u, v = features(tokens(size, count, 4, seed=0)), features(tokens(size, count, 3, seed=1))
    kept: list[int] = []

    def note(x: Tensor) -> Tensor:
        kept.append(x.untyped_storage().nbytes() // x.element_size())
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        scores(fusion, u, v).forward.sum().backward()
    assert 0 < max(kept) <= size * size * count


@pytest.mark.parametrize("length", [0.0, *(10.0**-k for k in range(16))])
def test_the_gradient_of_short_tokens_is_bounded(length: float) -> None:
    fusion, x = LateInteraction((9, 9), (4, 4), dim=4).double(), tokens(1, 1, 4, seed=0)
    for projection in fusion.projections:
        projection.weight.data = torch.eye(4, dtype=torch.float64)
    x = (length * x / x.norm()).requires_grad_()
    scores(fusion, features(x), features(tokens(1, 1, 4, seed=1))).forward.sum().backward()
    assert x.grad is not None
    assert 0 < x.grad.norm() <= 1e3 * (1 + 1e-9)


def test_scores_are_float32_under_autocast() -> None:
    fusion = make().float()
    u, v = features(tokens(2, 4, 4, seed=0).float()), features(tokens(2, 3, 3, seed=1).float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert scores(fusion, u, v).forward.dtype == torch.float32


def test_encoders_without_tokens_are_refused() -> None:
    with pytest.raises(SpecError, match="found: 1 of its inputs without tokens"):
        LateInteraction((4, 4), (4, None))

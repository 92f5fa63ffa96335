import math
from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from mmlab_losses.masked_language_modelling import (
    MaskedLanguageModelling,
    draw,
    has_content,
    pick,
)
from torch import Tensor

from mmlab.plugin import Batch, Features, Outputs, PluginError, Shapes, SpecError, Vocabulary
from mmlab.testing import check_loss

VOCABULARY = Vocabulary(size=30, pad=0, mask=1, special=frozenset({0, 1, 2}))
SHAPES = Shapes({"text": 6}, None, (), (), False, {"text": VOCABULARY}, {"text": 6})


def texts(size: int, length: int) -> Tensor:
    """A start token, then contents of several lengths, then padding."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, 30, (size, length), generator=generator)
    ids[:, 0] = 2
    lengths = torch.arange(size) % length + 1
    return ids.where(torch.arange(length) < lengths[:, None], 0)


class Reader:
    """An encoder that keeps what it was given, and gives rows of a table for ids."""

    def __init__(self) -> None:
        self.table = torch.randn(30, 6, generator=torch.Generator().manual_seed(1))
        self.table.requires_grad_()
        self.seen = torch.empty(0)

    def __call__(self, key: str, x: Tensor) -> Features:
        self.seen = x
        tokens = F.embedding(x, self.table)
        return Features.of(tokens.mean(1), tokens, x != 0)


def scalars(
    loss: MaskedLanguageModelling, ids: Tensor, encode: Reader, present: Tensor | None = None
) -> Mapping[str, Tensor]:
    is_there = torch.ones(len(ids), dtype=torch.bool) if present is None else present
    features = {"text": Features(torch.zeros(len(ids), 6), None, None, is_there)}
    batch = Batch({"text": ids}, {}, torch.zeros(len(ids)), torch.arange(len(ids)), {})
    return loss(Outputs(features, None, None, None), batch, encode)


@pytest.mark.parametrize(
    "options", [{}, {"share": 0.5, "hidden": 1.0}, {"share": 0.5, "hidden": 0.8, "random": 0.1}]
)
def test_masked_language_modelling_keeps_the_contract(options: dict[str, float]) -> None:
    check_loss(MaskedLanguageModelling, **options)


def test_what_is_hidden_is_content_and_becomes_the_reserved_id() -> None:
    torch.manual_seed(0)
    ids, encode = texts(200, 20), Reader()
    scalars(MaskedLanguageModelling(SHAPES, hidden=1.0), ids, encode)
    is_changed = encode.seen != ids
    assert (encode.seen[is_changed] == VOCABULARY.mask).all()
    assert (ids[is_changed] > 2).all()
    content = (ids > 2).sum(1)
    assert is_changed.sum(1).tolist() == [math.ceil(0.15 * n) for n in content.tolist()]


def test_a_tenth_of_what_is_drawn_stays() -> None:
    torch.manual_seed(0)
    ids, encode = torch.full((500, 20), 7), Reader()
    scalars(MaskedLanguageModelling(SHAPES), ids, encode)
    assert float((encode.seen != ids).sum() / (500 * 3)) == pytest.approx(0.9, abs=0.03)


def test_of_what_is_drawn_bert_hides_four_fifths_and_makes_a_tenth_random() -> None:
    torch.manual_seed(0)
    ids, encode = torch.arange(3, 23).expand(2000, -1), Reader()  # 3 of 20 different ids are drawn
    scalars(MaskedLanguageModelling(SHAPES, hidden=0.8, random=0.1), ids, encode)
    is_hidden = encode.seen == VOCABULARY.mask
    is_random = (encode.seen != ids) & ~is_hidden
    shares = torch.tensor([is_hidden.sum(), is_random.sum()]) / (2000 * 3)
    expected = torch.tensor([0.8, 0.1 * 19 / 20])  # one in twenty is, by chance, what was there
    torch.testing.assert_close(shares, expected, atol=0.015, rtol=0)  # 3 deviations of 6000 draws
    assert (is_hidden | is_random).sum(1).max() == 3


def test_random_ids_are_contents_of_the_batch_as_often_as_they_are_there() -> None:
    torch.manual_seed(0)
    ids, encode = torch.tensor([[2, 5, 5, 5, 9, 0, 0]]).expand(4000, -1), Reader()
    loss = MaskedLanguageModelling(SHAPES, share=0.25, hidden=1e-9, random=0.999)
    scalars(loss, ids, encode)
    assert torch.equal(encode.seen[:, [0, 5, 6]], ids[:, [0, 5, 6]])
    changed = (encode.seen != ids).sum(0) / 4000
    # a place is drawn once in four; then its id becomes 9, of which there is one in four, or 5
    expected = torch.tensor([1, 1, 1, 3]) / 16
    torch.testing.assert_close(changed[1:5], expected, atol=0.02, rtol=0)
    assert set(encode.seen[:, 1:5].unique().tolist()) == {5, 9}


def test_special_ids_padding_and_absent_texts_are_never_replaced_nor_picked() -> None:
    torch.manual_seed(0)
    ids, encode = texts(300, 20), Reader()
    ids[:, 3] = VOCABULARY.mask
    ids[-1] = torch.arange(29, 9, -1)
    present = torch.arange(300) < 299
    loss = MaskedLanguageModelling(SHAPES, share=0.9, hidden=1e-9, random=0.999)
    ids = ids.where(ids < 28, 27)  # 28 and 29 are those of the absent text alone
    ids[-1, :2] = torch.tensor([28, 29])
    scalars(loss, ids, encode, present)
    is_changed = encode.seen != ids
    assert is_changed.any(0)[[1, 2, 4, 19]].all()
    assert (ids[is_changed] > 2).all()
    assert ((encode.seen[is_changed] > 2) & (encode.seen[is_changed] < 28)).all()
    assert not is_changed[-1].any()


def test_without_random_ids_nothing_more_is_drawn() -> None:
    """A run from before there was the option has the same numbers again."""
    ids, after = texts(8, 12), []
    for options in ({}, {"random": 0.1}):
        torch.manual_seed(0)
        scalars(MaskedLanguageModelling(SHAPES, **options), ids, Reader())
        after.append(torch.rand(1))
    torch.manual_seed(0)
    MaskedLanguageModelling(SHAPES)
    torch.rand(8, 12), torch.rand(8, 2)
    assert after[0] == torch.rand(1) != after[1]


def test_parts_that_are_more_than_all_are_refused() -> None:
    MaskedLanguageModelling(SHAPES, hidden=0.9, random=0.1)
    with pytest.raises(SpecError, match=r"found: hidden 0.9 and random 0.2"):
        MaskedLanguageModelling(SHAPES, random=0.2)


def test_without_content_there_is_nothing_to_pick_and_no_fault() -> None:
    ids = torch.tensor([[2, 0, 0], [0, 0, 0]])
    encode = Reader()
    found = scalars(MaskedLanguageModelling(SHAPES, hidden=0.8, random=0.2), ids, encode)
    assert float(found["loss"].detach()) == 0
    assert torch.equal(encode.seen, ids)
    assert pick(ids, torch.zeros(2, 3, dtype=torch.bool), (4,)).shape == (4,)


def test_every_content_is_drawn_as_often() -> None:
    torch.manual_seed(0)
    can_be_drawn = torch.tensor([[False, True, True, True, True, False]]).expand(4000, -1)
    places, is_drawn = draw(can_be_drawn, 0.4)
    counts = torch.bincount(places[is_drawn], minlength=6) / 4000
    assert counts[[0, 5]].tolist() == [0, 0]
    torch.testing.assert_close(counts[1:5], torch.full((4,), 0.5), atol=0.04, rtol=0)


@pytest.mark.parametrize(
    ("share", "length", "expected"), [(0.15, 20, 3), (0.1, 30, 3), (0.3, 1, 1)]
)
def test_shares_are_rounded_up_but_not_by_floating_point(
    share: float, length: int, expected: int
) -> None:
    places, is_drawn = draw(torch.ones(2, length, dtype=torch.bool), share)
    assert places.shape == (2, expected)
    assert is_drawn.all()


def test_the_loss_is_the_cross_entropy_of_what_was_drawn() -> None:
    loss, ids, encode = MaskedLanguageModelling(SHAPES, hidden=1.0), texts(40, 12), Reader()
    torch.manual_seed(3)
    found = scalars(loss, ids, encode)["loss"]
    is_drawn = encode.seen != ids
    logits = loss.map(F.embedding(encode.seen, encode.table))
    torch.testing.assert_close(found, F.cross_entropy(logits[is_drawn], ids[is_drawn]))


def test_without_content_the_loss_and_its_gradient_are_zero() -> None:
    loss, encode = MaskedLanguageModelling(SHAPES), Reader()
    found = scalars(loss, torch.tensor([[2, 0, 0], [0, 0, 0]]), encode)
    found["loss"].backward()
    assert float(found["loss"].detach()) == float(found["accuracy"]) == 0
    assert encode.table.grad is not None
    assert encode.table.grad.abs().max() == 0


def test_absent_texts_are_not_asked_for() -> None:
    ids, encode = texts(4, 8), Reader()
    scalars(
        MaskedLanguageModelling(SHAPES, share=0.9), ids, encode, torch.tensor([True] * 3 + [False])
    )
    assert torch.equal(encode.seen[3], ids[3])


def test_content_is_what_is_neither_padding_nor_special() -> None:
    assert (
        has_content(torch.tensor([0, 1, 2, 3, 29]), VOCABULARY).tolist() == [False] * 3 + [True] * 2
    )


def test_tokens_that_do_not_lie_beside_ids_are_refused() -> None:
    def shortened(key: str, x: Tensor) -> Features:
        return Features.of(torch.zeros(len(x), 6), torch.zeros(len(x), x.shape[1] - 1, 6))

    with pytest.raises(PluginError, match="do not lie beside its ids"):
        scalars(MaskedLanguageModelling(SHAPES), texts(4, 8), shortened)  # type: ignore[arg-type]


def test_an_encoder_without_a_vocabulary_is_refused() -> None:
    with pytest.raises(SpecError, match='found: "image"\n  allowed: "text"'):
        MaskedLanguageModelling(SHAPES, encoder="image")


def test_as_many_ids_are_drawn_as_in_x_clip() -> None:
    mlm = pytest.importorskip("x_clip.mlm")
    is_content = torch.arange(40) < torch.arange(2, 41)[:, None]  # of one id it draws 6
    theirs = mlm.get_mask_subset_with_prob(is_content, 0.15).sum(1)
    _, is_drawn = draw(is_content, 0.15)
    assert is_drawn.sum(1).tolist() == theirs.tolist()


def test_x_clip_s_random_ids_replace_padding_and_what_is_not_asked_for() -> None:
    """Here they replace drawn contents alone, as in BERT."""
    mlm = pytest.importorskip("x_clip.mlm")
    torch.manual_seed(0)
    seen: list[Tensor] = []

    def encode(x: Tensor) -> Tensor:
        seen.append(x)
        return torch.zeros(len(x), x.shape[1] + 1, 6)

    text = torch.randint(3, 50, (200, 20)).where(torch.arange(20) < 10, 0)
    mlm.MLM(encode, dim=6, num_tokens=50, random_token_prob=0.1)(text)
    shares = (seen[0] != text).float().mean(0)
    assert float(shares[10:].mean()) == pytest.approx(0.1, abs=0.02)
    assert float(shares[:10].mean()) > 0.2  # of which 0.15 are drawn

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from mmlab_losses.captioning import Captioning, positions
from torch import Tensor

from mmlab.plugin import Batch, Features, Outputs, Shapes, SpecError, Vocabulary
from mmlab.testing import check_loss

VOCABULARY = Vocabulary(size=9, pad=0, mask=1, special=frozenset({0, 1, 2}))
SHAPES = Shapes(
    {"image": 5, "text": 6}, None, (), (), False, {"text": VOCABULARY}, {"image": 5, "text": 6}
)
IDS = torch.tensor([[2, 3, 4, 5], [2, 6, 7, 0], [2, 8, 0, 0]])
SMALL = {"width": 8, "depth": 2, "heads": 2}


def picture(size: int = 3, seed: int = 0, mask: Tensor | None = None) -> Features:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(size, 4, 5, generator=generator)
    return Features.of(torch.zeros(size, 5), tokens, mask)


def scalars(
    loss: Captioning, ids: Tensor, image: Features, present: Tensor | None = None
) -> Mapping[str, Tensor]:
    text = Features.of(torch.zeros(len(ids), 6))
    text = text if present is None else replace(text, present=present)
    batch = Batch({"text": ids}, {}, torch.zeros(len(ids)), torch.arange(len(ids)), {})
    outputs = Outputs({"image": image, "text": text}, None, None, None)
    return loss(outputs, batch, lambda key, x: image)


def make() -> Captioning:
    torch.manual_seed(0)
    return Captioning(SHAPES, **SMALL)


def test_captioning_keeps_the_contract() -> None:
    check_loss(Captioning, **SMALL)


def test_each_id_is_told_from_those_before_alone() -> None:
    """The loss of id k, by the loss of all texts cut after it, less that of one id fewer."""
    loss, image, length = make(), picture(), 4
    ids = torch.tensor([[2, 3, 4, 5]]).expand(3, -1)
    sums = [
        float(scalars(loss, ids[:, :stop], image)["loss"].detach()) * (stop - 1)
        for stop in range(2, length + 1)
    ]
    changed = ids.clone()
    changed[:, 3] = 8
    first_two = float(scalars(loss, changed[:, :3], image)["loss"].detach()) * 2
    assert first_two == pytest.approx(sums[1], rel=1e-6)
    logits = loss.write(loss._decode(ids[:, :-1], image))
    expected = F.cross_entropy(logits[:, 2], ids[:, 3])
    assert sums[2] - sums[1] == pytest.approx(float(expected.detach()), rel=1e-4)


def test_padding_is_not_asked_for() -> None:
    loss, image = make(), picture()
    logits = loss.write(loss._decode(IDS[:, :-1], image))
    is_asked = IDS[:, 1:] != 0
    expected = F.cross_entropy(logits[is_asked], IDS[:, 1:][is_asked])
    torch.testing.assert_close(scalars(loss, IDS, image)["loss"], expected)


def test_before_training_every_id_is_about_as_likely() -> None:
    loss = make()
    loss.write.weight.data.zero_()
    loss.write.bias.data.zero_()
    assert float(scalars(loss, IDS, picture())["loss"].detach()) == pytest.approx(math.log(9))


def test_another_picture_changes_what_is_told() -> None:
    loss = make()
    first, second = (scalars(loss, IDS, picture(seed=seed))["loss"] for seed in (0, 1))
    assert not torch.isclose(first, second)


def test_masked_tokens_of_a_picture_are_not_read() -> None:
    loss, mask = make(), torch.tensor([[True, True, False, False]]).expand(3, -1)
    image = picture(mask=mask)
    assert image.tokens is not None
    other = replace(image, tokens=image.tokens.masked_fill(~mask.unsqueeze(-1), 9.0))
    torch.testing.assert_close(scalars(loss, IDS, other)["loss"], scalars(loss, IDS, image)["loss"])


def test_pairs_that_are_not_whole_take_no_part() -> None:
    loss, image = make(), picture()
    assert image.tokens is not None
    two = Features.of(torch.zeros(2, 5), image.tokens[:2])
    whole = scalars(loss, IDS[:2], two)["loss"]
    found = scalars(loss, IDS, image, torch.tensor([True, True, False]))["loss"]
    torch.testing.assert_close(found, whole)


@pytest.mark.slow
def test_it_learns_to_tell_pictures_apart() -> None:
    loss, image = make(), picture()
    optimizer = torch.optim.AdamW(loss.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        scalars(loss, IDS, image)["loss"].backward()
        optimizer.step()
    found = scalars(loss, IDS, image)
    assert float(found["accuracy"]) == 1
    assert float(found["loss"].detach()) < 0.1


def test_layers_start_with_weights_of_their_own() -> None:
    first, second = make().blocks
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_positions_are_sines_and_cosines() -> None:
    found = positions(3, 4, torch.device("cpu"))
    expected = [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)]
    torch.testing.assert_close(found[2], torch.tensor(expected))


def test_uneven_heads_and_encoders_without_tokens_are_refused() -> None:
    with pytest.raises(SpecError, match="width 8, heads 3"):
        Captioning(SHAPES, width=8, heads=3)
    with pytest.raises(SpecError, match='found: "image"\n  allowed: "text"'):
        Captioning(replace(SHAPES, token_dims={"text": 6}))

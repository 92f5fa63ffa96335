"""The encoder check passes a sound encoder and names the defect of each unsound one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Context, Features, Vocabulary
from mmlab.testing import ContractError, check_encoder

Width = Annotated[int, Field(ge=2, description="width of the features")]


class Sound(nn.Module):
    """A linear map of four by four pixels; its tokens are the pixels."""

    preprocessing = "4 px"

    def __init__(self, context: Context, *, width: Width = 4) -> None:
        super().__init__()
        self.dim = width
        self.token_dim = 3 if "tokens" in context.reads else None
        self.map = nn.Linear(48, width)

    def transform(self, raw: object, train: bool) -> Tensor:
        assert isinstance(raw, Image.Image)
        x = torch.from_numpy(np.array(raw.resize((4, 4)))).permute(2, 0, 1)
        return x.flip(2) if train and torch.rand(()) < 0.5 else x

    def forward(self, x: Tensor) -> Features:
        values = x.float() / 255
        if self.token_dim is None:
            return Features.of(self.map(values.flatten(1)))
        tokens = values.flatten(2).transpose(1, 2) * self.map.weight.sum()
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=x.device)
        return Features.of(self.map(values.flatten(1)), tokens, mask)

    def stages(self) -> Sequence[nn.Module]:
        return [self.map]


class SoundText(nn.Module):
    """Counts of letters that were seen in training."""

    preprocessing = "letters"
    vocabulary = Vocabulary(size=40, pad=0, mask=1, special=frozenset({0, 1}))

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.dim, self.token_dim = 4, None
        self.embedding = nn.EmbeddingBag(40, 4)
        self.register_buffer("seen", torch.zeros(40, dtype=torch.bool))

    def fit(self, raws: Sequence[object]) -> None:
        for raw in raws:
            self.seen[[self.id_of(letter) for letter in str(raw)]] = True

    def id_of(self, letter: str) -> int:
        return 2 + ord(letter) % 38

    def transform(self, raw: object, train: bool) -> Tensor:
        ids = [i for i in map(self.id_of, str(raw)) if self.seen[i]][:6]
        return torch.tensor(ids + [0] * (6 - len(ids)))

    def forward(self, x: Tensor) -> Features:
        return Features.of(self.embedding(x))


def test_a_sound_encoder_passes() -> None:
    check_encoder(Sound, width=5)


def test_a_sound_encoder_of_text_passes() -> None:
    check_encoder(SoundText, modality="text")


class Shared(Sound):
    """Takes its map from what all encoders of its kind would share, and draws a bias itself."""

    def __init__(self, context: Context, *, width: Width = 4) -> None:
        super().__init__(context, width=width)
        self.map = context.once("map", lambda: nn.Linear(48, width))
        self.map.bias = nn.Parameter(torch.rand(width))


def test_an_encoder_that_shares_what_is_drawn_passes() -> None:
    check_encoder(Shared, width=5)


class WrongWidth(Sound):
    def forward(self, x: Tensor) -> Features:
        return Features.of(super().forward(x).pooled[:, 1:])


class Halves(Sound):
    def forward(self, x: Tensor) -> Features:
        return Features.of(super().forward(x).pooled.argmax(1, keepdim=True).expand(-1, self.dim))


class MarksAbsent(Sound):
    def forward(self, x: Tensor) -> Features:
        made = super().forward(x)
        return Features(made.pooled, made.tokens, made.mask, ~made.present)


class Late(Sound):
    def __init__(self, context: Context, *, width: Width = 4) -> None:
        super().__init__(context, width=width)
        self.map.bias = nn.UninitializedParameter()


class Idle(Sound):
    def __init__(self, context: Context, *, width: Width = 4) -> None:
        super().__init__(context, width=width)
        self.idle = nn.Parameter(torch.zeros(2))


class NeverDown(Sound):
    """ReLU of a sum that is always negative: the gradient is there, and zero."""

    def forward(self, x: Tensor) -> Features:
        made = super().forward(x)
        return Features.of(torch.relu(made.pooled - 100) + x.float().mean((1, 2, 3))[:, None])


class NoisyInEvaluation(Sound):
    def forward(self, x: Tensor) -> Features:
        pooled = super().forward(x).pooled
        return Features.of(pooled + torch.randn_like(pooled))


class Counts(Sound):
    def __init__(self, context: Context, *, width: Width = 4) -> None:
        super().__init__(context, width=width)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Features:
        self.calls += 1
        return super().forward(x)


class SeedsOnBuild(Sound):
    def __init__(self, context: Context, *, width: Width = 4) -> None:
        torch.manual_seed(0)
        super().__init__(context, width=width)


class SeedsInTransform(Sound):
    def transform(self, raw: object, train: bool) -> Tensor:
        torch.manual_seed(0)
        return super().transform(raw, train)


class DrawsFromPython(Sound):
    def transform(self, raw: object, train: bool) -> Tensor:
        x = super().transform(raw, train)
        return x.flip(1) if train and random.random() < 0.5 else x


class DrawsFromNumpy(Sound):
    def transform(self, raw: object, train: bool) -> Tensor:
        x = super().transform(raw, train)
        return x.flip(1) if train and np.random.rand() < 0.5 else x


class DrawsFromItsOwn(Sound):
    def __init__(self, context: Context, *, width: Width = 4) -> None:
        super().__init__(context, width=width)
        self.source = torch.Generator().manual_seed(1)

    def forward(self, x: Tensor) -> Features:
        pooled = super().forward(x).pooled
        noise = torch.randn(pooled.shape, generator=self.source)
        return Features.of(pooled + noise * self.training)


class RandomAtEvaluation(Sound):
    def transform(self, raw: object, train: bool) -> Tensor:
        return super().transform(raw, True)


class HidesItsAugmentation(Sound):
    augments = False

    def transform(self, raw: object, train: bool) -> Tensor:
        x = super().transform(raw, train)
        return 255 - x if train else x


class FloatPictures(Sound):
    def transform(self, raw: object, train: bool) -> Tensor:
        return super().transform(raw, train) / 255


class AnySize(Sound):
    def transform(self, raw: object, train: bool) -> Tensor:
        x = super().transform(raw, train)
        return x[:, :3] if train else x


class MixesTheBatch(Sound):
    def forward(self, x: Tensor) -> Features:
        pooled = super().forward(x).pooled
        return Features.of(pooled - pooled.mean(0))


class DividesByItsInput(Sound):
    def forward(self, x: Tensor) -> Features:
        pooled = super().forward(x).pooled
        return Features.of(pooled / x.float().mean((1, 2, 3))[:, None])


class LosesDigits(Sound):
    def forward(self, x: Tensor) -> Features:
        return Features.of(super().forward(x).pooled + 1e3 - 1e3)


class StateInText(Sound):
    def get_extra_state(self) -> str:
        return "words"

    def set_extra_state(self, state: str) -> None: ...


class StateOutside(Sound):
    """The factor is no parameter and no buffer, so it is not in a checkpoint."""

    def __init__(self, context: Context, *, width: Width = 4) -> None:
        super().__init__(context, width=width)
        self.factors = [torch.randn(width)]

    def forward(self, x: Tensor) -> Features:
        return Features.of(super().forward(x).pooled * self.factors[0])


class AlwaysTokens(Sound):
    def __init__(self, context: Context, *, width: Width = 4) -> None:
        super().__init__(context, width=width)
        self.token_dim = 3


class Masked(Sound):
    def mask(self, mask: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Features:
        made = super().forward(x)
        if made.mask is None:
            return made
        return Features(made.pooled, made.tokens, self.mask(made.mask), made.present)


class MaskOfNumbers(Masked):
    def mask(self, mask: Tensor) -> Tensor:
        return mask.float()


class MaskOfAnotherShape(Masked):
    def mask(self, mask: Tensor) -> Tensor:
        return mask[:, 1:]


class MaskInverted(Masked):
    def mask(self, mask: Tensor) -> Tensor:
        return ~mask


class StageTwice(Sound):
    def stages(self) -> Sequence[nn.Module]:
        return [self.map, self.map]


class StageLeftOut(Sound):
    def stages(self) -> Sequence[nn.Module]:
        return []


class WrongPatches(Sound):
    patch_grid = (2, 2)

    def patches(self, x: Tensor) -> Tensor:
        return x.new_zeros(len(x), 4, self.dim, dtype=torch.float32)


class Nameless(Sound):
    preprocessing = ""


@pytest.mark.parametrize(
    ("defect", "message"),
    [
        (WrongWidth, r"pooled must have the shape \(4, 4\)"),
        (Halves, "pooled must be floating point"),
        (MarksAbsent, "must leave `present` True"),
        (Late, r"shape and values when they are made: \['map.bias'\]"),
        (Idle, "the parameter 'idle' gets no gradient"),
        (NeverDown, "gradient of the parameter 'map.weight' is zero"),
        (NoisyInEvaluation, "the same every time in evaluation mode"),
        (Counts, "evaluation must not change"),
        (SeedsOnBuild, "must not seed"),
        (SeedsInTransform, "must not seed"),
        (DrawsFromPython, "not .*Python"),
        (DrawsFromNumpy, "not .*NumPy"),
        (DrawsFromItsOwn, "torch's ambient generator alone"),
        (RandomAtEvaluation, "at evaluation must not be random"),
        (HidesItsAugmentation, "`augments` is False, but training gets another input"),
        (FloatPictures, "images must be uint8"),
        (AnySize, "one shape and dtype"),
        (MixesTheBatch, "of a batch of one"),
        (DividesByItsInput, "stand in for a missing value"),
        (LosesDigits, "under bfloat16 autocast"),
        (StateInText, "must be a tensor"),
        (StateOutside, "must survive a round trip"),
        (AlwaysTokens, "`token_dim` must be None where nothing reads tokens"),
        (MaskOfNumbers, "mask must be bool"),
        (MaskOfAnotherShape, "mask must have the shape"),
        (MaskInverted, "False everywhere"),
        (StageTwice, "once, not twice"),
        (StageLeftOut, "they lack"),
        (WrongPatches, r"`patches` must give .* \(4, 2, 2, 4\): \(4, 4, 4\)"),
        (Nameless, "`preprocessing`"),
    ],
)
def test_a_defect_of_an_encoder_is_named(defect: type[Sound], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_encoder(defect)


class ForgetsLetters(SoundText):
    """What was learnt is not in the state."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.letters = self.seen.clone()
        del self.seen
        self.seen = self.letters


class GivesTheMask(SoundText):
    def id_of(self, letter: str) -> int:
        return 1


class IdsBeyondTheEnd(SoundText):
    vocabulary = Vocabulary(size=20, pad=0, mask=1, special=frozenset({0, 1}))


class PadIsMask(SoundText):
    vocabulary = Vocabulary(size=40, pad=1, mask=1, special=frozenset({1}))


@pytest.mark.parametrize(
    ("defect", "message"),
    [
        (ForgetsLetters, "all that `transform` needs"),
        (GivesTheMask, "mask's reserved id"),
        (IdsBeyondTheEnd, "not all in the vocabulary"),
        (PadIsMask, "must differ"),
    ],
)
def test_a_defect_of_a_text_encoder_is_named(defect: type[SoundText], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_encoder(defect, modality="text")


def test_a_check_leaves_the_ambient_generators_as_they_were() -> None:
    torch.manual_seed(3)
    random.seed(3)
    expected = torch.rand(()), random.random()
    torch.manual_seed(3)
    random.seed(3)
    check_encoder(Sound)
    assert (torch.rand(()), random.random()) == expected


def test_too_few_values_are_refused() -> None:
    with pytest.raises(ContractError, match="at least three"):
        check_encoder(Sound, [Image.new("RGB", (4, 4))])


class GivesFloat16(Sound):
    def forward(self, x: Tensor) -> Features:
        return Features.of(super().forward(x).pooled.half())


class NormalisesInPlace(Sound):
    """Counts of features shrink with every pass over the same batch."""

    def forward(self, x: Tensor) -> Features:
        x //= 2
        return super().forward(x)


class DrawsOnThePicture(Sound):
    def transform(self, raw: object, train: bool) -> Tensor:
        assert isinstance(raw, Image.Image)
        raw.putpixel((0, 0), (1, 2, 3))
        return super().transform(raw, train)


class FadesByCounting(Sound):
    calls = 0

    def forward(self, x: Tensor) -> Features:
        self.calls += self.training
        return Features.of(super().forward(x).pooled / (1 + 0.01 * self.calls * self.training))


@pytest.mark.parametrize(
    ("defect", "claim", "method", "remedy"),
    [
        (GivesFloat16, "pooled are torch.float16", "forward", "leave out `.half()`"),
        (NormalisesInPlace, "the batch changed", "forward", "work on a copy"),
        (DrawsOnThePicture, "the raw value changed", "transform", "work on a copy"),
    ],
)
def test_a_fault_of_an_encoder_is_told_with_its_remedy(
    defect: type[Sound], claim: str, method: str, remedy: str
) -> None:
    with pytest.raises(ContractError) as caught:
        check_encoder(defect)
    first, found, mend = str(caught.value).splitlines()
    assert f"(`{method}`)" in first
    assert claim in found
    assert remedy in mend


#: What the float16 encoder, which gives no tokens, breaks where tokens are read.
TOKENLESS = ("features_with_tokens",)


def test_an_expected_failure_needs_a_reason_and_must_fail() -> None:
    check_encoder(
        GivesFloat16, expected_failed_checks=dict.fromkeys(["features", *TOKENLESS], "a trial")
    )
    with pytest.raises(ContractError, match="needs a reason"):
        check_encoder(GivesFloat16, expected_failed_checks={"features": ""})
    with pytest.raises(ContractError, match="no claim is called 'shapes'; there are options"):
        check_encoder(GivesFloat16, expected_failed_checks={"shapes": "a trial"})
    with pytest.raises(
        ContractError, match=r"features holds, and was expected to fail \(a trial\)"
    ):
        check_encoder(Sound, expected_failed_checks={"features": "a trial"})

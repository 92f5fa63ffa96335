"""The conformance check for encoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from mmlab.model.components import BuildContext
from mmlab.plugin import (
    Augmented,
    Calibrated,
    Dense,
    Features,
    Fitted,
    Measured,
    Placing,
    Staged,
    Tokenized,
)
from mmlab.testing.boxes import check_placement
from mmlab.testing.modules import (
    Run,
    check_bf16,
    check_evaluation,
    check_gpu,
    check_gradients,
    check_state,
    check_training_draws,
)
from mmlab.testing.tools import (
    BUILD,
    OTHER,
    STEP,
    Factory,
    ambient,
    build,
    check_schema,
    normal,
    require,
    require_close,
    require_finite,
    require_shape,
)

TOKENS = frozenset({"pooled", "tokens"})
READS = (frozenset({"pooled"}), TOKENS)


def check_encoder(
    factory: Factory,
    raws: Sequence[object] | None = None,
    *,
    modality: str = "image",
    **options: object,
) -> None:
    """Check an encoder with these options; `raws` are at least three values of its modality.

    Without `raws` there are examples of "image", "text" and "audio". Checked, for a model that
    reads pooled features alone and for one that reads tokens too: the option schema; transforms
    (one shape, one dtype, evaluation without randomness); shapes and dtypes of features; a finite
    gradient for every parameter; batches (permutation, batch of one, the all-zero stand-in of a
    missing value); evaluation without randomness or change; bfloat16; weights through safetensors
    into an encoder that was never fitted; ambient randomness only; `augments`, where pictures are
    placed, patches, stages, vocabulary and lengths of texts where there are any.
    """
    resolved = check_schema("encoder", factory, options)
    raws = examples(modality) if raws is None else raws
    require(len(raws) >= 3, "give at least three raw values")
    for reads in READS:
        _check(_Case(factory, modality, resolved, raws, reads))


@dataclass(frozen=True)
class _Case:
    """One way to build the encoder, and raw values for it."""

    factory: Factory
    modality: str
    options: Mapping[str, object]
    raws: Sequence[object]
    reads: frozenset[str]

    def make(self, seed: int = BUILD) -> Any:  # Any: an nn.Module that also keeps the contract
        context = BuildContext(self.reads, seed)
        return build(self.factory, self.options, seed, modality=self.modality, context=context)

    def make_fitted(self) -> Any:  # Any: as above
        encoder = self.make()
        if isinstance(encoder, Fitted):
            with ambient(BUILD):
                encoder.fit(list(self.raws))
        return encoder

    def batch(self, encoder: Any, train: bool) -> Tensor:  # Any: as above
        with ambient(STEP):
            return torch.stack([encoder.transform(raw, train) for raw in self.raws])


def _check(case: _Case) -> None:
    encoder = case.make_fitted()
    _check_declarations(encoder, case.reads)
    _check_transform(encoder, case)
    _check_same_build(encoder, case)
    x, training_x = case.batch(encoder, False), case.batch(encoder, True)
    run, training_run = _run_on(x), _run_on(training_x)
    _check_features(encoder, x)
    check_evaluation(encoder, run)
    check_training_draws(encoder, training_run)
    _check_batches(encoder, x)
    check_bf16(encoder, run, ("pooled", "tokens"))
    copy = check_state(encoder, lambda: case.make(OTHER), run)
    same = torch.equal(case.batch(copy, False), x)
    require(same, "weights must bring all that `transform` needs, a vocabulary say")
    check_gradients(encoder, training_run)
    check_gpu(encoder, lambda device: _run_on(x.to(device)))
    _check_extras(encoder, x, case.raws)


def _run_on(x: Tensor) -> Run:
    """The features of x by name, tokens without those that are masked."""

    def run(encoder: Any) -> dict[str, Tensor]:  # Any: an nn.Module that also keeps the contract
        features: Features = encoder(x)
        if features.tokens is None:
            return {"pooled": features.pooled}
        tokens = features.tokens
        if features.mask is not None:
            tokens = tokens * features.mask.unsqueeze(-1)
        return {"pooled": features.pooled, "tokens": tokens}

    return run


def _check_declarations(encoder: Any, reads: frozenset[str]) -> None:
    require(isinstance(encoder, nn.Module), "an encoder must be an nn.Module")
    require(isinstance(encoder.dim, int) and encoder.dim > 0, "`dim` must be a positive int")
    width = encoder.token_dim
    require(width is None or width > 0, "`token_dim` must be a positive int or None")
    if "tokens" not in reads:
        require(width is None, "`token_dim` must be None where nothing reads tokens")
    name = encoder.preprocessing
    require(
        isinstance(name, str) and bool(name), "`preprocessing` must be a text that is not empty"
    )


def _check_transform(encoder: Any, case: _Case) -> None:
    """One shape and dtype for all values; no randomness in evaluation, only ambient in training."""
    x, training_x = case.batch(encoder, False), case.batch(encoder, True)
    for made in (x, training_x):
        is_like_x = made.dtype == x.dtype and made.shape == x.shape
        require(is_like_x, "`transform` must give one shape and dtype, training or not")
        require(made.device.type == "cpu", "`transform` must give tensors on the host")
    if case.modality == "image":
        is_uint8 = x.dtype == torch.uint8 and x.ndim == 4 and x.shape[1] == 3
        require(is_uint8, "images must be uint8 (3, H, W); `forward` normalises them")
    with ambient(OTHER):
        again = torch.stack([encoder.transform(raw, False) for raw in case.raws])
    require(torch.equal(again, x), "`transform` at evaluation must not be random")
    if isinstance(encoder, Augmented) and not encoder.augments:
        same = torch.equal(training_x, x)
        require(same, "`augments` is False, but training gets another input than evaluation")
    same = torch.equal(case.batch(encoder, True), training_x)
    require(same, "`transform` must draw from torch's ambient generator alone")


def _check_same_build(encoder: nn.Module, case: _Case) -> None:
    other = case.make_fitted().state_dict()
    for name, x in encoder.state_dict().items():
        same = isinstance(x, Tensor) and torch.equal(x, other[name])
        require(same, f"{name!r} must be a tensor that the ambient seed alone decides")


def _check_features(encoder: Any, x: Tensor) -> None:
    for is_training in (True, False):
        with ambient(STEP):
            features = encoder.train(is_training)(x)
        require(isinstance(features, Features), "`forward` must give Features")
        size = len(x)
        require_shape(features.pooled, (size, encoder.dim), "pooled")
        present = features.present
        require(
            present.shape == (size,) and present.dtype == torch.bool, "`present` must be bool (B,)"
        )
        require(bool(present.all()), "an encoder must leave `present` True: mmlab marks the absent")
        _check_tokens(features, encoder.token_dim, size)


def _check_tokens(features: Features, width: int | None, size: int) -> None:
    tokens, mask = features.tokens, features.mask
    require(
        (tokens is None) == (width is None), "tokens must be there exactly if `token_dim` is set"
    )
    if tokens is None or width is None:
        require(mask is None, "a mask without tokens means nothing")
        return
    require(tokens.ndim == 3, f"tokens must be (B, N, T), not {tuple(tokens.shape)}")
    require_shape(tokens, (size, tokens.shape[1], width), "tokens")
    if mask is None:
        return
    require(mask.dtype == torch.bool, f"mask must be bool, not {mask.dtype}")
    shape = tuple(tokens.shape[:2])
    require(mask.shape == shape, f"mask must have the shape {shape}, not {tuple(mask.shape)}")
    require(bool(mask.any()), "mask must be True at real tokens, and it is False everywhere")


def _check_batches(encoder: Any, x: Tensor) -> None:
    """A sample's features depend neither on its place nor on its batch, nor does zero break it."""
    run = _run_on(x)
    order = torch.arange(len(x)).roll(1)
    with torch.no_grad():
        whole = run(encoder.eval())
        permuted = _run_on(x[order])(encoder)
        alone = _run_on(x[:1])(encoder)
        stand_in = _run_on(torch.zeros_like(x))(encoder)
    for name, expected in whole.items():
        require_close(permuted[name], expected[order], f"{name} of a permuted batch")
        require_close(alone[name], expected[:1], f"{name} of a batch of one")
        require_finite(stand_in[name], f"{name} of zeros, which stand in for a missing value,")


def _check_extras(encoder: Any, x: Tensor, raws: Sequence[object]) -> None:
    if isinstance(encoder, Placing):
        check_placement(encoder)
    if isinstance(encoder, Dense) and encoder.patch_grid is not None:
        _check_patches(encoder, x)
    if isinstance(encoder, Staged):
        _check_stages(encoder)
    if isinstance(encoder, Tokenized):
        _check_vocabulary(encoder, x)
        if isinstance(encoder, Measured):
            _check_lengths(encoder, encoder.vocabulary.pad, x, raws)
    if isinstance(encoder, Calibrated):
        require(encoder.calibration().scale > 0, "the scale of `calibration` must be positive")


def _check_patches(encoder: Any, x: Tensor) -> None:
    with torch.no_grad():
        patches = encoder.eval().patches(x)
    expected = (len(x), *encoder.patch_grid, encoder.dim)
    require(
        patches.shape == expected,
        f"`patches` must give (batch, rows, columns, dim), {expected}: {tuple(patches.shape)}",
    )
    require(bool(patches.isfinite().all()), "`patches` must give finite numbers")


def _check_stages(encoder: Any) -> None:
    staged = [id(p) for stage in encoder.stages() for p in stage.parameters()]
    require(len(staged) == len(set(staged)), "`stages` must hold every parameter once, not twice")
    missing = [name for name, p in encoder.named_parameters() if id(p) not in staged]
    require(not missing, f"`stages` must hold every parameter; they lack {missing}")


def _check_vocabulary(encoder: Tokenized, x: Tensor) -> None:
    vocabulary = encoder.vocabulary
    reserved = {vocabulary.pad, vocabulary.mask, *vocabulary.special}
    is_inside = all(0 <= i < vocabulary.size for i in reserved)
    require(is_inside, f"reserved ids must be below the vocabulary's size {vocabulary.size}")
    require(vocabulary.pad != vocabulary.mask, "the ids of padding and of the mask must differ")
    low, high = x.aminmax()
    is_inside = int(low) >= 0 and int(high) < vocabulary.size
    require(is_inside, f"ids {int(low)} to {int(high)} are not all in the vocabulary")
    require(not bool((x == vocabulary.mask).any()), "no text may be given the mask's reserved id")


def _check_lengths(encoder: Measured, pad: int, x: Tensor, raws: Sequence[object]) -> None:
    require(encoder.length == x.shape[1], "`length` must be how many ids `transform` gives")
    for row, raw in zip(x, raws, strict=True):
        kept, count = int((row != pad).sum()), encoder.count_ids(raw)
        fits = min(count, encoder.length) == kept
        require(fits, f"`count_ids` says {count} of a text of which `transform` keeps {kept}")


def examples(modality: str) -> list[object]:
    """A few raw values of a modality, of different sizes."""
    if modality == "image":
        return [_picture(width, height) for width, height in ((64, 64), (80, 50), (31, 97), (9, 9))]
    if modality == "text":
        return [
            "a cat",
            "a photo of a very small dog, and of much else",
            "naïve 猫 🐈",
            "",
            "x" * 99,
        ]
    if modality == "audio":
        return [(normal(1, length), 16_000) for length in (16_000, 8_000, 24_001)]
    raise ValueError(f"no examples of the modality {modality!r}: give `raws`")


def _picture(width: int, height: int) -> Image.Image:
    """A picture of coloured stripes; no two sizes look alike."""
    rows, columns = np.mgrid[0:height, 0:width]
    colours = [rows * 5 % 256, columns * 7 % 256, (rows + columns) * (width % 11) % 256]
    return Image.fromarray(np.stack(colours, axis=-1).astype(np.uint8), "RGB")

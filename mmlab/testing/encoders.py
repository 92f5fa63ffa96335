"""The conformance check for encoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from mmlab.model.components import BuildContext
from mmlab.plugin import (
    Augmented,
    Features,
    Fitted,
)
from mmlab.testing.claims import Claim, breach, require_all
from mmlab.testing.encoder_parts import check_extras, examples
from mmlab.testing.modules import (
    Run,
    check_bf16,
    check_evaluation,
    check_gpu,
    check_gradients,
    check_resumed,
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
    require,
    require_close,
    require_finite,
    require_shape,
)
from mmlab.testing.untouched import untouched

TOKENS = frozenset({"pooled", "tokens"})
READS = (frozenset({"pooled"}), TOKENS)


def check_encoder(
    factory: Factory,
    raws: Sequence[object] | None = None,
    *,
    modality: str = "image",
    expected_failed_checks: Mapping[str, str] | None = None,
    **options: object,
) -> None:
    """Check an encoder with these options; `raws` are at least three values of its modality.

    Without `raws` there are examples of "image", "text" and "audio". Checked, for a model that
    reads pooled features alone and for one that reads tokens too: the option schema; transforms
    (one shape, one dtype, evaluation without randomness); shapes and dtypes of features; a finite
    gradient for every parameter; batches (permutation, batch of one, the all-zero stand-in of a
    missing value); evaluation without randomness or change; bfloat16; weights through safetensors
    into an encoder that was never fitted; ambient randomness only; `augments`, where pictures are
    placed, patches, stages, vocabulary and lengths of texts where there are any; float32 features;
    nothing that it is given changed in place; no schedule outside its state.

    `expected_failed_checks` gives the reason for each claim that may fail, by its name.
    """
    claims = encoder_claims(factory, raws, modality=modality, **options)
    require_all(claims, expected_failed_checks)


def encoder_claims(
    factory: Factory,
    raws: Sequence[object] | None = None,
    *,
    modality: str = "image",
    **options: object,
) -> list[Claim]:
    """What `check_encoder` checks, each claim with encoders of its own."""
    raws = examples(modality) if raws is None else raws
    require(len(raws) >= 3, "give at least three raw values")
    alone, tokens = (_Case(factory, modality, options, raws, reads) for reads in READS)
    schema = Claim("options", "Options are described, valid and JSON", lambda: alone.resolved)
    return [schema, *_claims(alone, ""), *_claims(tokens, "_with_tokens")]


def _claims(case: _Case, suffix: str) -> list[Claim]:
    """The claims for a model that reads so much."""

    def each(name: str, says: str, check: Callable[[_Case], None]) -> Claim:
        return Claim(f"{name}{suffix}", says, lambda: check(case))

    return [
        each("declarations", "`dim`, `token_dim`, `preprocessing`", _check_declarations),
        each("transform", "One shape and dtype; draws are ambient", _check_transform),
        each("inputs_untouched", "What it is given is only read", _check_untouched),
        each("same_build", "The seed alone decides the first weights", _check_same_build),
        each("features", "Shapes and dtypes are as declared", _check_features),
        each("evaluation", "Evaluation neither draws nor changes", _check_evaluated),
        each("training_draws", "Randomness is torch's ambient", _check_draws),
        each("resumed", "What changes in training is in its state", _check_resumed),
        each("batches", "A sample's features are its own", _check_batches),
        each("bf16", "bfloat16 autocast gives nearly the same", _check_autocast),
        each("state", "Weights survive safetensors", _check_saved),
        each("parameters", "Every parameter is trained", _check_parameters),
        each("gpu", "A GPU gives the same and never waits", _check_on_gpu),
        each("extras", "Optional parts keep their promises", _check_parts),
    ]


@dataclass(frozen=True)
class _Case:
    """One way to build the encoder, and raw values for it."""

    factory: Factory
    modality: str
    options: Mapping[str, object]
    raws: Sequence[object]
    reads: frozenset[str]

    @cached_property
    def resolved(self) -> dict[str, object]:
        return check_schema("encoder", self.factory, self.options)

    def make(self, seed: int = BUILD) -> Any:  # Any: an nn.Module that also keeps the contract
        context = BuildContext(self.reads, seed)
        return build(self.factory, self.resolved, seed, modality=self.modality, context=context)

    def make_fitted(self) -> Any:  # Any: as above
        encoder = self.make()
        if isinstance(encoder, Fitted):
            with ambient(BUILD):
                encoder.fit(list(self.raws))
        return encoder

    def batch(self, encoder: Any, train: bool) -> Tensor:  # Any: as above
        with ambient(STEP):
            return torch.stack([encoder.transform(raw, train) for raw in self.raws])


def _check_untouched(case: _Case) -> None:
    """Batches are not written to, in training or in evaluation."""
    encoder = case.make_fitted()
    for train in (False, True):
        x = case.batch(encoder, train)
        with torch.no_grad(), ambient(STEP), untouched("forward", {"the batch": x}):
            encoder.train(train)(x)


def _check_evaluated(case: _Case) -> None:
    encoder = case.make_fitted()
    check_evaluation(encoder, _run_on(case.batch(encoder, False)))


def _check_draws(case: _Case) -> None:
    encoder = case.make_fitted()
    check_training_draws(encoder, _run_on(case.batch(encoder, True)))


def _check_resumed(case: _Case) -> None:
    encoder = case.make_fitted()
    check_resumed(encoder, _run_on(case.batch(encoder, True)), lambda: None)


def _check_autocast(case: _Case) -> None:
    encoder = case.make_fitted()
    check_bf16(encoder, _run_on(case.batch(encoder, False)), ("pooled", "tokens"))


def _check_saved(case: _Case) -> None:
    encoder = case.make_fitted()
    x = case.batch(encoder, False)
    copy = check_state(encoder, lambda: case.make(OTHER), _run_on(x))
    same = torch.equal(case.batch(copy, False), x)
    require(same, "weights must bring all that `transform` needs, a vocabulary say")


def _check_parameters(case: _Case) -> None:
    encoder = case.make_fitted()
    check_gradients(encoder, _run_on(case.batch(encoder, True)))


def _check_on_gpu(case: _Case) -> None:
    encoder = case.make_fitted()
    x = case.batch(encoder, False)
    check_gpu(encoder, lambda device: _run_on(x.to(device)))


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


def _check_declarations(case: _Case) -> None:
    encoder, reads = case.make_fitted(), case.reads
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


def _check_transform(case: _Case) -> None:
    """One shape and dtype for all values; no randomness in evaluation, only ambient in training."""
    encoder = case.make_fitted()
    with untouched("transform", {"the raw value": case.raws}):
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


def _check_same_build(case: _Case) -> None:
    encoder: nn.Module = case.make_fitted()
    other = case.make_fitted().state_dict()
    for name, x in encoder.state_dict().items():
        same = isinstance(x, Tensor) and torch.equal(x, other[name])
        require(same, f"{name!r} must be a tensor that the ambient seed alone decides")


def _check_features(case: _Case) -> None:
    encoder = case.make_fitted()
    x = case.batch(encoder, False)
    for is_training in (True, False):
        with ambient(STEP):
            features = encoder.train(is_training)(x)
        require(isinstance(features, Features), "`forward` must give Features")
        size = len(x)
        require_shape(features.pooled, (size, encoder.dim), "pooled")
        _require_float32(features.pooled, "pooled")
        present = features.present
        require(
            present.shape == (size,) and present.dtype == torch.bool, "`present` must be bool (B,)"
        )
        require(bool(present.all()), "an encoder must leave `present` True: mmlab marks the absent")
        _check_tokens(features, encoder.token_dim, size)


def _require_float32(x: Tensor, name: str) -> None:
    if x.dtype != torch.float32:
        breach(
            "an encoder gives float32 features unless autocast asks for less: what comes after "
            "adds them up",
            "forward",
            f"{name} are {x.dtype}",
            "leave out `.half()`, or return `pooled.float()`; `train.precision` sets autocast",
        )


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
    _require_float32(tokens, "tokens")
    if mask is None:
        return
    require(mask.dtype == torch.bool, f"mask must be bool, not {mask.dtype}")
    shape = tuple(tokens.shape[:2])
    require(mask.shape == shape, f"mask must have the shape {shape}, not {tuple(mask.shape)}")
    require(bool(mask.any()), "mask must be True at real tokens, and it is False everywhere")


def _check_batches(case: _Case) -> None:
    """A sample's features depend neither on its place nor on its batch, nor does zero break it."""
    encoder = case.make_fitted()
    x = case.batch(encoder, False)
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


def _check_parts(case: _Case) -> None:
    encoder = case.make_fitted()
    check_extras(encoder, case.batch(encoder, False), case.raws)

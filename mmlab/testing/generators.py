"""The conformance check for generators."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from mmlab.plugin import Condition, Features
from mmlab.testing.encoder_parts import examples
from mmlab.testing.modules import (
    Run,
    check_evaluation,
    check_gpu,
    check_gradients,
    check_state,
    check_training_draws,
    move,
)
from mmlab.testing.tools import (
    BUILD,
    OTHER,
    RUBBISH,
    SIZE,
    STEP,
    Factory,
    ambient,
    build,
    check_schema,
    fill_first,
    map_values,
    normal,
    random_features,
    require,
    require_finite,
    require_shape,
)

READS = frozenset({"fused", "features", "tokens"})
#: Width of the fusion's vector in the check.
FUSED = 7
#: Largest error where a sample is alone in its batch, in float64, of the largest value.
BATCH_TOLERANCE = 1e-6
_STEPS, _GUIDANCE = 3, 2.0


def check_generator(
    factory: Factory,
    raws: Sequence[object] | None = None,
    *,
    modality: str = "image",
    dims: Sequence[int] = (6, 5),
    token_dims: Sequence[int | None] = (4, None),
    **options: object,
) -> None:
    """Check a generator with these options; `raws` are at least four values of its target.

    Without `raws` there are examples of "image". It is made for inputs of these widths, and a
    vector of the fusion of width 7. Checked: the option schema; `shape`, `transform` and the shapes
    of terms and samples; that noise and times are given, and nothing is drawn; that a sample
    depends on no other of its batch, to 1e-6 in float64; that nothing is read of a condition, an
    input or a token that is not there, and that a condition which is there counts; a finite
    gradient for every parameter; weights through safetensors; evaluation without change; and that
    `to_raw` is undone by `transform`.
    """
    resolved = check_schema("generator", factory, options)
    require("target" not in resolved, "`target` is a key of [generator], and no option's name")
    raws = (examples(modality) if raws is None else raws)[:SIZE]
    require(len(raws) == SIZE, "give at least four raw values")
    case = _Case(factory, modality, tuple(dims), tuple(token_dims), resolved, raws)
    generator = case.make()
    _check_declarations(generator)
    target = _check_transform(generator, raws)
    run = case.run(target)
    _check_results(generator, run)
    check_evaluation(generator, run)
    check_training_draws(generator, run)
    move(generator)  # what begins at zero would hide what lies behind it
    _check_draws(generator, run)
    _check_batches(generator, case, target)
    _check_absence(generator, case, target)
    check_state(generator, lambda: case.make(OTHER), run)
    check_gradients(generator, case.training_run(target))
    check_gpu(generator, lambda device: case.run(target, device))
    _check_raw(generator, target)


@dataclass(frozen=True)
class _Case:
    """One way to build the generator, and what it is given."""

    factory: Factory
    modality: str
    dims: tuple[int, ...]
    token_dims: tuple[int | None, ...]
    options: Mapping[str, object]
    raws: Sequence[object]

    def make(self, seed: int = BUILD) -> Any:  # Any: an nn.Module that also keeps the contract
        widths = {"dims": self.dims, "token_dims": self.token_dims, "fused": FUSED}
        return build(self.factory, self.options, seed, **widths, modality=self.modality)

    def condition(self) -> Condition:
        pairs = zip(self.dims, self.token_dims, strict=True)
        inputs = tuple(random_features(i, *pair) for i, pair in enumerate(pairs))
        return Condition(inputs, normal(SIZE, FUSED, seed=50), torch.ones(SIZE, dtype=torch.bool))

    def run(self, target: Tensor, device: torch.device | None = None) -> Run:
        """Terms and samples of all targets."""
        return _run_on(target.to(device), self.condition().map(lambda x: x.to(device)))

    def training_run(self, target: Tensor) -> Run:
        """Terms with the condition and without, since each may train parameters of its own."""
        condition = self.condition()

        def run(generator: Any) -> dict[str, Tensor]:  # Any: as above
            given = _terms(generator, target, condition)
            none = _terms(generator, target, condition.absent())
            return {**given, **{f"{name} without condition": x for name, x in none.items()}}

        return run


def _noise(target: Tensor) -> Tensor:
    noise = normal(*target.shape, dtype=torch.float64, seed=60).to(target.device)
    return noise if target.dtype == torch.float64 else noise.float()


def _times(noise: Tensor) -> Tensor:
    return torch.tensor([0.0, 0.3, 0.6, 0.95], dtype=noise.dtype, device=noise.device)


def _terms(generator: Any, target: Tensor, condition: Condition) -> Mapping[str, Tensor]:
    noise = _noise(target)
    terms: Mapping[str, Tensor] = generator.terms(target, condition, noise, _times(noise))
    return terms


def _run_on(target: Tensor, condition: Condition) -> Run:
    def run(generator: Any) -> dict[str, Tensor]:  # Any: an nn.Module that keeps the contract
        how = {"steps": _STEPS, "guidance": _GUIDANCE}
        sample = generator.sample(condition, _noise(target), **how)
        return {**_terms(generator, target, condition), "sample": sample}

    return run


def _check_declarations(generator: Any) -> None:
    require(isinstance(generator, nn.Module), "a generator must be an nn.Module")
    reads = getattr(type(generator), "reads", None)
    is_known = isinstance(reads, frozenset) and reads <= READS
    require(is_known, f"`reads` must be a frozenset of {sorted(READS)}, on the class: {reads!r}")
    shape = generator.shape
    is_shape = isinstance(shape, tuple) and len(shape) == 4
    sound = is_shape and all(isinstance(size, int) and size > 0 for size in shape)
    require(sound, f"`shape` must be (channels, frames, height, width), not {shape!r}")
    name = generator.preprocessing
    require(isinstance(name, str) and bool(name), "`preprocessing` must be a text, not empty")


def _check_transform(generator: Any, raws: Sequence[object]) -> Tensor:
    """The targets, after proof that evaluation's transform draws nothing and gives one shape."""
    made = []
    for seed in (STEP, OTHER):
        with ambient(seed):
            made.append([generator.transform(raw, False) for raw in raws])
    for first, second in zip(*made, strict=True):
        is_fit = isinstance(first, Tensor) and tuple(first.shape) == generator.shape
        require(is_fit, f"`transform` must give tensors of `shape`, {generator.shape}")
        is_number = first.dtype == torch.uint8 or first.is_floating_point()
        require(is_number, f"`transform` must give uint8 or floating point, not {first.dtype}")
        require(first.device.type == "cpu", "`transform` must give tensors on the host")
        require(torch.equal(first, second), "`transform` at evaluation must not be random")
    return torch.stack(made[0])


def _check_results(generator: Any, run: Run) -> None:
    for is_training in (True, False):
        with torch.no_grad(), ambient(STEP):
            results = dict(run(generator.train(is_training)))
        sample = results.pop("sample")
        require_shape(sample, (SIZE, *generator.shape), "`sample`")
        require_finite(sample, "`sample`")
        require("loss" in results, '`terms` must give "loss" among their names')
        for name, x in results.items():
            require_shape(x, (SIZE,), f"the term {name!r}, one number for each sample,")
            require_finite(x, f"the term {name!r}")


def _check_draws(generator: nn.Module, run: Run) -> None:
    """Neither training nor sampling draws times or noise, and the noise that is given counts."""
    generator.train()
    with torch.no_grad():
        results = []
        for seed in (STEP, OTHER):
            with ambient(seed):
                before = torch.get_rng_state()
                results.append(run(generator))
                drew = not torch.equal(before, torch.get_rng_state())
            require(not drew, "noise and times are given: a generator must draw nothing")
    for name, x in results[0].items():
        require(torch.equal(x, results[1][name]), f"{name} must not depend on random numbers")


def _check_batches(generator: Any, case: _Case, target: Tensor) -> None:
    """Each sample alone, in float64, is what it is in its batch; another noise gives another."""
    exact, condition = _exact(generator), _to_float64(case.condition())
    clean = target.double() if target.is_floating_point() else target
    noise = _noise(target.double())
    times = _times(noise)

    def run(rows: slice) -> dict[str, Tensor]:
        part = condition.map(lambda x: x[rows])
        how = {"steps": _STEPS, "guidance": _GUIDANCE}
        sample = exact.sample(part, noise[rows], **how)
        return {**exact.terms(clean[rows], part, noise[rows], times[rows]), "sample": sample}

    with torch.no_grad():
        whole = run(slice(None))
        for row in range(SIZE):
            alone = run(slice(row, row + 1))
            for name, x in whole.items():
                _require_same(alone[name], x[row : row + 1], f"{name} of a sample alone")
        other = exact.sample(condition, -noise, steps=_STEPS, guidance=_GUIDANCE)
    moved = bool((other != whole["sample"]).flatten(1).any(1).all())
    require(moved, "`sample` must depend on the noise that it is given")


def _check_absence(generator: Any, case: _Case, target: Tensor) -> None:
    """What is not there is not read: a condition, an input, a token. What is there is."""
    generator = _exact(generator)
    condition = _to_float64(case.condition())
    target = target.double() if target.is_floating_point() else target
    noise, how = _noise(target.double()), {"steps": _STEPS, "guidance": _GUIDANCE}

    def sample(given: Condition) -> Tensor:
        with torch.no_grad():
            made: Tensor = generator.sample(given, noise, **how)
        return made

    first = torch.arange(SIZE) == 0
    there = sample(condition)
    none = replace(condition, present=condition.present & ~first)
    expected = sample(none)
    _require_same(
        sample(_changed(none, lambda x: fill_first(x, RUBBISH))),
        expected,
        "a sample without a condition, when what stands in its place changes",
    )
    _require_same(expected[1:], there[1:], "samples beside one without a condition")
    _require_same(sample(condition.absent())[:1], expected[:1], "a sample without any condition")
    if generator.reads:
        require(
            not torch.equal(expected[0], there[0]),
            "a sample must depend on whether its condition is there",
        )
        other = sample(_changed(condition, lambda x: -2 * x))
        counts = bool((other != there).flatten(1).any(1).all())
        require(counts, "a sample must depend on its condition")
    spoilt = replace(condition, inputs=tuple(map(_with_rubbish, condition.inputs)))
    _require_same(sample(spoilt), there, "a sample, when tokens that are masked change")
    _check_absent_input(sample, condition)


def _check_absent_input(sample: Callable[[Condition], Tensor], condition: Condition) -> None:
    lacking = replace(condition.inputs[0], present=condition.present & False)
    one_less = replace(condition, inputs=(lacking, *condition.inputs[1:]))
    rubbish = map_values(lacking, lambda x: torch.full_like(x, RUBBISH))
    changed = replace(condition, inputs=(rubbish, *condition.inputs[1:]))
    message = "a sample, when what stands in the place of an absent input changes"
    _require_same(sample(changed), sample(one_less), message)


def _with_rubbish(features: Features) -> Features:
    if features.tokens is None or features.mask is None:
        return features
    tokens = features.tokens.masked_fill(~features.mask[..., None], RUBBISH)
    return replace(features, tokens=tokens)


def _changed(condition: Condition, change: Callable[[Tensor], Tensor]) -> Condition:
    """The condition with other values and the same presence."""
    fused = None if condition.fused is None else change(condition.fused)
    inputs = tuple(map_values(features, change) for features in condition.inputs)
    return Condition(inputs, fused, condition.present)


def _exact(generator: Any) -> Any:  # Any: an nn.Module that also keeps the contract
    return copy.deepcopy(generator).double().eval()


def _to_float64(condition: Condition) -> Condition:
    return condition.map(lambda x: x.double() if x.is_floating_point() else x)


def _require_same(actual: Tensor, expected: Tensor, message: str) -> None:
    require(actual.shape == expected.shape, f"{message} has another shape: {tuple(actual.shape)}")
    error = float((actual - expected).abs().max())
    allowed = BATCH_TOLERANCE * max(1.0, float(expected.abs().max()))
    require(error <= allowed, f"{message} must stay: off by {error:.3g}, allowed {allowed:.3g}")


def _check_raw(generator: Any, target: Tensor) -> None:
    """A raw value that was made of a tensor is read as that tensor again."""
    for each in target:
        again = generator.transform(generator.to_raw(each), False)
        require(torch.equal(again, each), "`transform` must undo `to_raw`")
    sample = normal(*generator.shape, seed=70)
    once = generator.transform(generator.to_raw(sample), False)
    twice = generator.transform(generator.to_raw(once), False)
    is_same = once.shape == sample.shape and torch.equal(once, twice)
    require(is_same, "`to_raw` must give a raw value of any sample, which `transform` reads")

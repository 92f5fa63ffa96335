"""The conformance check for fusions, of vectors and of similarities."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor, nn

from mmlab.plugin import Features, Scores, SimilarityFusion, SpecError
from mmlab.testing.claims import Claim, require_all
from mmlab.testing.fusion_checks import (
    check_absent_values,
    check_finite_differences,
    check_input_gradients,
    check_untouched,
    check_zero,
    fuse,
    join,
    run_on,
    score,
    subsets,
)
from mmlab.testing.modules import (
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
    RUBBISH,
    SIZE,
    ContractError,
    Factory,
    as_leaves,
    build,
    check_schema,
    map_all,
    map_values,
    random_features,
    require,
    require_close,
    require_finite,
    require_shape,
    spoil_masked,
    without_first,
)


def check_fusion(
    factory: Factory,
    dims: Sequence[int] = (8, 6),
    *,
    token_dims: Sequence[int | None] | None = None,
    outputs: int | None = 5,
    expected_failed_checks: Mapping[str, str] | None = None,
    **options: object,
) -> None:
    """Check a fusion with these options for inputs of these widths.

    `token_dims` are the widths of their tokens, None for an input without tokens; by default
    `dims`. `outputs` is how many numbers a prediction has.

    Checked: the option schema; declarations, and that so many inputs are joined as `input_range`
    says; as many parameters on torch's meta device; shapes; a
    finite gradient for every parameter and input, in float64 equal to finite differences;
    permutation of the batch and a batch of one; leading axes that broadcast, equal to the loop over
    all pairs; every combination of missing inputs, all missing included (finite, whatever the
    absent values are, without effect on other samples); masked tokens without effect; zero vectors;
    evaluation without randomness or change; bfloat16 within 5 % of float64; weights through
    safetensors; ambient randomness only; nothing that it is given changed in place; no schedule
    outside its state.

    `expected_failed_checks` gives the reason for each claim that may fail, by its name.
    """
    claims = fusion_claims(factory, dims, token_dims=token_dims, outputs=outputs, **options)
    require_all(claims, expected_failed_checks)


def fusion_claims(
    factory: Factory,
    dims: Sequence[int] = (8, 6),
    *,
    token_dims: Sequence[int | None] | None = None,
    outputs: int | None = 5,
    **options: object,
) -> list[Claim]:
    """What `check_fusion` checks, each claim with a fusion of its own."""
    case = _Case(factory, options, tuple(dims), tuple(token_dims or dims), outputs)

    def each(name: str, says: str, check: Callable[[Any, Sequence[Features]], object]) -> Claim:
        return Claim(name, says, lambda: check(*case.given()))

    return [
        Claim("options", "Options are described, valid and JSON", lambda: case.resolved),
        Claim("declarations", "Declarations are known", lambda: _check_declarations(case.make())),
        Claim("width", "It is made on the meta device", lambda: _check_width(case, case.make())),
        Claim("input_range", "It joins so many inputs", lambda: _check_counts(case)),
        each("shapes", "Shapes are as declared", _check_shapes),
        each("inputs_untouched", "What it is given is only read", check_untouched),
        each("evaluation", "Evaluation neither draws nor changes", _evaluated),
        each("training_draws", "Randomness is torch's ambient", _draws),
        each("resumed", "What changes in training is in its state", _resumed),
        each("pairs", "All pairs at once are pairs one by one", _check_pairs),
        each("order", "The order of a batch does not matter", _check_order),
        each("missing", "Absent inputs have no say", _check_missing),
        each("masked_tokens", "Masked tokens have no say", _check_masked_tokens),
        each("zero", "Zero vectors are no special case", check_zero),
        each("absent_values", "Absent values are not computed with", check_absent_values),
        each("state", "Weights survive safetensors", case.check_saved),
        each("bf16", "bfloat16 autocast gives nearly the same", _autocast),
        each("gradients", "Gradients are finite differences", check_finite_differences),
        each("parameters", "Every parameter is trained", _parameters),
        each("input_gradients", "Every input gets a gradient", check_input_gradients),
        each("gpu", "A GPU gives the same and never waits", _on_gpu),
    ]


def _evaluated(fusion: Any, features: Sequence[Features]) -> None:
    check_evaluation(fusion, run_on(features))


def _draws(fusion: Any, features: Sequence[Features]) -> None:
    check_training_draws(fusion, run_on(features))


def _resumed(fusion: Any, features: Sequence[Features]) -> None:
    check_resumed(fusion, run_on(features), lambda: None)


def _autocast(fusion: Any, features: Sequence[Features]) -> None:
    exact = run_on([map_values(f, Tensor.double) for f in features])
    check_bf16(fusion, run_on(features), ("fused", "forward", "backward"), exact)


def _parameters(fusion: Any, features: Sequence[Features]) -> None:
    check_gradients(fusion, run_on([as_leaves(f) for f in features]))


def _on_gpu(fusion: Any, features: Sequence[Features]) -> None:
    check_gpu(fusion, lambda device: run_on([map_all(f, lambda x: x.to(device)) for f in features]))


@dataclass(frozen=True)
class _Case:
    factory: Factory
    options: Mapping[str, object]
    dims: Sequence[int]
    token_dims: Sequence[int | None]
    outputs: int | None

    @cached_property
    def resolved(self) -> dict[str, object]:
        return check_schema("fusion", self.factory, self.options)

    def given(self) -> tuple[Any, list[Features]]:  # Any: an nn.Module that also keeps a contract
        """A new fusion, and random features for it."""
        fusion = self.make()
        return fusion, self.features(fusion)

    def check_saved(self, fusion: Any, features: Sequence[Features]) -> None:  # Any: as above
        check_state(fusion, lambda: self.make(OTHER), run_on(features))

    def make(self, seed: int = BUILD) -> Any:  # Any: an nn.Module that also keeps a contract
        given = {"dims": self.dims, "token_dims": self.token_dims, "outputs": self.outputs}
        return build(self.factory, self.resolved, seed, **given)

    def of_inputs(self, count: int) -> _Case:
        """The same for another number of inputs, their widths in turn."""
        dims = tuple(islice(cycle(self.dims), count))
        return replace(self, dims=dims, token_dims=tuple(islice(cycle(self.token_dims), count)))

    def features(self, fusion: Any) -> list[Features]:
        """Random features of every input, with tokens if the fusion reads them."""
        has_tokens = "tokens" in fusion.reads
        return [
            random_features(position, width, token_width if has_tokens else None)
            for position, (width, token_width) in enumerate(
                zip(self.dims, self.token_dims, strict=True)
            )
        ]


def _check_declarations(fusion: Any) -> None:
    require(isinstance(fusion, nn.Module), "a fusion must be an nn.Module")
    known = {"pooled", "tokens"}
    is_known = bool(fusion.reads) and set(fusion.reads) <= known
    require(is_known, f"`reads` must name some of {known}, not {set(fusion.reads)}")
    is_known = fusion.prompts in ("features", "score")
    require(is_known, f'`prompts` must be "features" or "score", not {fusion.prompts!r}')
    gives = [name for name in ("fuse", "score") if hasattr(fusion, name)]
    require(bool(gives), "a fusion has `fuse`, `score`, or both; this one has neither")
    if "fuse" in gives:
        require(isinstance(fusion.dim, int) and fusion.dim > 0, "`dim` must be a positive int")


def _check_width(case: _Case, fusion: Any) -> None:
    """A sweep can count the parameters without allocating them, and set what sets the width."""
    option = getattr(case.factory, "width_option", None)
    is_known = option is None or option in case.resolved
    require(is_known, f"`width_option` must name an option or be None, not {option!r}")
    try:
        with torch.device("meta"):
            shadow = case.make()
    except (NotImplementedError, RuntimeError) as error:
        raise ContractError(
            f"it must be possible to make it on the meta device: {error}"
        ) from error
    counts = [sum(p.numel() for p in made.parameters()) for made in (shadow, fusion)]
    require(counts[0] == counts[1], f"on the meta device it has other parameters: {counts}")


def _check_counts(case: _Case) -> None:
    """It can be made for, and joins, the fewest inputs that it declares, and one more if it may."""
    fewest, most = _input_range(case)
    given = len(case.dims)
    message = f"`input_range` is {(fewest, most)}, so that {given} inputs are not joined"
    require(fewest <= given <= most, message)
    for count in {fewest, min(fewest + 1, most)}:
        other = case.of_inputs(int(count))
        try:
            made = other.make()
            _check_shapes(made, other.features(made))
        except (SpecError, RuntimeError, TypeError, ValueError, IndexError) as error:
            message = f"`input_range` is {(fewest, most)}, but {count} inputs fail: {error}"
            raise ContractError(message) from error


def _input_range(case: _Case) -> tuple[int, float]:
    given = len(case.dims)
    match getattr(case.factory, "input_range", (given, given)):
        case (int(fewest), None) if fewest >= 1:
            return fewest, math.inf
        case (int(fewest), int(most)) if 1 <= fewest <= most:
            return fewest, most
        case found:
            raise ContractError(f"`input_range` must be (fewest, most), None for no most: {found}")


def _check_shapes(fusion: Any, features: Sequence[Features]) -> None:
    projected = [fusion.project(i, f) for i, f in enumerate(features)]
    for made in projected:
        require(isinstance(made, Features), "`project` must give Features")
        require(made.pooled.shape[:-1] == (SIZE,), "`project` must keep the leading axes")
        require(bool(made.present.all()), "`project` must keep `present`")
    if hasattr(fusion, "fuse"):
        require_shape(fusion.fuse(*projected), (SIZE, fusion.dim), "fused")
    if not isinstance(fusion, SimilarityFusion) or len(projected) > 2:
        return
    u, v = projected[0], map_all(projected[1], lambda x: x[:-1])
    scores = fusion.score(u, v)
    require(isinstance(scores, Scores), "`score` must give Scores")
    require_shape(scores.forward, (SIZE, SIZE - 1), "forward scores")
    require_shape(scores.backward, (SIZE, SIZE - 1), "backward scores")


def _check_pairs(fusion: Any, features: Sequence[Features]) -> None:
    """All pairs at once, by broadcasting or by `score`, are what every pair gives on its own."""
    with torch.no_grad():
        projected = [fusion.eval().project(i, f) for i, f in enumerate(features)]
        try:
            at_once = _all_pairs(fusion, projected)
        except RuntimeError as error:
            raise ContractError(f"leading axes must broadcast: {error}") from error
        for name, expected in _loop_over_pairs(fusion, projected).items():
            require_close(at_once[name], expected, f"{name} for all pairs, against one at a time,")


def _all_pairs(fusion: Any, projected: Sequence[Features]) -> dict[str, Tensor]:
    rows = map_all(projected[0], lambda x: x.unsqueeze(1))
    columns = [map_all(f, lambda x: x.unsqueeze(0)) for f in projected[1:]]
    return {**fuse(fusion, [rows, *columns]), **score(fusion, projected)}


def _loop_over_pairs(fusion: Any, projected: Sequence[Features]) -> dict[str, Tensor]:
    rows = range(SIZE)
    columns = range(SIZE if len(projected) > 1 else 1)
    pairs = [[_join_pair(fusion, projected, a, b) for b in columns] for a in rows]
    return {
        name: torch.stack([torch.stack([pair[name] for pair in row]) for row in pairs])
        for name in pairs[0][0]
    }


def _join_pair(fusion: Any, projected: Sequence[Features], a: int, b: int) -> dict[str, Tensor]:
    """Row a of the first input with row b of all others; each result without its batch axes."""
    first = map_all(projected[0], lambda x: x[a : a + 1])
    others = [map_all(f, lambda x: x[b : b + 1]) for f in projected[1:]]
    joined = join(fusion, [first, *others])
    return {name: x.squeeze(0) if name == "fused" else x.squeeze() for name, x in joined.items()}


def _check_order(fusion: Any, features: Sequence[Features]) -> None:
    order = torch.arange(SIZE).roll(1)
    with torch.no_grad():
        expected = run_on(features)(fusion.eval())
        actual = run_on([map_all(f, lambda x: x[order]) for f in features])(fusion)
    for name, x in expected.items():
        permuted = x[order] if name == "fused" else x[order][:, order]
        require_close(actual[name], permuted, f"{name} of a permuted batch")


def _check_missing(fusion: Any, features: Sequence[Features]) -> None:
    """Sample 0 lacks each subset of inputs: all is finite, and what is absent has no say."""
    complete = run_on(features)(fusion.eval())
    for subset in subsets(len(features)):
        missing = [without_first(f, 0.0) if i in subset else f for i, f in enumerate(features)]
        other = [without_first(f, RUBBISH) if i in subset else f for i, f in enumerate(features)]
        found, same = run_on(missing)(fusion), run_on(other)(fusion)
        for name, x in found.items():
            where = f"{name} where the inputs {list(subset)} are absent"
            require_finite(x, where)
            require_close(same[name], x, f"{where} must not depend on absent values")
            rest = slice(1, None)
            message = (
                f"{name} of complete samples beside one whose inputs {list(subset)} are absent"
            )
            require_close(_rest(x, name, rest), _rest(complete[name], name, rest), message)


def _rest(x: Tensor, name: str, rest: slice) -> Tensor:
    return x[rest] if name == "fused" else x[rest, rest]


def _check_masked_tokens(fusion: Any, features: Sequence[Features]) -> None:
    if "tokens" not in fusion.reads:
        return
    with torch.no_grad():
        expected = run_on(features)(fusion.eval())
        actual = run_on([spoil_masked(f) for f in features])(fusion)
    for name, x in expected.items():
        require_close(actual[name], x, f"{name} must not depend on masked tokens")

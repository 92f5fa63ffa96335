"""Tools of the checks: claims and their error, features, options by signature, and randomness.

Ambient randomness is given as the runner gives it, with proof that a component only draws from
torch's.
"""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from pydantic_core import to_jsonable_python
from torch import Tensor

from mmlab.data.order import preserved_generators
from mmlab.errors import PluginError
from mmlab.metric import Metric, find
from mmlab.model.components import lazy_tensors
from mmlab.plan.component import declared_numerics, is_numerics
from mmlab.plan.options import check_options, json_schema, supplied
from mmlab.plugin import Features

#: Largest error of a result relative to its largest value, where only the order of sums may differ.
ORDER_TOLERANCE = 1e-4

#: Largest error in the Euclidean norm relative to the result's, bfloat16 autocast against float32:
#: bfloat16 rounds by up to 2**-9, and a dozen layers add up to some ten roundings.
BF16_TOLERANCE = 0.05


class ContractError(AssertionError):
    """A component breaks its contract; the message says which part."""


def for_author(message: str) -> str:
    """A message of mmlab to whoever wrote the plugin, who need not be told to tell the author."""
    told = ("tell the plugin's author; `mmlab.testing` checks this", "tell the plugin's author")
    for words in told:
        message = message.replace(words, "mend the component: its contract is in `mmlab.plugin`")
    return message


def require(claim: bool, message: str) -> None:
    """Raise ContractError with the message unless the claim holds."""
    if not claim:
        raise ContractError(message)


def require_shape(x: object, shape: Sequence[int], name: str) -> None:
    """Require a floating-point tensor of one shape."""
    require(isinstance(x, Tensor), f"{name} must be a tensor, not {type(x).__name__}")
    assert isinstance(x, Tensor)
    found = tuple(x.shape)
    require(found == tuple(shape), f"{name} must have the shape {tuple(shape)}, not {found}")
    require(x.is_floating_point(), f"{name} must be floating point, not {x.dtype}")


def require_finite(x: Tensor, name: str) -> None:
    """Require that no element is NaN or infinite."""
    require(bool(torch.isfinite(x).all()), f"{name} must be finite")


def require_close(
    actual: Tensor, expected: Tensor, message: str, tolerance: float = ORDER_TOLERANCE
) -> None:
    """Require equal shapes and values, to `tolerance` of the largest expected value."""
    require_shape(actual, expected.shape, message)
    actual, expected = actual.detach().cpu().double(), expected.detach().cpu().double()
    allowed = tolerance * max(1e-6, float(expected.abs().max())) if expected.numel() else 0.0
    error = float((actual - expected).abs().max()) if expected.numel() else 0.0
    require(error <= allowed, f"{message}: off by {error:.3g}, allowed {allowed:.3g}")


def require_near(actual: Tensor, expected: Tensor, message: str, tolerance: float) -> None:
    """Require values whose error, as one vector, is at most `tolerance` of the expected norm."""
    actual, expected = actual.detach().double(), expected.detach().double()
    error = float((actual - expected).norm() / expected.norm().clamp(min=1e-6))
    require(error <= tolerance, f"{message}: relative error {error:.3g}, allowed {tolerance}")


#: Samples in a batch, and tokens of the longest sample.
SIZE = 4
TOKENS = 5

#: What absent samples and masked tokens hold in the checks: nothing may depend on it.
RUBBISH = 1e4

Change = Callable[[Tensor], Tensor]


def random_features(position: int, width: int, token_width: int | None) -> Features:
    """Features of one input, all present, with tokens of several lengths if they have a width."""
    pooled = normal(SIZE, width, seed=position)
    if token_width is None:
        return Features.of(pooled)
    tokens = normal(SIZE, TOKENS, token_width, seed=100 + position)
    counts = torch.tensor([TOKENS, 2, 3, 1])
    return Features.of(pooled, tokens, torch.arange(TOKENS) < counts[:, None])


def map_values(features: Features, change: Change) -> Features:
    """The features with pooled values and tokens changed."""
    pooled = change(features.pooled)
    tokens = None if features.tokens is None else change(features.tokens)
    return replace(features, pooled=pooled, tokens=tokens)


def map_all(features: Features, change: Change) -> Features:
    """The features with every tensor changed, mask and presence too."""
    mask = None if features.mask is None else change(features.mask)
    return replace(map_values(features, change), mask=mask, present=change(features.present))


def values_of(features: Features) -> list[Tensor]:
    """Pooled values, and tokens if there are any."""
    return [x for x in (features.pooled, features.tokens) if x is not None]


def with_values(features: Sequence[Features], values: Sequence[Tensor]) -> list[Features]:
    """The features with their pooled values and tokens taken from `values`, in order."""
    rest = iter(values)
    return [map_values(f, lambda _: next(rest)) for f in features]


def as_leaves(features: Features) -> Features:
    """Copies that gather gradients."""
    return map_values(features, lambda x: x.detach().clone().requires_grad_())


def fill_first(x: Tensor, value: float) -> Tensor:
    """The tensor with `value` everywhere in its first row."""
    return torch.cat([torch.full_like(x[:1], value), x[1:]])


def without_first(features: Features, value: float) -> Features:
    """The same features, but that sample 0 is absent and holds `value`."""
    present = features.present.clone()
    present[0] = False
    return replace(map_values(features, lambda x: fill_first(x, value)), present=present)


def spoil_masked(features: Features) -> Features:
    """The same features with rubbish in the tokens that are masked, if there are any."""
    if features.tokens is None or features.mask is None:
        return features
    tokens = features.tokens.masked_fill(~features.mask.unsqueeze(-1), RUBBISH)
    return replace(features, tokens=tokens)


Factory = Callable[..., Any]  # Any: factories differ by kind, and the contracts are protocols


def check_schema(kind: str, factory: Factory, options: Mapping[str, object]) -> dict[str, object]:
    """The options with their defaults, after all that can be said about them without building.

    Every option has a description, and nothing but what mmlab supplies is asked for positionally.
    `numerics`, where it is declared, is a positive integer.
    """
    name = getattr(factory, "__name__", repr(factory))
    try:
        resolved, faults = check_options(kind, name, factory, options)
        _require_json(resolved)
        schema = json_schema(factory)
    except PluginError as error:
        raise ContractError(for_author(str(error))) from error
    require(not faults, f"these options are not valid: {faults}")
    properties = cast(dict[str, dict[str, object]], schema.get("properties", {}))
    bare = [key for key, value in properties.items() if key in resolved and not _describes(value)]
    require(not bare, f"options need a description (Field(description=...)): {bare}")
    numerics = declared_numerics(factory, 1)
    require(is_numerics(numerics), f"`numerics` must be a positive integer, not {numerics!r}")
    return resolved


def _require_json(options: Mapping[str, object]) -> None:
    """Every value can stand in a spec, and is stored with a run as JSON. A set has no order."""
    for name, value in options.items():
        try:
            is_plain = not isinstance(value, set | frozenset)
            json.dumps(to_jsonable_python(value), allow_nan=False)
        except (TypeError, ValueError):
            is_plain = False
        kind = type(value).__name__
        require(
            is_plain,
            f"the option {name!r} must be JSON, for it is stored with every run\n"
            f"  found: {value!r:.80} ({kind}) as its value or default\n"
            "  mend: give a text, a finite number, a bool, a list, a table or None, and make "
            f"the {kind} of it inside",
        )


def _describes(schema: Mapping[str, object]) -> bool:
    return bool(str(schema.get("description", "")).strip())


def check_metrics(component: object, names: Sequence[str]) -> None:
    """Every one of these numbers is declared in `metrics`, so that runs can be compared by it."""
    declared = getattr(component, "metrics", ())
    is_known = isinstance(declared, tuple) and all(isinstance(one, Metric) for one in declared)
    require(is_known, f"`metrics` must be a tuple of Metric, not {declared!r}")
    bare = [name for name in names if find(declared, name) is None]
    require(not bare, f"`metrics` must declare {bare}: which way they are better, or that none is")


def build(factory: Factory, options: Mapping[str, object], seed: int, **given: object) -> Any:
    """A component, built as mmlab does: ambient randomness from `seed`, only what it asks for."""
    with ambient(seed):
        made = factory(*(given[name] for name in supplied(factory)), **options)
    lazy = lazy_tensors(made)
    require(not lazy, f"parameters must have shape and values when they are made: {lazy}")
    return made


#: Seeds of the scopes that the runner would seed; unlikely to be those of a component.
BUILD, STEP, OTHER = 0x5EED_B01D, 0x5EED_57E9, 0x5EED_0123


@contextmanager
def ambient(seed: int) -> Iterator[None]:
    """Seed torch's ambient generator inside; require that nobody else seeded or drew elsewhere.

    The states of torch's, NumPy's and Python's generators are put back after.
    """
    before = np.random.get_state(), random.getstate()
    with preserved_generators():
        torch.default_generator.manual_seed(seed)
        yield
        _require_untouched(seed, *before)


def _require_untouched(seed: int, numpy_state: object, python_state: object) -> None:
    require(
        torch.random.initial_seed() == seed,
        "a component must not seed torch's ambient generator: the runner does",
    )
    drew = [
        name
        for name, is_same in {
            "NumPy": pickle.dumps(np.random.get_state()) == pickle.dumps(numpy_state),
            "Python": random.getstate() == python_state,
        }.items()
        if not is_same
    ]
    require(not drew, f"randomness must come from torch's ambient generator, not {drew}'s")


def normal(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    """Standard normal numbers from a private generator."""
    source = torch.Generator().manual_seed(977 + seed)
    return torch.randn(shape, generator=source, dtype=torch.float64).to(dtype)

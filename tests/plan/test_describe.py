"""Validated options as what is hashed: equal values have equal hashes, and only they."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from mmlab.errors import PluginError
from mmlab.hashing import canonical_json, digest
from mmlab.plan.content import hashed, whole
from mmlab.plan.options import check_options, describe_options, json_schema
from mmlab.plugin import Added

Factory = Callable[..., Any]


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Crop(BaseModel):
    """A table among the options, which got a key of its own later."""

    model_config = ConfigDict(frozen=True)

    size: int = 4
    flip: Annotated[bool, Added(False)] = False


@dataclass(frozen=True)
class Range:
    low: float
    high: float


class Mixer:
    """Options of all kinds, as they were released."""

    def __init__(
        self,
        *,
        rank: int = 64,
        scale: float = 1,
        switch: bool | int = False,
        text: str | None = None,
        color: Color = Color.RED,
        kinds: frozenset[str] = frozenset(),
        range: Range = Range(0.0, 1.0),
        pairs: dict[str, tuple[float, ...]] = {},  # noqa: B006  # what plugins write
        crop: Crop = Crop(),  # noqa: B008  # likewise
    ) -> None: ...


class Later(Mixer):
    """The same options, and more that were added since."""

    def __init__(
        self,
        *,
        rank: int = 64,
        scale: float = 1,
        switch: bool | int = False,
        text: str | None = None,
        color: Color = Color.RED,
        kinds: frozenset[str] = frozenset(),
        range: Range = Range(0.0, 1.0),
        pairs: dict[str, tuple[float, ...]] = {},  # noqa: B006
        crop: Crop = Crop(),  # noqa: B008
        floor: Annotated[float, Field(ge=0, description="floor"), Added(0)] = 0.5,
        width: Annotated[int | None, Added(None)] = None,
        zoom: Annotated[Crop, Added({"size": 4})] = Crop(size=4),  # noqa: B008
    ) -> None: ...


def described(options: dict[str, Any], factory: Factory = Mixer) -> dict[str, Any]:
    valid, faults = check_options("fusion", "mixer", factory, options)
    assert not faults, faults
    return describe_options(factory, valid, lambda option, path: str(path))


def identity(options: dict[str, Any], factory: Factory = Mixer) -> str:
    return digest(hashed(described(options, factory)))


def test_a_value_has_one_spelling() -> None:
    assert identity({"scale": 1}) == identity({"scale": 1.0}) == identity({})
    assert identity({"range": {"low": 0, "high": 1}}) == identity({})
    assert identity({"crop": {"size": 4}}) == identity({"crop": {}}) == identity({})
    assert identity({"kinds": ["b", "a"]}) == identity({"kinds": ["a", "b"]})


def test_numbers_and_truths_are_not_mistaken_for_one_another() -> None:
    switches: list[object] = [False, 0, True, 1]
    assert len({identity({"switch": switch}) for switch in switches}) == 4


def test_an_option_added_later_changes_nothing_at_its_neutral_value() -> None:
    assert identity({"floor": 0}, Later) == identity({})
    assert identity({"floor": 0.0, "width": 3}, Later) != identity({})
    # Its default is another value than the neutral one: the component does something else now.
    assert identity({}, Later) != identity({})


def test_keys_inside_an_option_may_be_added_later_too() -> None:
    assert hashed(described({}))["crop"] == {"size": 4}
    assert whole(described({}))["crop"] == {"size": 4, "flip": False}
    assert identity({"crop": {"flip": True}}) != identity({})
    assert "zoom" not in hashed(described({}, Later))
    assert hashed(described({"zoom": {"flip": True}}, Later))["zoom"] == {"size": 4, "flip": True}


def test_the_mark_is_not_seen_in_the_schema() -> None:
    properties = json_schema(Later)["properties"]
    assert properties["floor"] == {
        "default": 0.5,
        "description": "floor",
        "minimum": 0,
        "type": "number",
    }
    assert properties["width"] == {"type": "integer"}


def wrong(neutral: object) -> Factory:
    def factory(*, width: Annotated[int, Field(ge=1), Added(neutral)] = 3) -> None: ...

    factory.__annotations__["width"] = Annotated[int, Field(ge=1), Added(neutral)]
    return factory


@pytest.mark.parametrize("neutral", [0, True, "3", None, 2.5, object(), Crop()])
def test_a_neutral_value_that_no_spec_could_set_is_refused(neutral: object) -> None:
    with pytest.raises(PluginError) as caught:
        json_schema(wrong(neutral))
    assert "width" in str(caught.value)
    assert f"Added({neutral!r})" in str(caught.value)


def test_a_default_that_its_type_refuses_stays_as_it_is_written() -> None:
    def factory(*, width: Annotated[int, Field(ge=1)] = 0) -> None: ...

    assert whole(described({}, factory)) == {"width": 0}


Numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
Options = st.fixed_dictionaries(
    {},
    optional={
        "rank": st.integers(-9, 9),
        "scale": Numbers,
        "switch": st.booleans() | st.integers(0, 1),
        "text": st.text(max_size=3),
        "color": st.sampled_from(["red", "blue"]),
        "kinds": st.lists(st.sampled_from("abc"), max_size=3),
        "range": st.fixed_dictionaries({"low": st.integers(0, 2), "high": Numbers}),
        "pairs": st.dictionaries(st.sampled_from("ab"), st.lists(Numbers, max_size=2), max_size=2),
        "crop": st.fixed_dictionaries({}, optional={"size": st.integers(3, 5)}),
    },
)


def typed(value: object) -> object:
    """A value that equals another one only where their types are equal too, all the way down."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, BaseModel):
        return typed({**dict(value), "": type(value).__name__})
    if isinstance(value, tuple):
        return tuple(map(typed, value))
    if isinstance(value, Range):
        return ("range", typed(value.low), typed(value.high))
    return (type(value).__name__, repr(value) if isinstance(value, float) else value)


@settings(max_examples=200, deadline=None)
@given(one=Options, other=Options)
def test_equal_validated_values_have_equal_hashes_and_only_they(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    values = [typed(check_options("fusion", "mixer", Mixer, each)[0]) for each in (one, other)]
    assert (identity(one) == identity(other)) == (values[0] == values[1])


@settings(max_examples=100, deadline=None)
@given(options=Options, floor=Numbers.filter(lambda number: number >= 0))
def test_an_added_option_is_hashed_exactly_where_it_is_not_neutral(
    options: dict[str, Any], floor: float
) -> None:
    before, after = identity(options), identity({**options, "floor": floor}, Later)
    assert (before == after) == (canonical_json(float(floor)) == "0.0")

"""A factory's signature as a schema, and what a spec may set of it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, Field

from mmlab.errors import PluginError
from mmlab.plan.options import check_options, json_schema, option_model, supplied
from mmlab.spec.validation import FORM

if TYPE_CHECKING:
    from torch import Tensor


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


def _even(number: int) -> int:
    if number % 2:
        raise ValueError("must be even")
    return number


class Mixer:
    """Mix two things."""

    def __init__(
        self,
        dims: Sequence[int],
        token_dims: Tensor,
        *,
        rank: Annotated[int, Field(ge=1, le=512, description="inner width")] = 64,
        scale: Annotated[float, Field(gt=0)] = 1.0,
        gate: Literal["u", "v"] = "u",
        cosine: bool = True,
        names: Sequence[str] = (),
        pairs: list[list[int]] | None = None,
        range: tuple[float, float] = (0.0, 1.0),
        kinds: frozenset[str] = frozenset(),
        color: Color = Color.RED,
        path: Path | None = None,
        files: tuple[Path, ...] = (),
        pieces: Annotated[int, AfterValidator(_even)] = 2,
        either: int | str = 1,
        json: bool = False,
    ) -> None: ...


def check(options: dict[str, Any], factory: Callable[..., Any] = Mixer) -> tuple[Any, list[Any]]:
    return check_options("fusion", "mixer", factory, options)


def value(name: str, given: object) -> object:
    resolved, faults = check({name: given})
    assert not faults
    return resolved[name]


def fault(name: str, given: object) -> Any:
    (found,) = check({name: given})[1]
    return found


def test_positional_parameters_are_supplied_and_need_no_evaluation() -> None:
    assert supplied(Mixer) == ("dims", "token_dims")


def test_defaults_fill_what_is_not_set() -> None:
    resolved, faults = check({})
    assert not faults
    assert resolved["rank"] == 64
    assert resolved["range"] == (0.0, 1.0)
    assert resolved["color"] is Color.RED
    assert list(resolved)[:3] == ["rank", "scale", "gate"]


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("scale", 3, 3.0),
        ("gate", "v", "v"),
        ("names", ["a", "b"], ["a", "b"]),
        ("pairs", [[1, 2], [3]], [[1, 2], [3]]),
        ("range", [0, 0.5], (0.0, 0.5)),
        ("kinds", ["a", "a"], frozenset({"a"})),
        ("color", "blue", Color.BLUE),
        ("path", "a/b.csv", Path("a/b.csv")),
        ("path", "/data/b.csv", Path("/data/b.csv")),
        ("files", ["a", "../b"], (Path("a"), Path("../b"))),
        ("either", "x", "x"),
        ("json", True, True),
    ],
)
def test_toml_values_become_what_the_annotation_says(
    name: str, given: object, expected: object
) -> None:
    found = value(name, given)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "given", "allowed"),
    [
        ("rank", 0, "an integer >= 1 and <= 512"),
        ("rank", 513, "an integer >= 1 and <= 512"),
        ("rank", "64", "an integer >= 1 and <= 512"),
        ("rank", 64.0, "an integer >= 1 and <= 512"),
        ("rank", True, "an integer >= 1 and <= 512"),
        ("scale", "1e-3", "a number > 0"),
        ("scale", True, "a number > 0"),
        ("scale", float("nan"), "a finite number > 0"),
        ("scale", float("inf"), "a finite number > 0"),
        ("gate", "w", '"u", "v"'),
        ("cosine", 1, "true or false"),
        ("cosine", "true", "true or false"),
        ("names", "abc", "an array, each a string"),
        ("color", "green", '"red", "blue"'),
        ("path", 3, "a string"),
        ("either", 1.5, "an integer or a string"),
    ],
)
def test_values_of_another_type_or_range_are_faults(name: str, given: object, allowed: str) -> None:
    found = fault(name, given)
    assert found.path == (name,)
    assert found.allowed == allowed
    assert found.next_step


@pytest.mark.parametrize(
    ("name", "given", "path"),
    [
        ("names", ["a", 1], ("names", 1)),
        ("pairs", [[1], [2, "x"]], ("pairs", 1, 1)),
        ("range", ["0", 1], ("range", 0)),
        ("files", ["a", 1], ("files", 1)),
    ],
)
def test_a_fault_inside_an_array_is_at_its_element(
    name: str, given: object, path: tuple[object, ...]
) -> None:
    assert fault(name, given).path == path


def test_a_text_for_a_truth_is_told_how_to_write_one() -> None:
    assert fault("json", "yes").next_step == "write true or false"


class Weigher:
    """Shares by name, or by a rule."""

    def __init__(
        self,
        *,
        shares: Literal["equal", "balanced"] | dict[str, Annotated[float, Field(gt=0)]] = "equal",
        template: Annotated[
            str,
            Field(pattern=r"^[^{}]*\{\}[^{}]*$", json_schema_extra={FORM: "with exactly one {}"}),
        ] = "a {}",
    ) -> None: ...


def test_what_is_wrong_inside_a_value_hides_what_other_members_of_a_union_say() -> None:
    (found,) = check({"shares": {"red": -2.0, "blue": 1.0}}, Weigher)[1]
    assert (found.path, found.message) == (("shares", "red"), "out of range")
    (found,) = check({"shares": "equl"}, Weigher)[1]
    assert (found.path, found.found) == (("shares",), '"equl"')


def test_a_form_is_told_in_the_words_of_its_option() -> None:
    (found,) = check({"template": "a photo"}, Weigher)[1]
    assert found.allowed == "a string with exactly one {}"


def test_an_unknown_option_suggests_the_nearest_and_lists_all() -> None:
    found = fault("rnk", 3)
    assert found.message == 'unknown option of the fusion "mixer" (did you mean "rank"?)'
    assert found.allowed.startswith("rank, scale, gate")
    assert found.at_key


def test_a_key_of_mmlab_in_the_wrong_table_is_said_to_be_that() -> None:
    assert "other tables" in fault("weight", 2).message


def test_all_faults_of_a_table_come_at_once() -> None:
    _, faults = check({"rnk": 1, "scale": "x", "gate": "w", "names": [1, 2]})
    assert [f.path for f in faults] == [
        ("rnk",), ("scale",), ("gate",), ("names", 0), ("names", 1),
    ]  # fmt: skip


def test_a_validators_own_words_are_kept() -> None:
    assert fault("pieces", 3).message == "must be even"


def test_a_required_option_that_is_not_set_is_a_fault() -> None:
    def make(*, path: Path) -> None: ...

    (found,) = check({}, make)[1]
    assert (found.path, found.message) == (("path",), "missing")
    assert found.next_step == "add path = ..."


def _var_keyword(**options: int) -> None: ...
def _reserved(*, weight: float = 1.0) -> None: ...
def _none_but_not_default(*, rank: int | None = 3) -> None: ...
def _annotated_none(*, rank: Annotated[int | None, Field(ge=1)] = 3) -> None: ...
def _without_annotation(*, rank=3) -> None: ...  # type: ignore[no-untyped-def]
def _type_checking_only(*, rank: Tensor) -> None: ...
def _no_schema(*, rank: Callable[[int], int] | object = 3, mixer: Mixer) -> None: ...
def _private(*, _rank: int = 3) -> None: ...
def _var_positional(*dims: int) -> None: ...
def _not_supplied(dims: int, rank: int) -> None: ...


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (_var_keyword, "has **kwargs"),
        (_reserved, "has an option 'weight'"),
        (_none_but_not_default, "may be None but is not by default"),
        (_annotated_none, "may be None but is not by default"),
        (_without_annotation, "without annotation"),
        (_type_checking_only, "annotation fails"),
        (_no_schema, "without schema"),
        (_var_positional, "has *args"),
        (_not_supplied, "asks for rank"),
    ],
)
def test_a_signature_that_makes_no_schema_is_the_plugins_fault(
    factory: Callable[..., Any], words: str
) -> None:
    with pytest.raises(PluginError) as caught:
        check({}, factory)
    assert words in str(caught.value)
    assert factory.__name__ in str(caught.value)


def test_an_option_may_begin_with_an_underscore() -> None:
    assert check({"_rank": 4}, _private) == ({"_rank": 4}, [])


def test_a_class_without_options_has_none() -> None:
    class Plain:
        pass

    assert check({}, Plain) == ({}, [])
    assert [f.path for f in check({"dim": 1}, Plain)[1]] == [("dim",)]


def test_an_inherited_signature_is_read_where_it_was_written() -> None:
    class Child(Mixer):
        pass

    assert check({"rank": 3}, Child)[0]["rank"] == 3


def test_the_schema_holds_types_bounds_and_meanings() -> None:
    schema = json_schema(Mixer)
    properties = schema["properties"]
    assert properties["rank"] == {
        "type": "integer", "minimum": 1, "maximum": 512, "default": 64,
        "description": "inner width",
    }  # fmt: skip
    assert properties["gate"]["enum"] == ["u", "v"]
    assert properties["path"] == {"type": "string", "format": "path"}
    assert schema["additionalProperties"] is False
    assert "title" not in str(schema)


def test_a_schema_is_made_once() -> None:
    assert option_model(Mixer) is option_model(Mixer)

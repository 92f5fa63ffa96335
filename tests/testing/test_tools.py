"""Every check begins with the factory's signature, which is the schema of its options."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from pydantic import Field

from mmlab.testing import ContractError
from mmlab.testing.tools import check_schema

Width = Annotated[int, Field(ge=1, description="a width")]


def sound(dims: object, *, width: Width = 3) -> None: ...


def takes_anything(dims: object, **options: object) -> None: ...


def wants_the_moon(dims: object, moon: object) -> None: ...


def says_nothing(dims: object, *, width: int = 3) -> None: ...


def says_no_type(dims: object, *, width=3) -> None: ...  # type: ignore[no-untyped-def]  # the defect


def takes_a_reserved_name(dims: object, *, weight: Width = 3) -> None: ...


def cannot_be_none(dims: object, *, width: Width | None = 3) -> None: ...


def test_options_get_their_defaults() -> None:
    assert check_schema("fusion", sound, {}) == {"width": 3}


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ContractError, match="not valid"):
        check_schema("fusion", sound, {"width": 0})


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ContractError, match="not valid"):
        check_schema("fusion", sound, {"height": 1})


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (takes_anything, "options"),
        (wants_the_moon, "moon"),
        (says_nothing, "description"),
        (says_no_type, "width"),
        (takes_a_reserved_name, "weight"),
        (cannot_be_none, "width"),
    ],
)
def test_a_defect_of_a_signature_is_named(factory: object, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_schema("fusion", factory, {})  # type: ignore[arg-type]  # a function all the same


@pytest.mark.parametrize("numerics", [0, -1, True, 1.0, "1", None])
def test_numerics_must_be_a_positive_integer(numerics: object) -> None:
    def factory(dims: object, *, width: Width = 3) -> None: ...

    check_schema("fusion", factory, {})
    factory.numerics = 2  # type: ignore[attr-defined]  # functions have attributes, their type none
    check_schema("fusion", factory, {})
    factory.numerics = numerics  # type: ignore[attr-defined]
    with pytest.raises(ContractError, match="`numerics` must be a positive integer"):
        check_schema("fusion", factory, {})


@pytest.mark.parametrize(
    ("default", "kind"),
    [(torch.float32, "dtype"), ({1, 2}, "set"), (math.nan, "float"), (object(), "object")],
)
def test_a_default_that_is_not_json_is_named(default: object, kind: str) -> None:
    def factory(
        dims: object, *, depth: Annotated[Any, Field(description="any")] = default
    ) -> None: ...

    with pytest.raises(
        ContractError, match=rf"the option 'depth' must be JSON[^$]*\({kind}\)"
    ) as e:
        check_schema("fusion", factory, {})
    assert "mend: give a text" in str(e.value)


def test_defaults_that_json_can_say_pass() -> None:
    def factory(
        dims: object,
        *,
        path: Annotated[Path | None, Field(description="a file")] = None,
        sizes: Annotated[tuple[int, ...], Field(description="sizes")] = (1, 2),
    ) -> None: ...

    assert check_schema("fusion", factory, {"path": "x"})["sizes"] == (1, 2)


def test_the_author_is_not_told_to_tell_the_author() -> None:
    with pytest.raises(ContractError, match="mend the component") as caught:
        check_schema("fusion", wants_the_moon, {})
    assert "tell the plugin" not in str(caught.value)

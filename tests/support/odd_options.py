"""A plugin whose encoder has an option of every type that a spec can say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mmlab.plugin import hookimpl
from support.toys import Toy


@hookimpl
def mmlab_encoders() -> dict[str, str]:
    return {"odd": "support.odd_options:Odd"}


class Shade(Enum):
    """A choice whose values are no strings."""

    DARK = 1
    LIGHT = 2


class Nested(BaseModel):
    """A table inside a table."""

    model_config = ConfigDict(extra="forbid")

    size: int = 3
    share: float | None = None


class Named(str):
    """The name of something installed, and where its content lies, which is what counts."""

    def __fspath__(self) -> str:
        return __file__


class Odd(Toy):
    """A toy that takes much and uses nothing of it."""

    def __init__(
        self,
        modality: str,
        *,
        dim: Annotated[int, Field(ge=1)] = 8,
        ratio: float = 0.5,
        flag: bool = False,
        either: bool | int = False,
        word: str = "plain",
        choice: Literal["a", "b"] = "a",
        shade: Shade = Shade.DARK,
        day: date = date(2026, 1, 2),
        maybe: int | None = None,
        pair: tuple[int, float] = (1, 0.25),
        many: Sequence[int | float | str] = (),
        names: frozenset[str] = frozenset({"z", "a"}),
        table: Mapping[str, float] = {},  # a default of a component is never changed
        nested: Nested = Nested(),  # noqa: B008  # as above
        named: Annotated[str, AfterValidator(Named)] | None = None,
        file: Path | None = None,
        files: Sequence[Path] = (),
        places: Mapping[str, Path] = {},  # as above
    ) -> None:
        super().__init__(modality, dim=dim)

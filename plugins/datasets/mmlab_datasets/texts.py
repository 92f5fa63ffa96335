"""Texts that options and files of datasets hold: labels, templates of prompts, lines."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

Label = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]+$")]
Template = Annotated[
    str,
    Field(
        max_length=1000,
        pattern=r"^[^{}\x00]*\{\}[^{}\x00]*$",
        json_schema_extra={"x-form": "with exactly one {}"},
    ),
]

_LINE_END = re.compile(r"\r\n|\r|\n")


def read_lines(text: str) -> list[str]:
    """The lines of a text without blanks around them, whichever way they end.

    >>> read_lines("a\\r\\n b\\rc")
    ['a', 'b', 'c']
    """
    return [line.strip() for line in _LINE_END.split(text)]

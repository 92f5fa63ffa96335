"""Texts that options of datasets hold: labels, and templates of prompts."""

from __future__ import annotations

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

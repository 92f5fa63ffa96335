"""Paths among options count by what is there, wherever it lies."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from mmlab.errors import DataError
from mmlab.plan.content import hashed, path_content
from mmlab.plan.options import describe_options


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Mixer:
    """The component whose options they are."""


def hashed_options(options: Mapping[str, object]) -> dict[str, Any]:
    described = describe_options(Mixer, options, partial(path_content, Mixer))
    return cast(dict[str, Any], hashed(described))


def test_paths_are_hashed_by_what_is_there(tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("same")
    two.write_text("same")
    hashes = [hashed_options({"path": path, "rank": 3}) for path in (one, two)]
    assert hashes[0] == hashes[1]
    assert hashes[0]["rank"] == 3
    two.write_text("other")
    assert hashed_options({"path": two, "rank": 3}) != hashes[0]


def test_a_folder_is_hashed_by_names_and_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "a.txt").write_text("x")
    folders = [{"files": (tmp_path / name,)} for name in ("one", "two")]
    assert hashed_options(folders[0]) == hashed_options(folders[1])
    before = hashed_options(folders[1])
    (tmp_path / "two" / "sub" / "a.txt").rename(tmp_path / "two" / "sub" / "b.txt")
    assert hashed_options(folders[1]) != before


class Address(str):
    def __fspath__(self) -> str:
        return self.removeprefix("file:")


def test_a_plugins_own_type_of_path_is_hashed_by_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    options = {"path": Address(f"file:{tmp_path / 'a'}")}
    assert hashed_options(options) == hashed_options({"path": tmp_path / "a"})


def test_hashed_options_are_plain() -> None:
    resolved = {"color": Color.BLUE, "kinds": frozenset("hgfedcba"), "range": (0.0, 1.0)}
    hashed = hashed_options(resolved)
    assert hashed["color"] == "blue"
    assert hashed["kinds"] == list("abcdefgh")
    assert hashed["range"] == [0.0, 1.0]


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nope\.csv: No such file"):
        hashed_options({"path": tmp_path / "nope.csv"})

"""Which columns a generated manifest has, what for, and how a spec names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

NAMES = [
    *("t", "caption", "a.b", "t.x", "Ünï cödé", "日本", "T", " lead", "trail ", "two words"),
    *("q'", "x/y", "#", "1", "nan", "None", "a:b", "[0]", "\u00a0nbsp", "e\u0301", "-", "id"),
]
FILES = ("a.png", "b.png", "sub/ü b.png")
#: How people spell the paths of these.
PATHS = ["a.png", "b.png", "./a.png", "sub/ü b.png", "sub//ü b.png", "", ""]
PLACE = r": (row|rows|line|header|column|there is no column|this is no manifest: it (is empty|has)"
MANY = 12
SPLITS = st.sampled_from(["train", "train", "validation", "test"])


class Role(NamedTuple):
    """What a column is for: an option of a spec, and whether that lists columns."""

    option: str
    is_list: bool = False


ROLES = {
    "caption": Role("text_columns", True),
    "label": Role("label_column"),
    "id": Role("id_column"),
    "image": Role("image_column"),
    "cell": Role("tabular_columns", True),
    "target": Role("target_columns", True),
    "sample": Role("sample_column"),
    "split": Role("split_column"),
    "other": Role(""),
}
_FIRST = ["caption", "caption", "cell", "image"]
_MORE = ["caption", "label", "label", "id", "image", "cell", "target", "sample", "split", "other"]


@st.composite
def columns(
    draw: st.DrawFn, first: Sequence[str] = _FIRST, more: Sequence[str] = _MORE
) -> list[tuple[str, str]]:
    """The name and the role of every column; one at least is for a model."""
    first = draw(st.sampled_from(first))
    more = draw(st.lists(st.sampled_from(more), max_size=3, unique=True))
    roles = [first, *(role for role in more if role != first or role in ("caption", "cell"))]
    names = st.sampled_from(NAMES)
    chosen = draw(
        st.lists(names, min_size=len(roles), max_size=len(roles), unique_by=lambda n: n.strip())
    )
    return draw(st.permutations(list(zip(chosen, roles, strict=True))))


def options_for(named: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The options of a spec that names the columns by what they are for."""
    options: dict[str, Any] = {"validation_fraction": 0, "test_fraction": 0}
    for name, role in named:
        option, is_list = ROLES[role]
        if is_list:
            options.setdefault(option, []).append(name)
        elif option:
            options[option] = name
    return options


def write_files(folder: Path) -> None:
    """Files for the paths; nobody opens them."""
    (folder / "sub").mkdir()
    for name in FILES:
        (folder / name).write_bytes(b"x" * len(name))


def rows_of(cells: Mapping[str, st.SearchStrategy[Any]], named: Any) -> st.SearchStrategy[Any]:
    """Rows of cells, in the order of the columns; rarely none."""
    row = st.tuples(*(cells[role] for _, role in named))
    several = st.lists(row, min_size=2, max_size=MANY)
    return st.integers(0, 19).flatmap(lambda n: several if n != 13 else st.lists(row, max_size=1))

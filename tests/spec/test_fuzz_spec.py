"""Whatever a spec file, a patch or an override is, it is planned or refused in words, in time."""

from __future__ import annotations

import itertools
import signal
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytest
from hypothesis import strategies as st
from support.fuzz.outcome import fresh_folder, fuzzed
from support.fuzz.spec_files import (
    EXAMPLES,
    changed,
    document_text,
    overrides,
    soups,
    spliced,
)

from mmlab.errors import MmlabError
from mmlab.plan.plan import Plan
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import check_replaced, component_faults, in_order, prepare
from mmlab.spec import Override, SpecFile, expand, load_spec

#: Seconds of this process alone: many times what any of these inputs should take.
SECONDS = 10.0
PARSED = [tomllib.loads(text) for text in EXAMPLES]


class TooSlow(BaseException):
    """An input takes longer than anybody would wait for it."""


@contextmanager
def in_time(seconds: float = SECONDS) -> Iterator[None]:
    """Raise TooSlow where the block computes for too long, however busy the machine is."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise TooSlow

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@lru_cache(maxsize=1)
def registry() -> Registry:
    """All components, asked for once."""
    return Registry.discover(BUILTINS)


def planned(path: Path, given: Sequence[Override] = ()) -> tuple[SpecFile, list[Plan]] | None:
    """What `mmlab validate` does with a file; None where it is refused, in words."""

    try:
        with in_time():
            file = load_spec(path, given, partial(component_faults, registry(), path))
            check_replaced(registry(), path, file.document)
            cells = expand(file)[:20]
            return file, in_order([prepare(cell, registry(), is_new=True) for cell in cells])
    except MmlabError as error:
        refusal = error
    told = str(refusal)
    assert told.startswith((str(path.parent), "--set #")), told
    assert "found: " in told, told
    return None


def write(folder: Path, content: bytes, name: str = "spec.toml") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_that_nobody_changed_is_planned_as_it_is_written(
    tmp_path: Path, text: str
) -> None:
    found = planned(write(tmp_path, text.encode()))
    if found is None:  # it names a component that is not installed here, a distribution's or a file
        with pytest.raises(MmlabError):
            load_spec(tmp_path / "spec.toml", (), partial(component_faults, registry(), tmp_path))
        return
    assert found[0].document.values == tomllib.loads(text)


@fuzzed(soups() | st.binary(max_size=60))
def test_no_bytes_escape_as_another_error(content: bytes) -> None:
    with fresh_folder() as folder:
        assert planned(write(folder, content)) is None


@fuzzed(spliced(), one_in=8)
def test_no_change_of_a_spec_s_text_escapes_as_another_error(content: bytes) -> None:
    with fresh_folder() as folder:
        found = planned(write(folder, content))
        if found is not None:
            assert found[0].document.values == tomllib.loads(content.decode("utf-8-sig"))


@fuzzed(st.data(), one_in=8)
def test_no_change_of_a_spec_s_values_escapes_as_another_error(data: st.DataObject) -> None:
    document = data.draw(changed(data.draw(st.sampled_from(PARSED))))
    text = document_text(document)
    with fresh_folder() as folder:
        found = planned(write(folder, text.encode()))
        if found is not None:
            assert found[0].document.values == tomllib.loads(text)


@fuzzed(st.sampled_from(EXAMPLES), overrides(), one_in=8)
def test_no_override_escapes_as_another_error(example: str, given: list[str]) -> None:
    with fresh_folder() as folder:
        found = planned(write(folder, example.encode()), given)
        if found is not None:
            assert found[0].overrides == tuple(given)


@fuzzed(st.sampled_from(EXAMPLES), st.data(), one_in=8)
def test_no_patch_escapes_as_another_error(example: str, data: st.DataObject) -> None:
    patch = data.draw(soups() | st.sampled_from(PARSED).flatmap(changed).map(_text) | spliced())
    with fresh_folder() as folder:
        path = write(folder, example.encode())
        found = planned(path, [write(folder, patch, "patch.toml")])
        if found is not None:
            over: dict[str, Any] = tomllib.loads(patch.decode("utf-8-sig"))
            assert all(
                found[0].document.values[key] == value
                for key, value in over.items()
                if not isinstance(value, dict)
            )


def _text(document: dict[str, object]) -> bytes:
    return document_text(document).encode()


def for_ever() -> None:
    for _ in itertools.repeat(None):
        pass


def test_a_block_that_takes_too_long_is_noticed() -> None:
    with pytest.raises(TooSlow), in_time(0.05):
        for_ever()

"""Files that cannot be read, files that extend each other, and what crafted files cost."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.specs import SPEC, places, refuse, write

from mmlab.errors import SpecError
from mmlab.spec import load_spec
from mmlab.spec.read import FILE_BYTES


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a = 1\nb = = 2\n", "2:5", "not valid TOML: one equals sign"),
        ("a = 1\na = 2\n", "2:1", "not valid TOML: the key a is there already, in line 1"),
        ("a = 'x", "1:5", "not valid TOML: a text ends with the quote it begins with"),
        ('a = "\x00"', "1:6", "not valid TOML: a control character stands here"),
        ("a = " + "1" * 5000, "1:5", "the integer is too large"),
        ("a = 2024-02-31\n", "1:", "not valid TOML"),
        ("x = " + "[" * 40, "1:37", "nested too deeply"),
        (".".join("a" * 40) + " = 1", "1:66", "nested too deeply"),
        ("x = " + "{a.b.c.d.e.f.g = " * 8 + "1" + "}" * 8, "1:1", "nested too deeply"),
        ("\n".join(f"a{i} = 1" for i in range(10_001)), "10001:8", "too many keys"),
        ("x = [" + "1, " * 60_000 + "]", "1:", "too many keys or values"),
    ],
)
def test_what_cannot_be_parsed_is_said_at_its_place(
    tmp_path: Path, text: str, place: str, words: str
) -> None:
    path = write(tmp_path, text)
    message = refuse(path)
    assert message.startswith(f"{path}:{place}")
    assert words in message


def test_a_file_that_is_not_utf_8_is_shown_at_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b'a = 1\r\nb = "\xe9"\n')
    message = refuse(path)
    assert message.startswith(f"{path}:2:6: the file is not UTF-8 text")
    assert "byte 0xe9" in message


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, SPEC + "#" + "x" * FILE_BYTES)
    assert "the file is too large for a spec" in refuse(path)


@pytest.mark.parametrize("name", ["nope.toml", ".", "a\x00b.toml"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    assert "the file cannot be read" in refuse(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    assert "it is a pipe, not an ordinary file" in refuse(tmp_path / "pipe.toml")


CRAFTED = {
    "dotted keys": "a." * 500_000 + "a = 1",
    "repeated prefixes": "\n".join(f"a{i}." + ".".join("k" * 30) + " = 1" for i in range(9_000)),
    "brackets": "x = " + "[" * 1_000_000,
    "quotes": '"' * 1_000_000,
    "escaped quotes": 'x = "' + '\\"' * 500_000,
    "backslashes": 'x = """' + "\\" * 1_000_000,
    "hexadecimal": "x = 0x" + "f" * 1_000_000,
    "unknown keys": "\n".join(f"trian{i} = {i}" for i in range(4_000)),
    "headers": "\n".join("[[" + ".".join("k" * 31) + "]]" for _ in range(9_000)),
    "spaces": " " * 1_000_000,
    "one line": "=" * 1_000_000,
    "a key twice": "\n".join(f"a{i % 8000} = [\n1]" for i in range(8_001)),
    "a text cut off": "x = [\n" + "'y',\n" * 40_000 + "'",
    "an open array": "x = [" + "'y'," * 40_000,
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_file_is_refused_quickly(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, CRAFTED[name])
    started = time.process_time()
    with pytest.raises(SpecError):
        load_spec(path)
    assert time.process_time() - started < 2  # tomllib alone would take up to 4 s


@given(st.binary(max_size=200))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_bytes_escape_as_another_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.toml"
    path.write_bytes(content)
    with pytest.raises(SpecError):
        load_spec(path)


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_mutation_of_a_spec_escapes_as_another_error(
    tmp_path: Path, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(SPEC)))
    stop = start + data.draw(st.integers(0, 20))
    piece = data.draw(st.sampled_from(['"', "[", "]", "=", ".", "nan", "{", "\n", "-1", "a", "\\"]))
    path = write(tmp_path, SPEC[:start] + piece + SPEC[stop:])
    with suppress(SpecError):
        load_spec(path)


def test_extending_merges_tables_and_replaces_arrays(tmp_path: Path) -> None:
    optimizer = 'epochs = 2\noptimizer = { use = "adamw", betas = [0.1, 0.2] }'
    write(tmp_path, SPEC.replace("epochs = 2", optimizer), "base.toml")
    table = "[train]\nlr = 2\noptimizer.betas = [0.3, 0.4]\n"
    text = f'extends = ["base.toml"]\nname = "child"\n{table}'
    spec = load_spec(write(tmp_path, text)).spec
    assert spec.train is not None
    assert (spec.name, spec.train.epochs, spec.train.lr) == ("child", 2, 2.0)
    assert spec.train.optimizer.use == "adamw"
    assert spec.train.optimizer.options == {"betas": [0.3, 0.4]}
    assert spec.fusion.options == {"dim": 16}


def test_a_later_file_wins_and_the_extending_one_over_all(tmp_path: Path) -> None:
    write(tmp_path, SPEC, "base.toml")
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", 'name = "b"\n[train]\nepochs = 3\nlr = 3\n', "b.toml")
    write(tmp_path, 'extends = ["base.toml", "sub/b.toml"]\n[train]\nlr = 4\n', "c.toml")
    spec = load_spec(write(tmp_path, 'extends = ["c.toml"]')).spec
    assert spec.train is not None
    assert (spec.name, spec.train.epochs, spec.train.lr) == ("b", 3, 4.0)


def test_a_fault_is_shown_in_the_file_it_comes_from(tmp_path: Path) -> None:
    base = write(tmp_path, SPEC.replace("epochs = 2", "epoch = 2"), "base.toml")
    text = 'extends = ["base.toml"]\n[train]\nlr = "x"\n'
    path = write(tmp_path, text)
    message = refuse(path)
    assert places(message, base) == ["26:1: train.epoch"]
    assert places(message, path) == ["2:1: train.epochs", "3:6: train.lr"]


def test_an_array_that_replaces_takes_its_places_along(tmp_path: Path) -> None:
    write(tmp_path, SPEC + '\n[sweep]\nseeds = ["x", 1, -1]\n', "base.toml")
    path = write(tmp_path, 'extends = ["base.toml"]\n[sweep]\nseeds = [1, -1]\n')
    assert places(refuse(path), path) == ["3:13: sweep.seeds.1"]


@pytest.mark.parametrize("target", ["tiny.toml", "../{}/tiny.toml", "other.toml"])
def test_a_circle_of_files_is_shown_where_it_closes(tmp_path: Path, target: str) -> None:
    other = write(tmp_path, 'extends = ["tiny.toml"]\n', "other.toml")
    path = write(tmp_path, f'extends = ["{target.format(tmp_path.name)}"]\n' + SPEC)
    message = refuse(path)
    closing = other if target == "other.toml" else path
    assert message.startswith(f"{closing}:1:12: files extend each other in a circle")
    assert "tiny.toml -> " in message


def test_files_that_cannot_be_read_are_shown_where_they_are_named(tmp_path: Path) -> None:
    broken = write(tmp_path, "a = = 1", "broken.toml")
    path = write(tmp_path, 'extends = ["nope.toml", "broken.toml"]\n' + SPEC)
    message = refuse(path)
    assert f"{path}:1:12: the file cannot be read" in message
    assert f"{broken}:1:5: not valid TOML" in message


def test_files_that_extend_each_other_without_end_are_stopped(tmp_path: Path) -> None:
    for depth in range(9):
        text = f'extends = ["{depth + 1}.toml", "{depth + 1}.toml"]\n'
        write(tmp_path, text, f"{depth}.toml")
    write(tmp_path, SPEC, "9.toml")
    assert "too many files" in refuse(tmp_path / "0.toml")


@pytest.mark.parametrize("value", ['"base.toml"', "[1]", "{}"])
def test_extends_is_an_array_of_names(tmp_path: Path, value: str) -> None:
    path = write(tmp_path, f"extends = {value}\n" + SPEC)
    assert refuse(path).startswith(f"{path}:1:11: extends: wrong type")

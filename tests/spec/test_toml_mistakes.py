"""What people write where TOML wants something else: its place and the word that helps."""

from __future__ import annotations

import random
import re
from contextlib import suppress
from pathlib import Path

import pytest
from support.specs import SPEC, change, refuse, write

from mmlab.errors import SpecError
from mmlab.spec import load_spec

BACKSLASH = "a backslash in double quotes begins an escape"
COMMENT = "this is no comment of TOML"
HASH = "begin a comment with #"
NULL = ("TOML has no null", "remove the key: what is left out has its default")
ONE_LINE = "an inline table stands in one line, without a comma at its end"
OWN_TABLE = "write it in one line, or as a table of its own under a [header]"
QUOTES = "a text lacks its quotes"
CLOSED = "a text ends with the quote it begins with, in the same line"
COLON = ("a key is followed by an equals sign", "write = for the colon")
OTHER_QUOTES = ("the text ended at this quote", "put a text that holds quotes between quotes of")
LETTERS = ("a key with other letters than A to Z has quotes", "put the key in double quotes")
STRANGE = ("a character stands here that is not of TOML", "remove it, or put the text in quotes")

#: Text -> line and column, the characters under the caret, what is wrong, what to write.
MISTAKES = [
    ('path = "C:\\Users\\me"', "1:11", "\\", BACKSLASH, "backslash: 'C:\\Users\\me'"),
    ('path = "my\\data"', "1:11", "\\", BACKSLASH, "backslash: 'my\\data'"),
    ("a = 1\n\na = 2", "3:1", "a", "the key a is there already, in line 1", "remove one of them"),
    (
        "[train]\nlr = 1\n[head]\n[train.optimizer]\nlr = [\n2]\nlr = [\n3]",
        *("7:1", "lr", "the key train.optimizer.lr is there already, in line 5", "remove one"),
    ),
    (
        "a = 1\na.b = 2",
        *("2:1", "a.b", "the key a is there already, in line 1", "remove one of them"),
    ),
    (
        "[train]\nlr = 1\n[train]\nepochs = 2",
        *("3:1", "[train", "the table train is there already, in line 1", "under one header"),
    ),
    (
        "[q]\na = {b = 1}\n[q.a.c]\nd = 1",
        *("3:1", "[q.a.c", "the table q.a.c is there already, in line 2", "under one header"),
    ),
    (
        "[losses]\nuse = 'a'\n[losses]\nuse = 'b'",
        *("3:1", "[losses", "[losses] is there already, in line 1", "write [[losses]] above each"),
    ),
    (
        "[[evaluate]]\nuse = 'a'\n[evaluate]\nuse = 'b'",
        *("3:1", "[evaluate", "[evaluate] is there already, in line 1", "write [[evaluate]] above"),
    ),
    (
        "[train]\nlr = 1\n[[train]]\nlr = 2",
        *(
            "3:1",
            "[[train",
            "in line 1, and has single brackets",
            "write [train], and all its keys",
        ),
    ),
    ("a = { b = 1, b = 2 }", "1:19", " ", "the inline table has this key twice", "remove one"),
    ("a = True", "1:5", "T", "true has no capital in TOML", "write true"),
    ("a = [1, False]", "1:9", "F", "false has no capital in TOML", "write false"),
    *((f"a = {word}", "1:5", word[0], *NULL) for word in ("None", "null", "nil", "undefined")),
    ("a = yes", "1:5", "y", "this is no TOML for true", "write true"),
    ("a = off", "1:5", "o", "this is no TOML for false", "write false"),
    ("a = NaN", "1:5", "N", "a spec holds finite numbers", "write a number"),
    ("a = -Infinity", "1:5", "-", "a spec holds finite numbers", "write a number"),
    ("use = concat", "1:7", "c", QUOTES, 'write "concat"'),
    ("path = data/x.csv # here", "1:8", "d", QUOTES, 'write "data/x.csv"'),
    ("path = C:\\x\\y", "1:8", "C", QUOTES, "write single ones, for there are backslashes: 'C:\\x"),
    ("name = my run", "1:8", "m", QUOTES, 'write "my run"'),
    ("a = [concat, sum]", "1:6", "c", QUOTES, 'write "concat"'),
    ("a = { use = concat }", "1:13", "c", QUOTES, 'write "concat"'),
    ("path = $HOME/x", "1:8", "$", QUOTES, 'write "$HOME/x"'),
    ("epochs 3", "1:8", "3", "there is no equals sign after the key", "write key = value"),
    ("epochs =", "1:9", "^", "the key has no value", "write a value after =, or remove the key"),
    ("epochs: 3", "1:7", ":", *COLON),
    ('a = { "b": 1 }', "1:10", ":", *COLON),
    ("train:\n  epochs: 3", "1:6", ":", "a table has its name in brackets", "write [train]"),
    ("- a", "1:3", "a", "an array has brackets and commas", "write key = [ ... ], or a [[header]]"),
    ("a == 3", "1:4", "=", "one equals sign sets a key", "write ="),
    ("= 3", "1:1", "=", "there is no key before the equals sign", "write one"),
    (
        "learning rate = 1",
        "1:10",
        "r",
        "a key has no blanks",
        "write learning_rate, or put the key",
    ),
    *((f"{mark} why", "1:1", mark[0], COMMENT, HASH) for mark in ("//", "/*", ";", "%")),
    ("a = 1 // why", "1:7", "/", COMMENT, HASH),
    ("-- why", "1:4", "w", COMMENT, HASH),
    (
        "a = 1;",
        "1:6",
        ";",
        "a line has one key and no semicolon",
        "remove it, and begin a new line",
    ),
    ("a = 1,", "1:6", ",", "a line ends without a comma", "remove it"),
    ("a = 1 b = 2", "1:7", "b", "a line has one key", "begin a new line here"),
    ("a = \u201cb\u201d", "1:5", "\u201c", "typographic quotes", 'write straight ones: "b"'),
    ("a = \u2018b c\u2019", "1:5", "\u2018", "typographic quotes", 'write straight ones: "b c"'),
    ("a = { b = 1, }", "1:14", "}", ONE_LINE, "remove the comma"),
    ("a = {\n  b = 1,\n  c = 2\n}", "1:6", "^", ONE_LINE, OWN_TABLE),
    ("a = { b = 1,\n  c = 2 }", "1:13", "^", ONE_LINE, OWN_TABLE),
    ("a = { b = 1\nc = 2 }", "1:12", "^", ONE_LINE, OWN_TABLE),
    ("a = { b = 1 c = 2 }", "1:13", "c", "a comma is missing in the inline", "write one here"),
    ("a = \"b'\nc = 1", "1:5", '"', CLOSED, "write \" for ' at its end"),
    ("a = 'b\"", "1:5", "'", CLOSED, "write ' for \" at its end"),
    ('a = "b\nc = 1', "1:5", '"', CLOSED, 'write " at its end'),
    ('a = """b\nc = 1', "1:5", '"""', 'the text does not end with """', 'write """'),
    ("a = 'it's'", "1:9", "s", *OTHER_QUOTES),
    ('a = "say "b" now"', "1:11", "b", *OTHER_QUOTES),
    ("a = f'b'", "1:5", "f", "a text has no letter before its quotes", "remove the letter"),
    ("a = [1, 2\nb = 3", "1:5", "[", "the array is not closed", "write ] at its end"),
    ("a = [[1], [2\n\n[b]", "1:11", "[", "the array is not closed", "write ] at its end"),
    ("a = [1 2]", "1:8", "2", "or a comma is missing in it", "write a comma here, or ] before it"),
    ("a = (1, 2)", "1:5", "(", "an array has square brackets", "write [ ] for ( )"),
    ("a = dict(b=1)", "1:5", "d", "TOML calls nothing", "write a value, or { key = value }"),
    ("[train\na = 1", "1:7", "^", "the header lacks its closing bracket", "write [train]"),
    ("[[losses]\na = 1", "1:9", "]", "the header lacks a bracket", "write [[losses]]"),
    ("[losses]]\na = 1", "1:9", "]", "the header lacks a bracket", "write [[losses]]"),
    ("[train optimizer]", "1:8", "o", "have points between them", "write train.optimizer"),
    ("[]", "1:2", "]", "a table has a name", "write [name]"),
    ("[a] = 1", "1:5", "=", "a header stands alone in its line", "write the keys of the table"),
    ("a = 007", "1:6", "0", "no leading zeros", 'write 7, or "007" where it is a text'),
    ("a = .5", "1:5", ".", "a number begins with a digit", "write 0.5"),
    ("a = 5.", "1:6", ".", "a number has a digit after its point", "write 5.0"),
    ("a = 1e", "1:6", "e", "a power of ten has digits", "write 1e-3, say"),
    ("a = 1,000", "1:6", ",", "a number has no commas", "1_000"),
    ("a = 2**3", "1:6", "*", "TOML computes nothing", "write the number itself"),
    ("a = 5%", "1:6", "%", "TOML computes nothing", "write the number itself"),
    ("a = \u22121", "1:5", "\u2212", "this is a typographic minus", "write -"),
    ("a \uff1d 1", "1:3", "\uff1d", "this is no equals sign of TOML", "write ="),
    ("gr\u00f6\u00dfe = 1", "1:3", "\u00f6", *LETTERS),
    ("a = 1\u200b", "1:6", "\u200b", *STRANGE),
    ("a =\u00a01", "1:4", "\u00a0", *STRANGE),
    ("a = 1\rb = 2", "1:6", "\r", "carriage returns alone", "save the file with line ends"),
    ('{"a": 1}', "1:1", "{", "this is JSON or Python", "write [table] and key = value"),
    ("<<<<<<< HEAD\na = 1", "1:1", "<", "git left a conflict here", "keep one of the versions"),
    ("]\na = 1", "1:1", "]", "nothing is open that this would close", "remove it, or look above"),
]


@pytest.mark.parametrize(("text", "place", "under", "wrong", "step"), MISTAKES)
@pytest.mark.parametrize("before", ["", '# "it\'s" [ {\n[z.y]\nx = """\n" \\\\ \'\n[""" # "\n\n'])
def test_a_mistake_is_told_with_the_word_that_helps(
    tmp_path: Path, before: str, text: str, place: str, under: str, wrong: str, step: str
) -> None:
    if before and text.startswith("a"):
        before = before.replace("z.y", "z") + "[w]\n"
        wrong = wrong.replace("the key a", "the key w.a").replace("table a", "table w")
    lines = before.count("\n")
    wrong = re.sub(r"(?<=in line )\d+", lambda found: str(int(found[0]) + lines), wrong)
    message = refuse(write(tmp_path, f"{before}{text}\n"))
    line, _, column = place.partition(":")
    headline, shown, carets, *_, told = message.splitlines()
    assert headline.startswith(f"{tmp_path / 'tiny.toml'}:{int(line) + lines}:{column}: not valid")
    assert wrong in headline
    assert step in told.partition("next: ")[2]
    start = carets.index("^")
    assert carets.count("^") >= 1
    if under != "^" and under.isascii() and under.isprintable():
        assert shown[start : start + carets.count("^")] == under


def test_a_character_that_is_no_toml_never_breaks_the_search(tmp_path: Path) -> None:
    """Every cut of a spec, and every character put into it, ends with a fault or a spec."""
    draw = random.Random(0)
    signs = "[]{}=\"'\\,.#:\n\r\t 0-ab\u201c\x00"
    for _ in range(400):
        at = draw.randrange(len(SPEC))
        text = (
            SPEC[:at] + draw.choice(signs) * draw.choice((0, 1, 3)) + SPEC[at + draw.randrange(3) :]
        )
        with suppress(SpecError):
            load_spec(write(tmp_path, text))


@pytest.mark.parametrize(
    ("written", "shown"),
    [('"data\\names.csv"', "'data\\names.csv'"), ('"C:\\temp\\runs"', "'C:\\temp\\runs'")],
)
def test_an_escape_in_a_path_is_refused_though_it_is_toml(
    tmp_path: Path, written: str, shown: str
) -> None:
    message = refuse(change(tmp_path, 'use = "emoji"', f'use = "emoji"\npath = {written}'))
    assert "7:8: dataset.path: a path holds a control character: in double quotes" in message
    assert f"next: write {shown}" in message
    message = refuse(change(tmp_path, "width = 32", f"weights = {{ file = {written} }}"))
    assert "10:20: encoders.image.weights.file: a path holds a control" in message


def test_an_escape_in_a_text_is_read(tmp_path: Path) -> None:
    spec = load_spec(change(tmp_path, 'use = "emoji"', 'use = "emoji"\nseparator = "\\t"')).spec
    assert spec.dataset.options == {"separator": "\t"}

"""The guards of text: what a database can hold, and what a terminal may be shown."""

from __future__ import annotations

import re
import sqlite3

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmlab.errors import (
    KEPT_BYTES,
    DataError,
    check_text,
    harmless,
    message_of,
    shortened,
    storable,
    traceback_of,
    unstorable,
    visible,
)

#: Every character, lone surrogates among them.
ANY = st.text(st.characters(codec=None))


@pytest.mark.parametrize(
    ("text", "character"),
    [
        ("", None),
        ("emoji \N{GRINNING FACE}, \x01\n\uffff", None),
        ("a\0b\ud800", "\0"),
        ("a\udfff\0", "\udfff"),
        ("\ud83d\ude00", "\ud83d"),
    ],
)
def test_the_first_character_that_cannot_be_stored_is_found(
    text: str, character: str | None
) -> None:
    assert unstorable(text) == character


@given(ANY)
def test_what_is_storable_is_what_has_bytes_and_no_end_in_it(text: str) -> None:
    try:
        is_storable = b"\0" not in text.encode()
    except UnicodeEncodeError:
        is_storable = False
    assert (unstorable(text) is None) == is_storable


@given(ANY)
def test_escaped_text_can_be_stored_and_other_text_stays(text: str) -> None:
    kept = storable(text)
    with sqlite3.connect(":memory:") as database:
        assert database.execute("select ?", (kept,)).fetchone() == (kept,)
    database.close()
    if unstorable(text) is None:
        assert kept == storable(text, "_") == text


def test_what_cannot_be_stored_is_escaped_or_replaced() -> None:
    assert storable("loss\0 is \ud800") == "loss\\x00 is \\ud800"
    assert storable("loss\0 is \ud800", "_") == "loss_ is _"


@pytest.mark.parametrize(
    ("text", "fault"), [("a\0", "holds a NUL"), ("\udc80", "holds half of a surrogate pair")]
)
def test_a_text_of_a_dataset_that_cannot_be_stored_is_an_error(text: str, fault: str) -> None:
    check_text("label 1", "fine")
    with pytest.raises(DataError, match=f"label 1: the text {fault}") as caught:
        check_text("label 1", text)
    assert f"found: {text!a}" in str(caught.value)


def test_a_message_keeps_its_lines_and_steers_no_terminal() -> None:
    text = "\x1b[31mred\x9b0m\n\ttab\r\u202eback\N{GRINNING FACE}"
    assert harmless(text) == "\ufffd[31mred\ufffd0m\n\ttab\ufffd\ufffdback\N{GRINNING FACE}"
    assert harmless("a\nb\tc", keep="\t") == "a\ufffdb\tc"


def test_a_value_shows_what_would_steer_a_terminal_and_keeps_joined_emoji() -> None:
    family = "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"
    assert visible(f"{family}\x1b\n\u2028\u202e\ud800") == (
        f"{family}\\x1b\\n\\u2028\\u202e\\ud800"
    )


@given(ANY)
def test_whatever_a_terminal_is_shown_is_on_one_line(text: str) -> None:
    assert len(visible(f"a{text}").splitlines()) == 1
    assert len(harmless(f"a{text}", keep="").splitlines()) == 1


@example("\0" * 100, 128, 1)
@given(ANY, st.integers(128, 400), st.integers(1, 9))
def test_a_shortened_text_fits_and_says_how_much_it_was(text: str, limit: int, times: int) -> None:
    text = text * times
    kept, whole = shortened(text, limit), storable(text)
    assert (kept == whole) == (len(whole.encode()) <= limit)
    assert len(kept.encode(errors="backslashreplace")) <= limit
    if kept != whole:
        assert f" of {len(whole):,} characters are left out" in kept


def test_the_ends_of_a_long_text_are_kept() -> None:
    text = "begin" + "\N{GRINNING FACE}" * 200_000 + "end"
    kept = shortened(text)
    first, last = re.split(r" \[\.\.\..*\.\.\.\] ", kept)
    assert (text.startswith(first), text.endswith(last)) == (True, True)
    assert KEPT_BYTES - 100 < len(kept.encode()) <= KEPT_BYTES
    assert shortened("a" * KEPT_BYTES) == "a" * KEPT_BYTES


class Mute(BaseException):
    """What cannot be said."""

    def __init__(self, *said: object) -> None:
        self.said = said

    def __str__(self) -> str:
        return self.said[0]  # type: ignore[return-value]

    __repr__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("too small"), "too small"),
        (SystemExit(3), "3"),
        (KeyError("x"), "'x'"),
        (Mute(), "what it says cannot be read: its __str__ raised IndexError"),
        (Mute(7), "what it says cannot be read: its __str__ raised TypeError"),
    ],
)
def test_what_an_exception_says_is_a_text_whatever_it_is(error: BaseException, said: str) -> None:
    assert message_of(error) == said


def test_a_traceback_is_told_of_errors_that_cannot_be_said() -> None:
    odd = SyntaxError("odd")
    odd.lineno, odd.text, odd.offset = "no number", "text", "none"  # type: ignore[assignment]
    odd.filename = "file.py"
    for error in (Mute(), odd, ValueError("a" * 10**6)):
        try:
            raise error
        except BaseException as raised:
            told = traceback_of(raised)
        assert 'test_errors.py", line' in told
        assert type(error).__name__ in told
        assert len(told) <= KEPT_BYTES

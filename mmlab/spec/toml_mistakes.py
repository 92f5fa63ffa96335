"""What somebody meant where a text is no TOML: the usual mistakes, each with the word that helps.

`tomllib` says at which character it stopped. What stands before and after that character on its
line tells a mistake; the few that span lines are looked for in the text.
"""

from __future__ import annotations

import re
import tomllib
from typing import NamedTuple

from mmlab.spec.faults import Where, dotted
from mmlab.spec.positions import Span, locate_open, split_path


class Mistake(NamedTuple):
    """What is wrong at a place of a text, and what to write."""

    message: str
    next_step: str
    span: Span


#: Arrays of tables, which have two brackets.
ARRAYS = frozenset({("losses",), ("evaluate",), ("sweep", "include"), ("sweep", "exclude")})

_HASH = "begin a comment with #"
#: Typographic quotes, and accents that stand for them.
_QUOTES = "\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019\u201a\u2039\u203a`\u00b4"
_ONE_LINE = "an inline table stands in one line, without a comma at its end"
_ONE_LINE_STEP = "write it in one line, or as a table of its own under a [header]"
_NULL = "remove the key: what is left out has its default"

#: (What tomllib says, what is around the place where it stopped (\\0), the mistake, what to write).
_RULES = (
    ("Invalid value", r"\0True\b", "true has no capital in TOML", "write true"),
    ("Invalid value", r"\0False\b", "false has no capital in TOML", "write false"),
    ("Invalid value", r"\0(?:None|[Nn]ull|NULL|nil|undefined|~)(?=[\s,#\]}]|$)", "TOML has no null",
     _NULL),
    ("Invalid value", r"\0(?:yes|on|Yes|On|YES|ON|TRUE)(?=[\s,#\]}]|$)", "this is no TOML for true",
     "write true"),
    ("Invalid value", r"\0(?:no|off|No|Off|NO|OFF|FALSE)(?=[\s,#\]}]|$)",
     "this is no TOML for false", "write false"),
    ("Invalid value", r"\0[+-]?(?:NaN|NAN|[Ii]nfinity|Inf|INF)\b", "a spec holds finite numbers",
     "write a number"),
    ("Invalid", rf"\0[{_QUOTES}](?P<text>[^{_QUOTES}\n]*)", "these are typographic quotes",
     r'write straight ones: "\g<text>"'),
    ("Invalid value", r"\0\(", "an array has square brackets", "write [ ] for ( )"),
    ("Invalid value", r"\0[fFrRbBuU]{1,2}['\"]", "a text has no letter before its quotes",
     "remove the letter; in single quotes a backslash is a backslash"),
    ("Invalid value", r"\0[+-]?\.(?P<digits>\d+)", "a number begins with a digit",
     r"write 0.\g<digits>"),
    ("Invalid value", "\0[\u2212\u2013\u2014]", "this is a typographic minus", "write -"),
    ("Invalid value", r"\0\w+\(", "TOML calls nothing", "write a value, or { key = value }"),
    ("Invalid value", r"=\s*\0=", "one equals sign sets a key", "write ="),
    ("Invalid value", r"=\s*\0\s*(?:#.*)?$", "the key has no value",
     "write a value after =, or remove the key"),
    ("Invalid value", r"\0(?P<text>[^\s,#\[\]{}\"'=]*\\[^,#\]}\"'\n]*)", "a text lacks its quotes",
     r"write single ones, for there are backslashes: '\g<text>'"),
    ("Invalid value", r"\0(?P<text>[\w$%~./@:*-](?:[^,#\[\]{}\"'=\n]*[^\s,#\[\]{}\"'=])?)",
     "a text lacks its quotes", r'write "\g<text>"'),
    ("Invalid value", r"\0[^\x00-\x7f]", "a character stands here that is not of TOML",
     "remove it, or put the text in quotes"),
    ("Expected newline", r"\0\s*(?://|/\*|--|%%)", "this is no comment of TOML", _HASH),
    ("Expected newline", r"\0\s*;", "a line has one key and no semicolon",
     "remove it, and begin a new line for another key"),
    ("Expected newline", r"\d\0(?:,\d{3})+\b", "a number has no commas",
     "write it without, or with _ between groups of digits: 1_000"),
    ("Expected newline", r"\0\s*,", "a line ends without a comma", "remove it"),
    ("Expected newline", r"=\s*[+-]?0\0(?P<zeros>0*)(?P<number>\d[\d_.]*)",
     "a number has no leading zeros",
     r'write \g<number>, or "0\g<zeros>\g<number>" where it is a text'),
    ("Expected newline", r"(?P<number>\d[\d_]*)\0\.(?!\d)", "a number has a digit after its point",
     r"write \g<number>.0"),
    ("Expected newline", r"[\d.]\0[eE]", "a power of ten has digits", "write 1e-3, say"),
    ("Expected newline", r"\d\0_", "a number has single _ between digits", "write 1_000, say"),
    ("Expected newline", r"[\d ]\0\s*(?:[*/+^%]|-\s)", "TOML computes nothing",
     "write the number itself"),
    ("Expected newline", r"=.*[\"']\0(?=[^\s#,;])", "the text ended at this quote",
     "put a text that holds quotes between quotes of the other kind"),
    ("Expected newline", r"\0\r", "lines end with carriage returns alone",
     "save the file with line ends as Unix or Windows has them"),
    ("Expected newline", r"^\s*\[(?P<name>[^\[\]]*)\]\0\]", "the header lacks a bracket",
     r"write [[\g<name>]]"),
    ("Expected newline", r"^\s*\[.*\]\s*\0\s*\S", "a header stands alone in its line",
     "write the keys of the table below it"),
    ("Expected newline", r"\0\s*[\w\"'.-]+\s*=", "a line has one key", "begin a new line here"),
    ("Expected newline", r"\0\s*[^\x00-\x7f]", "a character stands here that is not of TOML",
     "remove it, or put the text in quotes"),
    ("Expected newline", r"=.*\0", "the value ended before this", "put a text in quotes"),
    ("Expected '='", r"^\s*(?P<name>[\w.-]+)\s*\0:\s*(?:#.*)?$", "a table has its name in brackets",
     r"write [\g<name>]"),
    ("Expected '='", r"\0\s*:", "a key is followed by an equals sign", "write = for the colon"),
    ("Expected '='", r"^\s*--+\s*\0", "this is no comment of TOML", _HASH),
    ("Expected '='", r"^\s*-\s+\0", "an array has brackets and commas",
     "write key = [ ... ], or a [[header]] above each table"),
    ("Expected '='", r"^\s*(?P<one>[\w-]+)[ \t]+\0(?P<two>[\w-]+)\s*=", "a key has no blanks",
     r"write \g<one>_\g<two>, or put the key in quotes"),
    ("Expected '='", "\0\\s*\uff1d", "this is no equals sign of TOML", "write ="),
    ("Expected '='", r"\0[^\x00-\x7f]", "a key with other letters than A to Z has quotes",
     "put the key in double quotes"),
    ("Expected '='", r"\0", "there is no equals sign after the key", "write key = value"),
    ("Invalid statement", r"\0(?://|/\*|--|%|;|<!--)", "this is no comment of TOML", _HASH),
    ("Invalid statement", r"\0(?:<{7}|={7}|>{7})", "git left a conflict here",
     "keep one of the versions, and remove its marks"),
    ("Invalid statement", r"\0\{", "this is JSON or Python", "write [table] and key = value"),
    ("Invalid statement", r"\0=", "there is no key before the equals sign", "write one"),
    ("Invalid statement", r"\0[\]})]", "nothing is open that this would close",
     "remove it, or look above for what ended early"),
    ("Invalid statement", r"\0\ufeff", "a byte order mark stands inside the file", "remove it"),
    ("Invalid statement", r"\0[^\x00-\x7f]", "a key with other letters than A to Z has quotes",
     "put the key in double quotes"),
    ("Invalid initial", r"\[\s*\0\]", "a table has a name", "write [name]"),
    ("Invalid initial", r",\s*\0\}", _ONE_LINE, "remove the comma"),
    ("Invalid initial", r"[{,]\s*\0\s*(?:#.*)?$", _ONE_LINE, _ONE_LINE_STEP),
    ("Invalid initial", r"\0[^\x00-\x7f]", "a key with other letters than A to Z has quotes",
     "put the key in double quotes"),
    ("Unclosed inline", r"\0\s*(?:#.*)?$", _ONE_LINE, _ONE_LINE_STEP),
    ("Unclosed inline", r"\0\s*\S", "a comma is missing in the inline table", "write one here"),
    ("Expected ']", r"^\s*(?P<open>\[+)\s*(?P<one>[\w.-]+)\s+\0?(?P<two>[\w-]+)\s*\]",
     "names in a header have points between them", r"write \g<one>.\g<two>"),
    ("Expected ']]'", r"^\s*\[\[\s*(?P<name>[^\[\]#]*?)\s*\0", "the header lacks a bracket",
     r"write [[\g<name>]]"),
    ("Expected ']'", r"^\s*\[\s*(?P<name>[^\[\]#]*?)\s*\0", "the header lacks its closing bracket",
     r"write [\g<name>]"),
    ("Duplicate inline", r"\0", "the inline table has this key twice", "remove one of them"),
)  # fmt: skip


#: Characters of a line that are looked at, before and after the place: a line may have a million.
_AROUND = 300
#: Lines of a statement that are looked at for its beginning.
_LINES = 20


def find_mistake(text: str, offset: int, said: str) -> Mistake | None:
    """The mistake behind what tomllib says of a text at a character; None for an unusual one."""
    found = _in_a_text(text, offset, said) or _left_open(text, offset, said)
    return found or _there_already(text, offset, said) or _on_its_line(text, offset, said)


def _on_its_line(text: str, offset: int, said: str) -> Mistake | None:
    start = max(text.rfind("\n", 0, offset) + 1, offset - _AROUND)
    line = f"{text[start:offset]}\0{text[offset : offset + _AROUND].partition(chr(10))[0]}"
    for words, pattern, message, step in _RULES:
        match = re.search(pattern, line) if said.startswith(words) else None
        if match is not None:
            return Mistake(message, match.expand(step), Span(offset, offset + 1))
    return None


#: Texts and comments one after the other; of a text that does not end no group is there.
_TEXT = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*+(?P<a>"{3,5})?'
    r"|'''(?:[^']|'{1,2}(?!'))*+(?P<b>'{3,5})?"
    r'|"(?:[^"\\\n]|\\.)*+(?P<c>")?'
    r"|'[^'\n]*+(?P<d>')?"
    r"|(?P<comment>\#[^\n]*)"
)


def _in_a_text(text: str, offset: int, said: str) -> Mistake | None:
    """A backslash in double quotes, a text that does not end, or a control character in one."""
    if said.startswith(("Unescaped", "Invalid hex", "Escaped character")):
        at = text.rfind("\\", 0, offset + 1)
        start, end = text.rfind('"', 0, at) + 1, text.find('"', at)
        inside = text[start:end].partition("\n")[0]
        message = "a backslash in double quotes begins an escape"
        step = f"write single quotes, in which it is a backslash: '{inside}'"
        return Mistake(message, step, Span(at, at + 1))
    if not said.startswith(("Illegal character", "Found invalid", "Unterminated", "Expected \"'")):
        return None
    for match in _TEXT.finditer(text):
        if not match.lastgroup:
            return _unended(match)
    step = "remove it, or write it as an escape"
    return Mistake("a control character stands here", step, Span(offset, offset + 1))


def _unended(match: re.Match[str]) -> Mistake:
    """A text of which the end is missing, or is another quote."""
    text, start = match[0], match.start()
    if text.startswith(('"""', "'''")):
        message = f"the text does not end with {text[:3]}"
        return Mistake(message, f"write {text[:3]} at its end", Span(start, start + 3))
    quote, other = ('"', "'") if text[0] == '"' else ("'", '"')
    step = f"write {quote} for {other}" if text[1:].rstrip().endswith(other) else f"write {quote}"
    message = "a text ends with the quote it begins with, in the same line"
    return Mistake(message, f"{step} at its end", Span(start, start + 1))


def _left_open(text: str, offset: int, said: str) -> Mistake | None:
    """An array that is not closed, at its bracket, or in which a comma is missing."""
    if not said.startswith("Unclosed array"):
        return None
    follows = text[offset:].partition("\n")[0]
    if follows and not re.match(r"\s*(?:[\w.\"'-]+\s*=|\[)", follows):
        message = "the array is not closed, or a comma is missing in it"
        return Mistake(message, "write a comma here, or ] before it", Span(offset, offset + 1))
    opened = _open_bracket(text[:offset])
    return Mistake("the array is not closed", "write ] at its end", Span(opened, opened + 1))


def _open_bracket(text: str) -> int:
    """Where the last bracket that is open at the end of a text is."""
    marks = re.compile(f"{_TEXT.pattern}|(?P<mark>[\\[\\]])")
    found: list[int] = []
    for match in marks.finditer(text):
        if match["mark"] == "[":
            found.append(match.start())
        elif match["mark"] == "]" and found:
            found.pop()
    return found[-1] if found else len(text)


def _there_already(text: str, offset: int, said: str) -> Mistake | None:
    """A key or a table that is written twice, at the second, with the line of the first."""
    if not said.startswith(("Cannot overwrite", "Cannot declare", "Cannot mutate", "Cannot redef")):
        return None
    begun = _statement(text, offset)
    if begun is None:
        return None
    located, table = locate_open(text[:begun])
    line = text[begun:].lstrip()
    start = len(text) - len(line)
    is_header = line.startswith("[")
    width = len(line) - len(line.lstrip("["))
    names, end = split_path(line[width:])
    path: Where = names if is_header else (*table, *names)
    known = [path[:length] for length in range(len(path), 0, -1) if path[:length] in located]
    where = f"line {text.count(chr(10), 0, located[known[0]].key.start) + 1}" if known else "above"
    span = Span(start, start + width + len(line[width : width + end].rstrip()))
    if width == 2 and names not in ARRAYS:
        message = f"the table {dotted(path)} is there already, in {where}, and has single brackets"
        return Mistake(message, f"write [{dotted(names)}], and all its keys below it", span)
    if is_header and names in ARRAYS:
        name = dotted(names)
        message = f"[{name}] is there already, in {where}: each of several has two brackets"
        return Mistake(message, f"write [[{name}]] above each of them", span)
    if is_header:
        message = f"the table {dotted(path)} is there already, in {where}"
        return Mistake(message, "write all its keys under one header", span)
    written = dotted(known[0] if known else path)
    return Mistake(f"the key {written} is there already, in {where}", "remove one of them", span)


def _statement(text: str, offset: int) -> int | None:
    """Where the statement begins that a character is in: all before it is TOML by itself."""
    start = offset
    for _ in range(_LINES):
        start = text.rfind("\n", 0, start) + 1
        if _is_toml(text[:start]):
            return start
        start -= 1
    return None


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except ValueError:
        return False
    return True

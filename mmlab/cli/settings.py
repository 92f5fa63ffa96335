"""A project's settings: defaults of options, from the nearest `mmlab.toml` upwards.

    db = "results/mmlab.db"      # a path is relative to the file
    device = "cuda"

    [report]
    thumbnails = "64 MiB"        # room for small pictures in the database

Or the same under `[tool.mmlab]` of a pyproject.toml. Options on the command line and environment
variables win over them. They say where results go, never what an experiment is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click

from mmlab.errors import UsageError, explain, shows_password

#: What may be set, as options are named; those in PATHS are relative to the file.
SETTINGS = ("cache", "db", "device", "lease", "report.thumbnails", "runs")
PATHS = ("cache", "db", "runs")
#: The variables of those that are no options.
VARIABLES: Mapping[str, str] = {"report.thumbnails": "MMLAB_THUMBNAILS"}
#: The verbs that have others below them, which cannot be asked without importing them.
BELOW = {
    "db": ("init", "upgrade", "current", "grants", "runs"),
    "import": ("clip-benchmark", "open-clip", "predictions", "remove"),
    "export": ("clip-benchmark",),
}
_SQLITE = "sqlite:///"
#: How URLs begin, understood or not.
_URL = re.compile(r"[A-Za-z][\w+.-]*:")


def read_settings(folder: Path) -> dict[str, str]:
    """The settings that hold in a folder; none where neither it nor a folder above has any.

    Raises UsageError for a file that is no TOML, an unknown key, or a database URL with a password.
    """
    for parent in (folder, *folder.parents):
        for name in ("mmlab.toml", "pyproject.toml"):
            found = _read(parent / name)
            if found is not None:
                flat = _flat(parent / name, found)
                return {key: _checked(parent / name, key, flat[key]) for key in flat}
    return {}


def _flat(path: Path, found: Mapping[str, object]) -> dict[str, object]:
    """The settings by their names: those of [report] are "report.KEY"."""
    report = found.get("report", {})
    if not isinstance(report, Mapping):
        raise UsageError(_unknown(path, "report", report))
    rest = {key: value for key, value in found.items() if key != "report"}
    return {**rest, **{f"report.{key}": value for key, value in report.items()}}


@contextmanager
def named_in_environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Settings that no option has, in the environment of the command; what it names wins."""
    given = {VARIABLES[key]: value for key, value in settings.items() if key in VARIABLES}
    new = {name: value for name, value in given.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)


def defaults_by_verb(settings: Mapping[str, str], verbs: Iterable[str]) -> dict[str, Any]:
    """The settings as click wants them: for each verb, and for those below it."""
    return {
        verb: {**settings, **{below: settings for below in BELOW.get(verb, ())}} for verb in verbs
    }


class NamedPath(click.Path):
    """A path of a file or a folder; an empty text would mean the current folder without a word."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:  # Any: click's own signature
        """The path. Refuses what is empty."""
        if not str(value).strip():
            self.fail("an empty text names no file and no folder", param, ctx)
        return super().convert(value, param, ctx)


class DatabaseOption(click.Option):
    """`--db`, whose variable may have been taken out of the environment."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """What the variable was when the command began."""
        taken: str | None = ctx.find_root().meta.get("mmlab.db")
        return taken or super().resolve_envvar_value(ctx)


def _read(path: Path) -> Mapping[str, object] | None:
    """The table of settings of a file; None where it has none."""
    if not os.path.isfile(path):
        return None
    import tomllib

    try:
        document: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        if path.name == "pyproject.toml":  # somebody else's file, and perhaps for another Python
            return None
        raise UsageError(_unreadable(path, error)) from error
    if path.name == "mmlab.toml":
        return document
    table = document.get("tool", {})
    found = table.get("mmlab") if isinstance(table, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _checked(path: Path, key: str, value: object) -> str:
    if key not in SETTINGS or not isinstance(value, str) or not value.strip():
        raise UsageError(_unknown(path, key, value))
    if key == "db" and _has_password(value):
        raise UsageError(_password(path))
    if key not in PATHS or (key == "db" and _URL.match(value) and not value.startswith(_SQLITE)):
        return value
    if key == "db" and value.startswith(_SQLITE):
        value = unquote(value.removeprefix(_SQLITE))
    return str(path.parent / value)


def _has_password(address: str) -> bool:
    """Whether an address, or what was meant to be one, shows a password."""
    who, at, _ = (address.partition("://")[2] or address).rpartition("@")
    has_parts = "://" not in address and len(re.findall("[:@]", address.partition("/")[0])) > 1
    return (bool(at) and ":" in who) or has_parts or shows_password(address)


def _unreadable(path: Path, error: Exception) -> str:
    return explain(
        str(path),
        "these settings cannot be read",
        found=str(error),
        allowed="TOML in UTF-8",
        next_step="correct the file, or remove it",
    )


def _unknown(path: Path, key: str, value: object) -> str:
    # A text may be a password, and so may what is in an array or a table.
    found = f"{key} = {value!r}" if isinstance(value, (int, float)) else key
    return explain(
        f"{path}: {key}",
        "is no setting" if key not in SETTINGS else "a setting is a text that is not empty",
        found=found,
        allowed=", ".join(SETTINGS) + ", each a text",
        next_step="remove the key; what an experiment is stands in its spec",
    )


def _password(path: Path) -> str:
    return explain(
        f"{path}: db",
        "a password does not belong into a file of settings",
        found="a URL with a password",
        allowed="a URL without; the password in PGPASSWORD, ~/.pgpass or a libpq service",
        next_step="remove the password from the file",
    )

"""What commands write: data to stdout, everything else to stderr, and one switch for colour."""

from __future__ import annotations

import errno
import io
import json
import logging
import math
import os
import select
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Literal, NoReturn, TypeVar, cast

import click

from mmlab.cli.settings import DatabaseOption, NamedPath
from mmlab.errors import MmlabError, harmless, message_of, visible

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from rich.console import Console
    from rich.table import Table

    from mmlab.store import Store


SCHEMA_VERSION = 1
PIPE_WIDTH = 200
#: Characters of an id or a hash that a table shows.
SHORT = 12
CommandFunction = TypeVar("CommandFunction", bound=Callable[..., object])


# --- options that every verb has --------------------------------------------------------------
def color_option(command: CommandFunction) -> CommandFunction:
    """Add `--color`, which overrides NO_COLOR and FORCE_COLOR."""
    return click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        envvar="MMLAB_COLOR",
        expose_value=False,
        is_eager=True,
        callback=_set_color,
        help="Colour the output; auto heeds NO_COLOR, FORCE_COLOR and the terminal.",
    )(command)


def verbosity_options(command: CommandFunction) -> CommandFunction:
    """Add `-q` and `-v`."""
    quiet = click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, callback=_set_quiet, help="Say less."
    )
    verbose = click.option(
        "-v", "--verbose", count=True, expose_value=False, callback=_set_verbose, help="Say more."
    )
    return quiet(verbose(command))


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON document to stdout."
)

db_option = click.option(
    "--db",
    cls=DatabaseOption,
    envvar="MMLAB_DB",
    default="sqlite:///mmlab.db",
    show_default=True,
    show_envvar=True,
    metavar="URL",
    help="The database: a path to a SQLite file, or postgresql://USER@HOST/DATABASE.",
)


def override_options(command: CommandFunction) -> CommandFunction:
    """Add `--set` and `--set-file`."""
    setting = click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="PATH=VALUE",
        help="Override one key of every spec, such as train.lr=1e-3. Repeatable.",
    )
    patch = click.option(
        "--set-file",
        "patches",
        multiple=True,
        metavar="FILE",
        type=NamedPath(),
        help="A TOML file over every spec: tables merge, arrays replace. Repeatable; --set wins.",
    )
    return setting(patch(command))


def _set_color(ctx: click.Context, option: click.Parameter, choice: str | None) -> None:
    if choice is not None or ctx.parent is None:
        ctx.find_root().color = _wants_color(choice or "auto")


def _wants_color(choice: str) -> bool | None:
    """True: always, False: never, None: where the stream is a terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return False if os.environ.get("TERM") == "dumb" else None


def _set_quiet(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().meta["mmlab.quiet"] = True


def _set_verbose(ctx: click.Context, option: click.Parameter, count: int) -> None:
    if count:
        level = logging.INFO if count == 1 else logging.DEBUG
        from mmlab.cli.secrets import Redacting

        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(Redacting("%(name)s: %(message)s"))
        logging.basicConfig(level=level, handlers=[handler])


def is_quiet() -> bool:
    """Whether the user asked to say less."""
    return bool(click.get_current_context().find_root().meta.get("mmlab.quiet"))


# --- writing ----------------------------------------------------------------------------------
def console(*, err: bool = False, pipe_width: int = PIPE_WIDTH) -> Console:
    """A rich console that obeys the switch for colour; `pipe_width` is for what is no terminal."""
    from rich.console import Console

    wants = _present_color()
    # A process may start without one (`mmlab ls >&-`); what is said then is for nobody.
    stream = (sys.stderr if err else sys.stdout) or io.StringIO()
    # A pipe has no width; 80 columns would fold the tables of whoever greps them.
    width = None if stream.isatty() or "COLUMNS" in os.environ else pipe_width
    if wants is None:
        return Console(file=stream, width=width, highlight=False)
    system: Literal["standard"] | None = "standard" if wants else None
    return Console(
        file=stream,
        width=width,
        force_terminal=wants,
        color_system=system,
        no_color=not wants,
        highlight=False,
    )


def _present_color() -> bool | None:
    context = click.get_current_context(silent=True)
    return _wants_color("auto") if context is None else context.find_root().color


def say(text: str) -> None:
    """One line for the person at the terminal, not for a pipe; `-q` silences it."""
    if not is_quiet():
        click.echo(text, err=True)


@contextmanager
def reading(db: str) -> Iterator[Store]:
    """An open store for a verb that only reads; says what must be known of how it is read."""
    from mmlab.store import open_store

    with open_store(db) as store:
        if store.notice is not None:
            say(store.notice)
        yield store


def fail(error: MmlabError) -> NoReturn:
    """Print an expected error and leave with its exit code."""
    tell(error)
    click.get_current_context().exit(error.exit_code)


def tell(error: MmlabError) -> None:
    """Print an expected error."""
    text = harmless(message_of(error))
    prefix = "" if text.startswith("error") else click.style("error: ", fg="red", bold=True)
    click.echo(prefix + text, err=True, color=_present_color())


class _Enduring(io.FileIO):
    """The file of a standard stream: what it cannot write (a closed pipe, EPIPE) ends nothing.

    It is led to /dev/null from then on, for whatever else writes there too; `error` says why.
    """

    error: OSError | None = None

    def write(self, content: ReadableBuffer, /) -> int:
        """All of it at once; whoever reads a pipe that does not block is waited for."""
        left = whole = memoryview(content).cast("B")
        while left and self.error is None:
            try:
                written = super().write(left)
            except OSError as error:
                self.error = error
                _lead_nowhere(self.fileno())
            else:
                if not written:
                    select.select([], [self], [])
                left = left[written or 0 :]
        return len(whole)


def _lead_nowhere(descriptor: int) -> None:
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != descriptor:
            os.dup2(nowhere, descriptor)
            os.close(nowhere)


def endure_lost_output() -> None:
    """Go on where stdout or stderr is closed, or cannot be written: a run outlives its reader.

    Streams that are not the process's own, as in tests and notebooks, stay as they are.
    """
    for descriptor in range(3):  # else the next file that is opened would be taken for a stream
        try:
            os.fstat(descriptor)
        except OSError:
            _lead_nowhere(descriptor)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__"):
            enduring = _enduring(stream, descriptor)
            setattr(sys, name, enduring)
            setattr(sys, f"__{name}__", enduring)  # what workers of a data loader write to


def _enduring(stream: io.TextIOWrapper | None, descriptor: int) -> io.TextIOWrapper:
    """A standard stream as it was, but for its file."""
    file = _Enduring(descriptor, "w", closefd=False)
    if stream is None:
        return io.TextIOWrapper(io.BufferedWriter(file), encoding="utf-8")
    if isinstance(_file_of(stream), _Enduring):
        return stream
    stream.flush()
    is_unbuffered = isinstance(stream.buffer, io.RawIOBase)  # python -u
    return io.TextIOWrapper(
        cast(BinaryIO, file) if is_unbuffered else io.BufferedWriter(file),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _file_of(stream: object) -> object:
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def lost_output() -> OSError | None:
    """Why stdout did not take what a command printed; None too where its reader has gone away."""
    if sys.stdout is None or not isinstance(file := _file_of(sys.stdout), _Enduring):
        return None
    sys.stdout.flush()
    return file.error if file.error is not None and file.error.errno != errno.EPIPE else None


def escape_unwritable() -> None:
    """Write characters that a stream's encoding lacks (an emoji in ASCII) as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(**content: object) -> None:
    """Write a JSON document with its `schema_version`; NaN and infinities become null."""
    document = {"schema_version": SCHEMA_VERSION, **content}
    click.echo(json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: object) -> object:
    """The value in JSON's own types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(member) for member in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, (str, int)) else str(value)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, whole: Sequence[str] = ()
) -> Table:
    """A plain table; cells are shown as they are: no markup, and no control character obeyed.

    Where a terminal is narrow the columns of `whole` stay in one line, and the others are folded.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    # Blanks on both sides of a cell would take the room that the folded columns need.
    made = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0) if whole else (0, 1))
    for column in columns:
        made.add_column(Text(column), overflow="fold", no_wrap=column in whole)
    for row in rows:
        made.add_row(*(Text("" if cell is None else visible(str(cell))) for cell in row))
    return made

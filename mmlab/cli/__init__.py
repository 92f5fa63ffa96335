"""The command line, `mmlab VERB`: a verb is imported when asked for, and its libraries later.

Exit codes: 0 done, 1 a run failed, 2 usage, 3 spec, 4 plugin, 5 database, 75 cells are left in the
queue or a scheduler stopped it, 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

import click

from mmlab import __version__
from mmlab.cli.output import (
    color_option,
    endure_lost_output,
    escape_unwritable,
    fail,
    lost_output,
    tell,
    verbosity_options,
)
from mmlab.cli.settings import defaults_by_verb, named_in_environment, read_settings
from mmlab.errors import (
    MmlabError,
    UsageError,
    explain,
    shows_password,
    unstorable,
    without_passwords,
)

INTERRUPTED = 130
#: What the system says when a disk, or a user's part of it, holds no more.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

#: Verb -> where its command is, in the order of `mmlab --help`.
COMMANDS = {
    "init": "mmlab.cli.init:init",
    "run": "mmlab.cli.run:run",
    "work": "mmlab.cli.work:work",
    "retry": "mmlab.cli.work:retry",
    "cancel": "mmlab.cli.work:cancel",
    "sync": "mmlab.cli.sync:sync",
    "evaluate": "mmlab.cli.evaluate:evaluate",
    "rank": "mmlab.cli.rank:rank",
    "validate": "mmlab.cli.validate:validate",
    "inspect": "mmlab.cli.inspect:inspect",
    "ls": "mmlab.cli.runs:ls",
    "show": "mmlab.cli.runs:show",
    "report": "mmlab.cli.report:report",
    "compare": "mmlab.cli.compare:compare",
    "import": "mmlab.cli.interop:import_",
    "export": "mmlab.cli.interop:export",
    "pack": "mmlab.cli.pack:pack",
    "plugins": "mmlab.cli.plugins:plugins",
    "schema": "mmlab.cli.schema:schema",
    "gc": "mmlab.cli.gc:gc",
    "db": "mmlab.cli.db:db",
}
ALIASES = {"list": "ls"}
#: Verbs that end with 75 at a scheduler's signal; others die of it, as programs do.
_STOPPABLE = ("run", "work", "evaluate")


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by verb, each imported on its first use; click lists and suggests from this."""

    def __init__(self, targets: dict[str, str]) -> None:
        self.targets = targets

    def __getitem__(self, verb: str) -> click.Command:
        module, _, name = self.targets[verb].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def __setitem__(self, verb: str, command: click.Command) -> None:
        raise TypeError("a verb is added to COMMANDS")

    def __delitem__(self, verb: str) -> None:
        raise TypeError("a verb is removed from COMMANDS")

    def __iter__(self) -> Iterator[str]:
        return iter(self.targets)

    def __len__(self) -> int:
        return len(self.targets)


class Verbs(click.Group):
    """All verbs: knows aliases, keeps their order, and puts expected errors in words."""

    def main(self, *arguments: Any, **options: Any) -> Any:  # Any: click's own signature
        """Act on a command line; that nobody reads what it prints ends it no earlier."""
        endure_lost_output()
        sys.excepthook, threading.excepthook = _print_unexpected, _print_of_thread
        try:
            return super().main(*arguments, **options)
        except SystemExit as ended:
            error = lost_output()
            if error is None:
                raise
            tell(_unwritable(error))
            raise SystemExit(ended.code or 1) from error

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb or alias."""
        return super().get_command(ctx, ALIASES.get(cmd_name, cmd_name))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order in which one meets them."""
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; `invoke` refuses what is not UTF-8, which nothing could store."""
        ctx.meta["mmlab.unfit"] = [arg for arg in (*args, *_paths()) if unstorable(arg)]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the verb; an expected error is one paragraph and an exit code, not a traceback."""
        escape_unwritable()
        # Before torch is imported. Threads that spin while they wait make a machine that others
        # share several times slower, and gain a tenth on one that nobody does.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            _require_unicode(ctx.meta["mmlab.unfit"])
            with _kept_secret(ctx):
                settings = read_settings(_here())
                ctx.default_map = defaults_by_verb(settings, self.commands)
                with named_in_environment(settings):
                    result: object = super().invoke(ctx)
        except MmlabError as error:
            fail(error)
        except click.UsageError as error:
            said = error.format_message()
            if (shown := without_passwords(said)) == said:
                raise
            raise click.UsageError(shown, error.ctx) from None
        except OSError as error:
            if error.errno not in FULL:
                raise
            fail(_unwritable(error))
        except KeyboardInterrupt:
            click.echo("interrupted; finished runs are kept", err=True)
            ctx.exit(INTERRUPTED)
        return result


@contextmanager
def _kept_secret(ctx: click.Context) -> Iterator[None]:
    """Keep passwords from other processes; without one there is nothing to import."""
    given = (*sys.argv, os.environ.get("MMLAB_DB", ""))
    if not any("@" in each or shows_password(each) for each in given):
        yield
        return
    from mmlab.cli.secrets import kept_secret

    with kept_secret(sys.argv) as ctx.meta["mmlab.db"]:
        yield


def _print_unexpected(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    from mmlab.cli.secrets import print_unexpected

    print_unexpected(kind, error, trace)


def _print_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and args.exc_type is not SystemExit:
        _print_unexpected(args.exc_type, args.exc_value, args.exc_traceback)


def _paths() -> Iterator[str]:
    """What paths begin with beside the command line: the working directory, and variables."""
    yield from (value for name, value in os.environ.items() if name.startswith("MMLAB_"))
    with suppress(FileNotFoundError):  # it was deleted
        yield os.getcwd()


def _here() -> Path:
    """The working directory. Raises UsageError where it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UsageError(
            explain(
                "the working directory",
                "it was deleted, and paths lead nowhere from it",
                found=error.strerror,
                allowed="a folder that is there",
                next_step="go to another folder, then run the command again",
            )
        ) from error


def _require_unicode(unfit: Sequence[str]) -> None:
    if not unfit:
        return
    raise UsageError(
        explain(
            "the command line",
            "an argument, a variable or the working directory is not UTF-8",
            found="not shown, for it may hold a password"
            if {"@", ":", "="}.intersection(unfit[0])
            else ascii(unfit[0]),
            allowed="arguments and file names in UTF-8",
            next_step="rename the file or folder, or write the argument in UTF-8",
        )
    )


def _unwritable(error: OSError) -> MmlabError:
    return MmlabError(
        explain(
            str(error.filename or "the output"),
            "cannot be written",
            found=error.strerror,
            allowed="a disk with space",
            next_step="free some space, then run the command again",
        )
    )


@click.group(
    cls=Verbs,
    commands=LazyCommands(COMMANDS),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="mmlab")
@color_option
@verbosity_options
@click.pass_context
def main(ctx: click.Context) -> None:
    """Run multimodal experiments from TOML files and compare their results.

    \b
    A first experiment:
      mmlab init emoji.toml        write a small spec for the embedded data
      mmlab run emoji.toml         train, evaluate, store in mmlab.db
      mmlab report                 compare what is stored
    """
    if ctx.invoked_subcommand not in _STOPPABLE:
        _let_signals_be(ctx.obj)


def _let_signals_be(early: object) -> None:
    """Let Python handle what a handler was for that ends the process (see `mmlab.__main__`)."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        if early is not None and signal.getsignal(number) is early:
            is_ctrl_c = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_ctrl_c else signal.SIG_DFL)

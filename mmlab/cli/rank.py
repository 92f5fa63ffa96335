"""`mmlab rank`: labels of one's own ranked for pictures of one's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmlab.cli.output import (
    color_option,
    console,
    db_option,
    json_option,
    override_options,
    print_json,
    say,
    verbosity_options,
)
from mmlab.cli.run import device_option, runs_option
from mmlab.cli.settings import NamedPath
from mmlab.errors import UsageError, explain

if TYPE_CHECKING:
    from mmlab.loaded import LoadedModel
    from mmlab.report.results import NotebookCard


class Scale(click.FloatRange):
    """A number within bounds; click lets "nan" pass."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:  # Any: click's own signature
        """The number. Refuses what is none."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is no number", param, ctx)
        return number


#: Endings of the names of pages.
PAGES = (".html", ".htm")


@click.command(short_help="Rank labels of your own for pictures of your own.")
@click.argument("run", metavar="RUN|SPEC")
@click.argument("pictures", nargs=-1, metavar="[PICTURE]...")
@click.option("--labels", multiple=True, metavar="A,B,...", help="The labels. Repeatable.")
@click.option(
    "--labels-file",
    metavar="FILE",
    type=NamedPath(),
    help="A text file of labels, one a line.",
)
@click.option(
    "--template",
    "templates",
    multiple=True,
    metavar="TEXT",
    help="A prompt with one {} for the label. Repeatable: all are averaged.  "
    "[default: as the run's own zero_shot]",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A value of an encoder or modality: text=WORDS, audio=FILE, ... Repeatable.",
)
@click.option(
    "--truth",
    "truths",
    multiple=True,
    metavar="LABEL",
    help="The true label, where you know it; one for each picture.",
)
@click.option(
    "--top", type=click.IntRange(1, 1000), default=5, show_default=True, help="Labels of a card."
)
@click.option("--prompts", metavar="NAME", help="The encoder that reads labels, where two could.")
@click.option(
    "--scale",
    type=Scale(0, 1e6, min_open=True),
    help="Of the scores before the softmax.  [default: the model's own]",
)
@click.option("--out", type=NamedPath(), help="Write the cards as an HTML page instead.")
@override_options
@db_option
@runs_option
@device_option
@json_option
@color_option
@verbosity_options
def rank(
    run: str,
    pictures: tuple[str, ...],
    labels: tuple[str, ...],
    labels_file: Path | None,
    templates: tuple[str, ...],
    inputs: tuple[str, ...],
    truths: tuple[str, ...],
    top: int,
    prompts: str | None,
    scale: float | None,
    out: Path | None,
    overrides: tuple[str, ...],
    patches: tuple[Path, ...],
    db: str,
    runs: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Rank labels of your own for pictures of your own, as zero_shot does; nothing is stored.

    RUN is an id or its first characters, an experiment's name (its newest run), or @last. A SPEC,
    whose name ends in .toml, needs no run: its encoders are pretrained and it has no [train].

    PICTURE is a file; of a model that reads no pictures it is a sound or a video, or a text. Models
    with several inputs get them by name: the first --input NAME goes with the first picture.
    Without labels a run's head ranks those that it was trained on.

    \b
    Examples:
      mmlab rank @last lunch.jpg --labels guacamole,ceviche
      mmlab rank 3fa8 *.jpg --labels-file food.txt --template "a photo of {}."
      mmlab rank clip.toml lunch.jpg --labels guacamole,ceviche --out card.html
      mmlab rank speech --input audio=word.wav --labels yes,no --json
    """
    named = _read_labels(labels, labels_file)
    columns = _read_inputs(inputs)
    _check_files(run, out, as_json=as_json, is_overridden=bool(overrides or patches))
    from mmlab.loaded import load

    model = load(run, db, device=device, runs=runs, overrides=(*patches, *overrides), note=say)
    cards = model.rank(
        _with_pictures(model, pictures, columns),
        named,
        templates=templates or None,
        truths=truths,
        top=top,
        prompts=prompts,
        scale=scale,
        pictures=as_json or out is not None,
        note=say,
    )
    _show(cards, out, as_json=as_json)


def _show(cards: Sequence[NotebookCard], out: Path | None, *, as_json: bool) -> None:
    if out is not None:
        from mmlab.files import write_whole
        from mmlab.report.render.html import render_cards

        title = f"{cards[0].experiment}: {len(cards)} input{'s' if len(cards) > 1 else ''}"
        write_whole(out, render_cards(cards, title).encode(), "page")
        say(f"wrote {out}")
    elif as_json:
        print_json(cards=[{**asdict(card), "picture": card.picture_uri} for card in cards])
    else:
        from mmlab.report.render.card_text import draw_card

        terminal = console()
        for place, card in enumerate(cards):
            if place:
                terminal.print()
            terminal.print(draw_card(card))


def _with_pictures(
    model: LoadedModel, pictures: Sequence[str], columns: Mapping[str, Sequence[object]]
) -> dict[str, Sequence[object]]:
    """All columns by name, that of the arguments without a name first."""
    from mmlab.runner.rank import main_input

    return {**({main_input(model): pictures} if pictures else {}), **columns}


def _read_labels(labels: Sequence[str], file: Path | None) -> list[str] | None:
    """The labels of the options, or of the file; None where neither is given."""
    if labels and file is not None:
        raise _twice(file)
    if file is not None:
        return _read_lines(file)
    return [part.strip() for text in labels for part in text.split(",")] if labels else None


def _read_lines(file: Path) -> list[str]:
    """The lines of a file of labels, but for empty ones, without blanks around them."""
    from mmlab.files import decode_text, read_file, said_of

    try:
        text = decode_text(read_file(file))
    except OSError as error:
        raise _unreadable(file, said_of(error)) from error
    except ValueError as error:
        raise _unreadable(file, str(error)) from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise _unreadable(file, "no line with a label")
    return found


def _read_inputs(inputs: Sequence[str]) -> dict[str, list[object]]:
    """The values of `--input` by name, in their order."""
    columns: dict[str, list[object]] = {}
    for text in inputs:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value:
            raise _no_pair(text)
        columns.setdefault(name.strip(), []).append(value)
    return columns


def _check_files(run: str, out: Path | None, *, as_json: bool, is_overridden: bool) -> None:
    """Raise UsageError for options that do not go together, before anything is loaded."""
    if out is not None and out.suffix.lower() not in PAGES:
        raise _no_page(out)
    if out is not None and as_json:
        raise click.UsageError("--out writes a page; leave out --json, or --out")
    if is_overridden and not run.lower().endswith(".toml"):
        raise click.UsageError("--set and --set-file change a spec; a run is as it was")


def _twice(file: Path) -> UsageError:
    return UsageError(
        explain(
            "--labels",
            "labels come from the command line or from a file, not from both",
            found=f"--labels and --labels-file {file}",
            allowed="one of them",
            next_step="leave one out",
        )
    )


def _unreadable(file: Path, found: str) -> UsageError:
    return UsageError(
        explain(
            f"--labels-file {file}",
            "the labels cannot be read",
            found=found,
            allowed="a text file in UTF-8, one label a line",
            next_step="correct the file, or its name",
        )
    )


def _no_pair(text: str) -> UsageError:
    return UsageError(
        explain(
            "--input",
            "an input is a name and a value",
            found=repr(text)[:200],
            allowed="NAME=VALUE, such as text='a red car' or audio=word.wav",
            next_step="name the encoder or the modality first",
        )
    )


def _no_page(out: Path) -> UsageError:
    return UsageError(
        explain(
            f"--out {out}",
            "cards are written as an HTML page",
            found=out.suffix or "no ending",
            allowed=" or ".join(PAGES),
            next_step="name a file that ends so, or take --json",
        )
    )

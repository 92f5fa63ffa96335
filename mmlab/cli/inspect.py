"""`mmlab inspect`: what the data of a spec hold, before anything trains."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmlab.cli.output import (
    color_option,
    console,
    json_option,
    override_options,
    print_json,
    verbosity_options,
)
from mmlab.cli.settings import NamedPath
from mmlab.cli.shield import shielded
from mmlab.errors import MmlabError, message_of

if TYPE_CHECKING:
    from mmlab.data.facts import TextLengths
    from mmlab.data.inspection import DataFacts
    from mmlab.spec import Override

#: Texts that each text encoder is given.
TEXTS = 5_000


@click.command(short_help="Show what the data of a spec hold, before anything trains.")
@click.argument("spec", metavar="SPEC", type=NamedPath())
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Which samples are drawn to be opened and shown.",
)
@override_options
@json_option
@color_option
@verbosity_options
@shielded
def inspect(
    spec: Path, seed: int, overrides: tuple[str, ...], patches: tuple[Path, ...], as_json: bool
) -> None:
    """Show what the data of a spec hold: samples, modalities, labels, sizes, what splits share.

    Counts are of all samples. Pictures, sounds, texts and rows of tables are looked at in samples
    that are drawn; how many, is said. Nothing is trained or stored.

    \b
    Examples:
      mmlab inspect pets.toml
      mmlab inspect pets.toml --set dataset.path=other.csv --seed 1
      mmlab inspect pets.toml --json
    """
    from mmlab.data.inspection import find_uses, inspect_data

    found = []
    for use in find_uses(spec, (*patches, *overrides)):
        facts = inspect_data(use, seed)
        cells = [cell.index for cell in use.cells]
        found.append((facts, read_by_encoders(spec, (*patches, *overrides), cells, facts)))
        del use.registry
    if as_json:
        print_json(spec=str(spec), seed=seed, data=[_document(*each) for each in found])
        return
    from mmlab.cli.inspected import show_data

    for facts, lengths in found:
        show_data(console(), facts, lengths)


def read_by_encoders(
    spec: Path, overrides: Sequence[Override], cells: Collection[int], facts: DataFacts
) -> list[TextLengths]:
    """What text encoders read of drawn texts.

    They need torch, which takes more memory than the data of most specs; where it is not imported
    already, that is left to another process.
    """
    texts = {
        modality: found[:: -(-len(found) // TEXTS)]
        for modality, found in facts.drawn.raw_texts.items()
    }
    if not texts:
        return []
    if "torch" in sys.modules:
        return _measure(spec, overrides, cells, texts)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measure, spec, overrides, cells, texts).result()


def _measure(
    spec: Path,
    overrides: Sequence[Override],
    cells: Collection[int],
    texts: Mapping[str, Sequence[str]],
) -> list[TextLengths]:
    from mmlab.data.facts import TextLengths
    from mmlab.model.text_lengths import measure_texts

    try:
        return measure_texts(spec, overrides, cells, texts)
    except MmlabError as error:  # something else of the spec is wrong, which validate tells
        why = " ".join(message_of(error).split())
        return [TextLengths("*", "", name, len(own), error=why) for name, own in texts.items()]


def _document(facts: DataFacts, lengths: Sequence[TextLengths]) -> dict[str, object]:
    """The facts for machines: as they are, but for the texts that encoders were given."""
    document = asdict(replace(facts, drawn=replace(facts.drawn, raw_texts={})))
    del document["drawn"]["raw_texts"]
    return {**document, "text_encoders": [asdict(length) for length in lengths]}

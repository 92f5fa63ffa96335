"""A card in the terminal, drawn with rich."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mmlab.errors import visible
from mmlab.report.cards import Bar, Card

_BAR_CELLS = 20


def draw_card(card: Card) -> Group:
    """The card for a rich console: headline, prompts with check or cross, bars, and a note."""
    headline = Text.assemble(
        (visible(card.title), "bold"),
        *(f" {part}" for part in (card.percent, card.placing) if part),
    )
    seed = f"seed {card.seed}" if card.run_id else ""  # of a run
    place = " · ".join(
        filter(None, (card.experiment, card.cell, seed, card.evaluation, card.condition))
    )
    sample = Text(f"sample {visible(card.sample)} · {visible(place)}", style="dim")
    return Group(headline, sample, Text(), _rows(card), Text(), Text(card.note, style="dim"))


def _rows(card: Card) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(justify="right", style="dim")
    table.add_column(overflow="fold", ratio=1)
    table.add_column(no_wrap=True, width=_BAR_CELLS)
    table.add_column(justify="right", no_wrap=True)
    for bar in card.bars:
        if bar.is_beyond:
            table.add_row("", "", Text("…", style="dim"), "", "")
        table.add_row(*_row(card, bar))
    return table


def _row(card: Card, bar: Bar) -> tuple[Text, Text, Text, Text, Text]:
    style = ("green" if bar.is_truth else "red") if card.is_judged else "blue"
    prompt = Text(visible(bar.before))
    for place, label in enumerate(bar.labels):
        prompt.append(" or " if place else "").append(visible(label), style="bold")
    prompt.append(visible(bar.after))
    mark = Text(card.mark(bar), style=style)
    length = round((bar.score or 0.0) * _BAR_CELLS) if card.has_probabilities else 0
    drawn = Text("█" * length, style=style)
    return mark, Text(str(bar.rank)), prompt, drawn, Text(card.score_text(bar))

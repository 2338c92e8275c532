"""A data card on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from olmes.synthesis.card import Card


def print_card(screen: Console, card: Card) -> None:
    """Print the sentences and tables of a card."""
    from olmes.cli.tables import blank_table
    from olmes.synthesis.card import cell

    screen.print(card.summary, soft_wrap=True)
    for section in card.sections:
        screen.print(f"\n{section.title}", style="bold")
        for line in section.text:
            screen.print(line)
        if section.rows:
            table = blank_table(*section.columns)
            for row in section.rows:
                table.add_row(*(cell(value) for value in row))
            screen.print(table)

"""How numbers and words are formatted on pages."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from markupsafe import Markup

from daskingest.months import month_text

_KINDS = {
    "PERSON": "person",
    "PER": "person",
    "ORG": "org",
    "GPE": "place",
    "LOC": "place",
    "FAC": "place",
    "NORP": "group",
}
_MEANINGS = {  # of OntoNotes' labels, which the default model uses
    "PERSON": "people",
    "NORP": "nationalities, religious and political groups",
    "FAC": "buildings, airports, roads",
    "ORG": "companies, agencies, institutions",
    "GPE": "countries, cities, states",
    "LOC": "mountains, waters, regions",
    "PRODUCT": "objects, vehicles, foods",
    "EVENT": "wars, storms, sports events",
    "WORK_OF_ART": "books, songs, films",
    "LAW": "laws",
    "LANGUAGE": "languages",
    "PERCENT": "percentages",
    "QUANTITY": "weights and distances",
}


def number(value: float) -> str:
    """The number with thousands separators; decimals only for small numbers."""
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 1 or value == 0 else f"{value:,.2f}"


def short(text: str, limit: int = 80) -> str:
    """The text on one line, cut to `limit` characters."""
    text = " ".join(text[: 2 * limit + 100].split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def months(window: tuple[int, int]) -> str:
    """From which month to which; both are included."""
    first, last = map(month_text, window)
    return f"in {first}" if first == last else f"from {first} to {last}"


def kind(label: str) -> str:
    """The kind of a label, which determines its colour."""
    return _KINDS.get(label, "other")


def meaning(label: str) -> str:
    """What a label means, if it is a known one."""
    return _MEANINGS.get(label, "")


def query(**values: str | int | Sequence[str]) -> Markup:
    """A URL's query, without empty values; a list repeats its name."""
    kept = {name: value for name, value in values.items() if value}
    return Markup.escape("?" + urlencode(kept, doseq=True)) if kept else Markup()


def address(page: str, **values: str | int | Sequence[str]) -> Markup:
    """The address of one of our pages, with such a query."""
    return Markup.escape(page) + query(**values)

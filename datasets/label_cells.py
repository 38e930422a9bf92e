"""Several label names in one cell of a list: what parts them, and which names hold such a mark themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

USUAL = "|"  # parts names in every list
OTHERS = (";", ",")  # part them where nothing else is likely, the first of them that is there


def choose_separator(cells: Iterable[str]) -> str:
    """Return the one mark that parts names in all these cells: | where any holds it, else ; else ,"""
    seen = set()
    for cell in cells:
        seen.update(mark for mark in OTHERS if mark in cell)
        if USUAL in cell:
            return USUAL
    return next((mark for mark in OTHERS if mark in seen), USUAL)


def part(cell: str, separator: str, known: Collection[str] = ()) -> Iterator[str]:
    """Yield the names in a cell; those of `known` that hold the separator themselves stay whole.

    Args:
        cell: as it stands in the list.
        separator: one character.
        known: names with single spaces that hold the separator, such as `Smith, Ada`.
    """
    pieces = cell.split(separator)
    longest = max((name.count(separator) + 1 for name in known), default=1)
    at = 0
    while at < len(pieces):
        taken = _length_of_name(pieces, at, separator, longest, known)
        yield separator.join(pieces[at : at + taken])
        at += taken


def _length_of_name(pieces: list[str], at: int, separator: str, longest: int, known: Collection[str]) -> int:
    """How many pieces from `at` on make the longest known name; one where none does."""
    for count in range(min(longest, len(pieces) - at), 1, -1):
        if " ".join(separator.join(pieces[at : at + count]).split()) in known:
            return count
    return 1

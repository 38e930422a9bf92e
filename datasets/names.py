"""Names people give: what may be one, and how a sent file's name is shown without doing harm."""

from __future__ import annotations

import unicodedata

MAX_NAME = 100  # characters
MAX_SENT_NAME = 1024
# Characters that turn the direction of what follows, or that no eye sees.
_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSEEN = {"Cc", "Cs", "Cn", "Zl", "Zp"}  # control, surrogate, unassigned, line and paragraph separators
# What leaves no mark by itself: spaces, joiners, accents without a letter; and letters that are blank.
_MARKLESS = {"Zs", "Cf", "Mn", "Me"}
_BLANKS = set("\u115f\u1160\u2800\u3164\uffa0")


class NameRefused(ValueError):
    """A name that is not taken. `code` is for programs, the message is for a person."""

    code = "name_refused"


class NameTaken(NameRefused):
    """A name that another has already."""

    code = "name_taken"


def is_harmless(text: str) -> bool:
    """Whether `text` holds no control, bidirectional or unassigned character."""
    return not any(_is_harmful(character) for character in text)


def _is_harmful(character: str) -> bool:
    return character in _BIDI or unicodedata.category(character) in _UNSEEN


def _is_seen(character: str) -> bool:
    return character not in _BLANKS and unicodedata.category(character) not in _MARKLESS


def clean_name(text: str, what: str = "name") -> str:
    """Return `text` in NFC with single spaces, as a name of a dataset or label.

    Raises:
        NameRefused: nothing to be seen, over 100 characters, or with control or bidirectional characters.
    """
    if not is_harmless(text.strip()):
        raise NameRefused(
            f"The {what} {make_inert(text)[:MAX_NAME]!r} holds invisible characters. Retype it."
        )
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not any(_is_seen(character) for character in name):
        raise NameRefused(f"The {what} is empty. Give at least one character.")
    if len(name) > MAX_NAME:
        raise NameRefused(f"The {what} {name[:20]}… has {len(name)} characters; {MAX_NAME} is the most.")
    return name


def make_inert(text: str) -> str:
    """Return a sent name for showing: NFC, harmful characters as U+FFFD, at most 1,024 characters."""
    shown = "".join("\ufffd" if _is_harmful(character) else character for character in text)
    return unicodedata.normalize("NFC", shown)[:MAX_SENT_NAME]

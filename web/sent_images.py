"""Images that a program sends: decoded from text, and taken in while nobody waits for us."""

from __future__ import annotations

import base64
import binascii

from datasets import intake
from datasets.checking import SentFile
from datasets.names import make_inert
from datasets.rows import Taken, add_rows
from jobs.embedding import request_embedding
from models import db
from utils import ImageRefused
from web.access import get_dataset


def decode_image(text: str) -> bytes:
    """Return the bytes of base64 text (line breaks allowed) or of a data: address.

    Raises:
        ImageRefused: it is not base64.
    """
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        message = "This is not valid base64. Send the image's bytes in base64."
        raise ImageRefused("not_base64", message) from None


def from_text(name: str, text: str, labels: tuple[str, ...] = ()) -> SentFile:
    """Return an image sent as text; one that is not base64 is refused when it is read."""
    least = len(text) // 2  # line breaks take some of it
    return SentFile(make_inert(name), lambda: decode_image(text), least, labels)


def take(slug: str, files: list[SentFile]) -> list[Taken]:
    """Take images into a dataset that the user may change, and commit.

    No transaction is open while they are decoded; so the dataset is asked for again, which may be deleted by
    now, or no longer theirs to change: then it aborts as `get_dataset` does.

    Raises:
        StorageFull: the disk is nearly full; nothing was taken.
    """
    db.session.rollback()
    checked = intake.check_all(files)
    dataset = get_dataset(slug, "editor")
    taken = add_rows(dataset, checked)
    request_embedding(dataset)
    db.session().expire_on_commit = False  # what was written is told without reading it again
    db.session.commit()
    return taken

"""One file from outside: is it an image we take, and what is there to know of it?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from datasets.archives import MIB, ArchiveRefused
from datasets.duplicates import fingerprint
from datasets.names import make_inert
from datasets.storage import THUMBNAIL_SIZE, Place
from utils import (
    EXTENSION_OF_FORMAT,
    ImageRefused,
    center_crop,
    encode_thumbnail,
    generate_random_name,
    open_image,
    upright_size,
)

_ZIP_START = b"PK\x03\x04"


@dataclass(frozen=True)
class SentFile:
    """A file as it was sent: its name for showing, its bytes when asked for, its size, its labels."""

    name: str
    read: Callable[[], bytes]
    size: int  # bytes, as far as known before reading
    label_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """An image that was checked and whose bytes are stored, but that has no row yet."""

    sent: SentFile
    sha256: str
    filename: str
    format: str
    width: int  # pixels, upright
    height: int
    size: int  # bytes
    fingerprint: int


@dataclass(frozen=True)
class Refusal:
    """A file that is not taken, and why."""

    sent: SentFile
    code: str
    message: str


def check_and_store(sent: SentFile, place: Place, max_size: int) -> Image | Refusal:
    """Check a file, decode it whole once, and store it with its thumbnail. Works in any thread.

    Args:
        sent: the file.
        place: where it is stored.
        max_size: in bytes.

    Raises:
        StorageFull: the disk is full.
    """
    try:
        return _check_and_store(sent, place, max_size)
    except (ImageRefused, ArchiveRefused) as refused:
        return Refusal(sent, refused.code, str(refused))
    except OSError as error:
        if not isinstance(error, FileNotFoundError | PermissionError):
            raise
        return Refusal(sent, "file_unreadable", "The file cannot be read. See that it is still there.")


def _check_and_store(sent: SentFile, place: Place, max_size: int) -> Image:
    check_size(sent.size, max_size)
    content = sent.read()
    check_size(len(content), max_size)
    if content.startswith(_ZIP_START):
        raise ImageRefused("nested_zip", "A zip inside is not opened. Send it by itself.")
    image = open_image(content)
    format, (width, height) = image.format, upright_size(image)
    pixels = center_crop(image, THUMBNAIL_SIZE)
    filename = generate_random_name(EXTENSION_OF_FORMAT[format])
    place.write(filename, content, encode_thumbnail(pixels))
    return Image(
        *(sent, sha256(content).hexdigest(), filename, format, width, height),
        *(len(content), fingerprint(pixels)),
    )


def check_size(size: int, max_size: int) -> None:
    """See that a file of `size` bytes is neither empty nor too large.

    Raises:
        ImageRefused: it is.
    """
    if not size:
        raise ImageRefused("file_empty", "The file is empty. Send it again.")
    if size > max_size:
        message = f"The file has more than {max_size / MIB:.3g} MiB. Send a smaller copy."
        raise ImageRefused("file_too_large", message)


def read_bytes(name: str, content: bytes, label_names: tuple[str, ...] = ()) -> SentFile:
    """Return bytes in memory as a sent file."""
    return SentFile(make_inert(name), lambda: content, len(content), label_names)

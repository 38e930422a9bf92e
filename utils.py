"""Small pure helpers that two or more rooms use: safe names, the one pixel path, atomic writes."""

from __future__ import annotations

import io
import os
import secrets
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageFile, ImageOps

if os.name == "nt":
    import msvcrt
else:
    import fcntl

ALLOWED_EXTENSIONS = {"jpg", "jpeg", "png", "webp", "gif", "bmp"}
EXTENSION_OF_FORMAT = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp"}
ALLOWED_FORMATS = tuple(EXTENSION_OF_FORMAT)
MAX_PIXELS = 40_000_000
MAX_SIDE = 16_384
ORIENTATION_TAG = 0x0112
# Raised whenever center_crop's pixels could change; part of every embedding's key and of every package.
PIXEL_PATH_VERSION = 1

# Pillow's own ceiling for text chunks stays; a truncated file must raise, never load half an image. Pillow
# raises DecompressionBombError beyond twice its limit, before any decoder is made, and warns beyond it: the
# warning is ours to ignore (catching it per call would not be safe between threads).
ImageFile.LOAD_TRUNCATED_IMAGES = False
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


class ImageRefused(ValueError):
    """An image that is not taken. `code` is for programs, the message is for a person."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


def is_allowed_file(filename: str) -> bool:
    """Whether the name ends in one of the image extensions we take (a hint only: the bytes decide)."""
    return Path(filename).suffix.lower().lstrip(".") in ALLOWED_EXTENSIONS


def generate_random_name(extension: str = "") -> str:
    """Return an unguessable name (128 bits, URL-safe), with `extension` (no dot) when given."""
    name = secrets.token_urlsafe(16)
    return f"{name}.{extension}" if extension else name


@contextmanager
def _refusing_broken_images() -> Iterator[None]:
    """Turn everything Pillow raises or warns of a hostile file into `ImageRefused`."""
    try:
        yield
    except ImageRefused:
        raise
    except Image.DecompressionBombError as error:
        raise ImageRefused("image_too_large", _too_many_pixels()) from error
    except Image.UnidentifiedImageError as error:
        kinds = "JPEG, PNG, WebP, GIF or BMP"
        raise ImageRefused("not_an_image", f"This is not a {kinds} image that can be read.") from error
    # Pillow's plugins raise any of these, and struct.error, for bytes that lie about themselves.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError) as error:
        raise ImageRefused("image_damaged", "The image is damaged or cut short. Export it anew.") from error
    except Exception as error:
        if type(error).__module__ not in ("struct", "zlib"):
            raise
        raise ImageRefused("image_damaged", "The image is damaged or cut short. Export it anew.") from error


def _too_many_pixels() -> str:
    limit = MAX_PIXELS // 1_000_000
    return f"The image is larger than {limit} megapixels or {MAX_SIDE:,} pixels a side. Send a smaller copy."


def open_image(source: bytes | str | Path | IO[bytes]) -> Image.Image:
    """Open an image without decoding its pixels, after checking its kind and its size.

    Width × height is checked before any pixel is decoded. The pixels are decoded by whatever uses the
    image next (`center_crop`, `open_upright`), so that a large JPEG can still be decoded small.

    Raises:
        ImageRefused: not an image of an allowed format, damaged, or over 40 megapixels or 16,384 a side.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    with _refusing_broken_images():
        image = Image.open(file, formats=ALLOWED_FORMATS)
    if image.format == "MPO":  # as phones make it: a JPEG with more pictures behind it, which nobody looks at
        image.format = "JPEG"
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise ImageRefused("image_too_large", _too_many_pixels())
    return image


def open_upright(source: bytes | str | Path | IO[bytes]) -> Image.Image:
    """Open and fully decode an image, turned upright by its EXIF orientation (first frame only).

    Raises:
        ImageRefused: as `open_image`, or when the pixels are damaged or cut short.
    """
    image = open_image(source)
    with _refusing_broken_images():
        image.load()
        return ImageOps.exif_transpose(image)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return (width, height) in pixels as the image stands upright, without decoding it.

    Raises:
        ImageRefused: its metadata is damaged.
    """
    with _refusing_broken_images():
        is_turned = image.getexif().get(ORIENTATION_TAG, 1) in (5, 6, 7, 8)
    return image.size[::-1] if is_turned else image.size


def center_crop(image: Image.Image, size: int) -> np.ndarray:
    """The one pixel path: the only way an image becomes a network's input, or a thumbnail.

    EXIF orientation is applied, transparency flattened onto white, colours converted to RGB, the shorter
    side scaled to `size` with bicubic (a square stays square), the longer side cropped around its centre.
    A JPEG not decoded yet is decoded at the smallest of libjpeg's scales that leaves it at least 2 × `size`.

    Args:
        image: as `open_image` gives it; it may be altered (decoded small), so open it anew for other uses.
        size: side of the square wanted, in pixels.

    Returns:
        uint8 array of shape (size, size, 3), RGB, 0 to 255.

    Raises:
        ImageRefused: when the pixels are damaged or cut short.
    """
    with _refusing_broken_images():
        if image.format == "JPEG":
            image.draft(None, (2 * size, 2 * size))
        image.load()
        upright = ImageOps.exif_transpose(image)
        square = _resize_centred_square(_flatten_onto_white(upright), size)
        return np.asarray(square, dtype=np.uint8)


def _flatten_onto_white(image: Image.Image) -> Image.Image:
    """Return the image in RGB, transparency laid over white, 16-bit grey scaled to 8 bits."""
    if image.mode.startswith("I"):
        values = np.asarray(image, dtype=np.float64)
        return Image.fromarray((values / 257).round().clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(white, layered).convert("RGB")


def _resize_centred_square(image: Image.Image, size: int) -> Image.Image:
    """Scale the centred square of `image` to `size` with bicubic.

    The same as scaling the shorter side and then cropping, without ever making the scaled long side (a
    1 × 16,384 image would have 800 megapixels of it).
    """
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box)


def make_thumbnail(image: Image.Image, size: int) -> bytes:
    """Return a centre-crop thumbnail as JPEG bytes without any metadata; `image` as for `center_crop`."""
    return encode_thumbnail(center_crop(image, size))


def encode_thumbnail(pixels: np.ndarray) -> bytes:
    """Return pixels, uint8 (size, size, 3), as JPEG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def make_view(image: Image.Image, max_side: int) -> bytes:
    """Return the whole image upright and without any metadata, no side over `max_side` pixels.

    A JPEG stays a JPEG, everything else becomes a PNG; transparency is laid over white, as networks see it.

    Args:
        image: as `open_image` gives it; it may be altered.
        max_side: in pixels; smaller images keep their size.

    Raises:
        ImageRefused: when the pixels are damaged or cut short.
    """
    buffer = io.BytesIO()
    with _refusing_broken_images():
        kind = "JPEG" if image.format == "JPEG" else "PNG"
        image.draft(None, (max_side, max_side))
        image.load()
        view = _flatten_onto_white(ImageOps.exif_transpose(image))
    view.thumbnail((max_side, max_side), Image.Resampling.BICUBIC)
    view.info.clear()  # Pillow would write a JPEG's comment and a PNG's colour profile again
    view.save(buffer, kind, quality=88)
    return buffer.getvalue()


@contextmanager
def open_atomically(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that appears under `path` whole or not at all, even after kill -9."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_atomically(path: str | Path, content: bytes | str) -> None:
    """Write `content` so that readers see the old file or the whole new one, never a part of it."""
    with open_atomically(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def lock_file(path: str | Path, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on `path` (made if missing) between processes; the system frees it when we die.

    Raises:
        BlockingIOError: `wait` is false and another process, or another call in this one, holds it.
    """
    with Path(path).open("ab") as file:
        _take_lock(file, wait)
        yield  # closing the file frees the lock


if os.name == "nt":

    def _take_lock(file: IO[bytes], wait: bool) -> None:
        file.seek(0)
        while True:
            try:
                return msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            except OSError as error:
                if not wait:
                    raise BlockingIOError(str(error)) from error
                time.sleep(0.1)

else:

    def _take_lock(file: IO[bytes], wait: bool) -> None:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)

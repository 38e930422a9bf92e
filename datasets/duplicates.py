"""Near-duplicates: a 64-bit fingerprint of what an image shows, and the nearest one among many."""

from __future__ import annotations

from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from utils import PIXEL_PATH_VERSION

# Measured: copies saved smaller or with more compression differ by 0 to 3 bits. Of 600 photos of waste 2
# are that near to another, of 2,099 aerial photos 17, of 1,000 hand signs 63, of 1,797 digits 291.
MAX_DISTANCE = 3  # bits
_GROWTH = 1024
_SIDE = 32  # pixels
_LINE = 64 + 1 + 16  # characters: SHA-256, space, fingerprint


def fingerprint(pixels: np.ndarray) -> int:
    """Return the difference hash of an image: 64 bits, similar for similar images.

    Krawetz 2013, "Kind of Like That" (hackerfactor.com); as `imagehash.dhash`.

    Args:
        pixels: uint8 array of shape (size, size, 3), as `utils.center_crop` gives it.
    """
    image = Image.fromarray(pixels)
    # Averaging blocks first gives the same but for a bit now and then, in a third of the time.
    bits = imagehash.dhash(image.reduce(max(1, image.width // _SIDE))).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


class Fingerprints:
    """Fingerprints kept by SHA-256 in one file of lines, added to and never rewritten."""

    def __init__(self, folder: Path | None):
        """Read what is kept in `folder`; None keeps nothing."""
        self._path = folder and folder / f"fingerprints-{PIXEL_PATH_VERSION}.txt"
        lines = self._path.read_text().splitlines() if self._path and self._path.exists() else []
        # A line cut off by a crash is shorter and is passed over.
        self._known = {line[:64]: int(line[65:], 16) for line in lines if len(line) == _LINE}

    def get(self, sha256: str) -> int | None:
        """Return the fingerprint of the image with that hash, or None."""
        return self._known.get(sha256)

    def keep(self, fingerprints: dict[str, int]) -> None:
        """Keep those that are new."""
        new = {digest: print_ for digest, print_ in fingerprints.items() if digest not in self._known}
        if self._path and new:
            with self._path.open("a") as file:
                file.writelines(f"\n{digest} {print_:016x}" for digest, print_ in new.items())


class Neighbours:
    """Fingerprints with the split each stands in, in the order they came."""

    def __init__(self, fingerprints: np.ndarray | None = None, splits: list[str] | None = None):
        """Begin with `fingerprints`, uint64 (n,), and the n `splits` they stand in."""
        self._fingerprints = np.array([] if fingerprints is None else fingerprints, np.uint64)
        self._splits = list(splits or [])

    def add(self, fingerprint: int, split: str) -> None:
        """Remember one more."""
        count = len(self._splits)
        if count == len(self._fingerprints):
            self._fingerprints = np.append(self._fingerprints, np.zeros(_GROWTH + count, np.uint64))
        self._fingerprints[count] = fingerprint
        self._splits.append(split)

    def find_split(self, fingerprint: int) -> str | None:
        """Return the split of the nearest near-duplicate, the first of equally near ones; None without one.

        Flat images have nothing to compare (no bit or every bit set), so they are nobody's near-duplicates.
        """
        if not self._splits or not MAX_DISTANCE < fingerprint.bit_count() < 64 - MAX_DISTANCE:
            return None
        known = self._fingerprints[: len(self._splits)]
        distances = np.bitwise_count(known ^ np.uint64(fingerprint))
        nearest = int(distances.argmin())
        return self._splits[nearest] if distances[nearest] <= MAX_DISTANCE else None

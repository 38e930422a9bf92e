"""Labels from labelme: a JSON file beside each image, whose true `flags` are the image's labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from datasets.names import NameRefused, clean_name
from utils import is_allowed_file


class FlagsRefused(ValueError):
    """A JSON file beside an image that cannot be read; the message says what to do."""


def pair(names: Mapping[str, object]) -> dict[str, str]:
    """Return {image: the JSON file beside it} for images that have one of the same name."""
    sidecars = {name[: -len(".json")]: name for name in names if name.lower().endswith(".json")}
    if not sidecars:
        return {}
    images = {name: str(PurePosixPath(name).with_suffix("")) for name in names if is_allowed_file(name)}
    return {name: sidecars[stem] for name, stem in images.items() if stem in sidecars}


def read_flags(read: Callable[[], bytes]) -> tuple[str, ...] | None:
    """Return the names of the true flags of a labelme file; None where it has no flags at all.

    Shapes and the image data inside are not looked at.

    Raises:
        FlagsRefused: it is not JSON in UTF-8, or a flag's name cannot be a label.
    """
    try:
        content = json.loads(read())
    except (ValueError, RecursionError):
        raise FlagsRefused("Its JSON file cannot be read. Save it anew with labelme.") from None
    flags = content.get("flags") if isinstance(content, dict) else None
    if not isinstance(flags, dict) or not flags:
        return None
    try:
        return tuple(
            dict.fromkeys(clean_name(name, "label") for name, value in flags.items() if value is True)
        )
    except NameRefused as refused:
        raise FlagsRefused(str(refused)) from None

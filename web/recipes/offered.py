"""Every recipe on offer, by name, in the order in which the page shows them."""

from __future__ import annotations

from types import ModuleType

from web.recipes import custom, fine_tune, quick, uploaded

RECIPES: dict[str, ModuleType] = {
    "quick": quick,
    "fine-tune": fine_tune,
    "custom": custom,
    "uploaded": uploaded,
}

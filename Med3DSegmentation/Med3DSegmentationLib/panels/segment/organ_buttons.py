"""The buttons that segment: which organs each finds, and why one cannot be pressed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slicer.i18n import tr as _

from Med3DCore.tasks import LABELS
from Med3DSegmentationLib.panels.panel import allow

_ORGANS = {"liverButton": ("liver",), "lungsButton": ("lungs",), "bothButton": ("liver", "lungs")}


class OrganButtons:
    """A button for each of the usual organs, one for both, and one for all organs of a model that has others.

    Args:
        ui: Has the buttons.
        onPressed: Gets the names of the organs.
    """

    def __init__(self, ui: Any, onPressed: Callable[[Sequence[str]], None]) -> None:
        self._ui = ui
        self._organs: dict[str, str] = {}
        for name, organs in _ORGANS.items():
            getattr(ui, name).connect("clicked()", lambda organs=organs: onPressed(organs))
        ui.allOrgansButton.connect("clicked()", lambda: onPressed(tuple(self._organs)))

    def allow(self, reason: str, organs: dict[str, str]) -> str:
        """Enable the buttons, or say why not, for all of them or for an organ that the model does not know.

        Args:
            reason: Why none can be pressed, or "".
            organs: Names and titles of the chosen model's organs; empty while the model is chosen automatically.

        Returns:
            The first reason that there is, or "".
        """
        self._organs = organs
        names = ", ".join(organs.values())
        button, hint = self._ui.allOrgansButton, reason
        button.visible = any(name not in _ORGANS["bothButton"] for name in organs)
        many = _("Segment all {count} organs").format(count=len(organs))
        button.text = many if len(organs) > 3 else _("Segment {organs}").format(organs=names)
        for name, wanted in {**_ORGANS, "allOrgansButton": tuple(organs)}.items():
            missing = organs and [organ for organ in wanted if organ not in organs]
            known = _("The chosen model finds only: {organs}.").format(organs=names)
            why = reason or (known if missing else "")
            allow(getattr(self._ui, name), why, _whatFor(wanted, organs))
            hint = hint or why
        return hint


def _whatFor(wanted: Sequence[str], organs: Mapping[str, str]) -> str:
    """What a button does: which organs, and where they go."""
    titles = [organs.get(name) or LABELS[name].title for name in wanted if name in organs or name in LABELS]
    text = _("Find {organs} in the chosen volume, and show them as segments; what you drew by hand stays.")
    return text.format(organs=", ".join(titles))

"""The buttons that segment: which organs each finds, and why one cannot be pressed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slicer.i18n import tr as _

from Med3DCore.labels import LABELS
from Med3DSegmentationLib.engine.model_choices import ModelChoice
from Med3DSegmentationLib.panels.panel import allow
from Med3DSegmentationLib.panels.segment.organ_list import OrganList

USUAL = ("liver", "lungs")  # organs with a button of their own
_ORGANS = {"liverButton": USUAL[:1], "lungsButton": USUAL[1:], "bothButton": USUAL}
_FEW = 3  # organs that need no list
_LONGEST = 44  # characters of a button, which must not widen the panel


class OrganButtons:
    """A button for each of the usual organs, one for both, and one for the organs of a model that has others.

    While no model is chosen, the last one is for what another model than that of the usual organs finds unasked.

    Of a model with many, a list says which of them, in place of the usual buttons.

    Args:
        ui: Has the buttons, and what :class:`.OrganList` needs in ``organChoice``.
        settings: The application's QSettings.
        onPressed: Gets the names of the organs.
        onChanged: Called when other organs were ticked.
    """

    def __init__(
        self,
        ui: Any,
        settings: Any,
        onPressed: Callable[[Sequence[str]], None],
        onChanged: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._organs: dict[str, str] = {}
        self._isMany = False
        self._list = OrganList(ui, settings, onChanged)
        for name, organs in _ORGANS.items():
            getattr(ui, name).connect("clicked()", lambda organs=organs: onPressed(organs))
        ui.chosenOrgansButton.connect("clicked()", lambda: onPressed(tuple(self._chosen())))

    def allow(self, reason: str, model: ModelChoice | None, unasked: Mapping[str, str]) -> str:
        """Enable the buttons, or say why not, for all of them or for an organ that the model does not know.

        Args:
            reason: Why none can be pressed, or "".
            model: The chosen one; None while it is chosen automatically, or not known.
            unasked: Names and titles of what is found beside the usual organs while it is chosen automatically.

        Returns:
            The first reason that there is, or "".
        """
        organs = model.organs if model else {}
        self._organs = dict(organs or unasked)
        self._isMany = len(organs) > _FEW
        self._list.offer(model if self._isMany else None)
        self._ui.organChoice.visible = self._isMany
        known = _("The chosen model finds only: {organs}.").format(organs=", ".join(organs.values()))
        hint = reason
        for name, wanted in _ORGANS.items():
            button = getattr(self._ui, name)
            button.visible = not self._isMany
            why = reason or (known if organs and not organs.keys() >= set(wanted) else "")
            allow(button, why, _whatFor(wanted, organs))
            hint = hint or (why if button.visible else "")
        return self._allowChosen(reason) or hint

    def _allowChosen(self, reason: str) -> str:
        """The same for the last button."""
        button, organs, chosen = self._ui.chosenOrgansButton, self._organs, self._chosen()
        button.visible = any(name not in USUAL for name in organs)
        text = _("Segment {organs}").format(organs=", ".join(chosen.values()))
        if len(text) > _LONGEST:
            every = len(chosen) == len(organs)
            text = _("Segment all {all} organs") if every else _("Segment {count} of {all} organs")
            text = text.format(count=len(chosen), all=len(organs))
        why = reason or (_("Tick the organs to segment.") if organs and not chosen else "")
        button.text = text if chosen else _("Segment")
        allow(button, why, _whatFor(tuple(chosen), organs))
        return why

    def _chosen(self) -> dict[str, str]:
        """Names and titles of the organs that the last button finds."""
        if not self._isMany:
            return self._organs
        return {name: self._organs[name] for name in self._list.chosen()}


def _whatFor(wanted: Sequence[str], organs: Mapping[str, str]) -> str:
    """What a button does: which organs, and where they go."""
    titles = [organs.get(name) or LABELS[name].title for name in wanted if name in organs or name in LABELS]
    text = _("Find {organs} in the chosen volume, and show them as segments; what you drew by hand stays.")
    return text.format(organs=", ".join(titles))

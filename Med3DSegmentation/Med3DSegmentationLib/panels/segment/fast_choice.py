"""The faster way that imported models have on some processors: a check box, remembered by model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

from Med3DSegmentationLib.engine.model_choices import ModelChoice
from Med3DSegmentationLib.panels.panel import allow

_SETTING = "Med3DSegmentation/Fast/{model}"


class FastChoice:
    """Keeps the choice in the user's settings, as the ticks of organs: whoever finds a model good enough wants it so.

    Args:
        box: The check box.
        settings: The application's QSettings.
    """

    def __init__(self, box: Any, settings: Any) -> None:
        self._box, self._settings = box, settings
        self._model: ModelChoice | None = None
        self._withoutIt: set[str] = set()
        box.connect("toggled(bool)", self._remember)

    def onDevices(self, devices: Sequence[dict]) -> None:
        """Know which devices there are, as the engine's request ``devices`` lists them."""
        self._withoutIt = {device["name"] for device in devices if not device["fast_way"]}

    def offer(self, model: ModelChoice | None, device: str) -> None:
        """Show the box for a model that has such a way, ticked as it was last; or say why it is of no use here.

        Args:
            model: The chosen one; None while it is chosen automatically, or not known.
            device: Name of the chosen device.
        """
        self._model = model if model and model.isImported else None
        self._box.visible = self._model is not None
        if self._model is None:
            return
        blocked = self._box.blockSignals(True)
        self._box.checked = self._settings.value(self._key) == "1"
        self._box.blockSignals(blocked)
        nowhere = _(
            "There is no faster way on this device: a GPU computes in half precision anyway, and a processor needs "
            "AVX-512 BF16 or AMX for it."
        )
        gain = _(
            "Half precision on the processor. Measured: a third to two thirds of its time, by processor; hardly "
            "trained models lost up to 0.013 of their Dice, at borders."
        )
        allow(self._box, nowhere if device in self._withoutIt else "", gain)

    def isChosen(self) -> bool:
        """Whether to take it."""
        return self._model is not None and self._box.enabled and self._box.checked

    @property
    def _key(self) -> str:
        return _SETTING.format(model=self._model.reference)

    def _remember(self, isChosen: bool) -> None:
        if self._model is not None:
            self._settings.setValue(self._key, "1" if isChosen else "0")

"""The organs of a model with many, each with a tick and a colour, and a box to search them; remembered by model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

from Med3DSegmentationLib.engine.model_choices import ModelChoice
from Med3DSegmentationLib.panels.narrow import notHtml

_SETTING = "Med3DSegmentation/Organs/{model}"
_SWATCH = 12  # pixels


class OrganList:
    """Keeps the ticks in the user's settings, not in the scene: whoever wants liver and spleen wants them of all scans.

    Args:
        ui: Has ``organSearch``, ``organList``, ``allListedButton`` and ``noneListedButton``.
        settings: The application's QSettings.
        onChanged: Called when the user ticked something.
    """

    def __init__(self, ui: Any, settings: Any, onChanged: Callable[[], None]) -> None:
        self._view, self._search, self._settings, self._onChanged = ui.organList, ui.organSearch, settings, onChanged
        self._model: ModelChoice | None = None
        self._view.connect("itemChanged(QListWidgetItem*)", self._onItemChanged)
        self._search.connect("textChanged(QString)", self._filter)
        ui.allListedButton.connect("clicked()", lambda: self._tickListed(True))
        ui.noneListedButton.connect("clicked()", lambda: self._tickListed(False))

    def offer(self, model: ModelChoice | None) -> None:
        """List a model's organs, with the ticks that it had last; all of them, the first time."""
        if model is self._model:
            return
        self._model = model
        organs = model.organs if model else {}
        kept = self._settings.value(self._key) if model else None
        ticked = set(organs) if kept is None else set(str(kept).split(","))
        colours = model.colours if model else {}
        blocked = self._view.blockSignals(True)
        self._view.clear()
        for name, title in organs.items():
            item = qt.QListWidgetItem(title)
            item.setIcon(_swatch(colours[name]))
            item.setToolTip(notHtml(title if title == name else f"{title} ({name})"))
            item.setData(qt.Qt.UserRole, name)
            item.setCheckState(qt.Qt.Checked if name in ticked else qt.Qt.Unchecked)
            self._view.addItem(item)
        self._view.blockSignals(blocked)
        self._filter(self._search.text)

    def chosen(self) -> tuple[str, ...]:
        """Names of the ticked organs, also of those that the search hides."""
        return tuple(item.data(qt.Qt.UserRole) for item in self._items() if item.checkState() == qt.Qt.Checked)

    @property
    def _key(self) -> str:
        return _SETTING.format(model=self._model.reference)

    def _items(self) -> list[Any]:
        return [self._view.item(row) for row in range(self._view.count)]

    def _filter(self, text: str) -> None:
        """Show the organs whose title or name has all the words, such as "left rib"."""
        words = text.lower().split()
        for item in self._items():
            searched = f"{item.text()} {item.data(qt.Qt.UserRole)}".lower()
            item.setHidden(not all(word in searched for word in words))

    def _tickListed(self, ticked: bool) -> None:
        """Tick all organs that the search shows, or none of them."""
        blocked = self._view.blockSignals(True)
        for item in self._items():
            if not item.isHidden():
                item.setCheckState(qt.Qt.Checked if ticked else qt.Qt.Unchecked)
        self._view.blockSignals(blocked)
        self._onItemChanged(None)

    def _onItemChanged(self, changed: Any) -> None:  # noqa: ARG002 - the signal's argument
        self._settings.setValue(self._key, ",".join(self.chosen()))
        self._onChanged()


def _swatch(colour: tuple[int, int, int]) -> Any:
    pixmap = qt.QPixmap(_SWATCH, _SWATCH)
    pixmap.fill(qt.QColor(*colour))
    return qt.QIcon(pixmap)

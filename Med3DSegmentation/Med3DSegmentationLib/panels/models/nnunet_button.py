"""The button Import nnU-Net: from a folder or zip that the user has to models in the list."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError
from Med3DSegmentationLib.panels.narrow import notHtml

Outcome = dict[str, Any] | Med3DError


class NnunetButton:
    """A button with a menu: a results folder, with TotalSegmentator's among them, or an exported zip.

    Folders above one or several models will do; the user then chooses one, or all. The folds are found by the engine.

    Args:
        button: The QPushButton.
        find: Gets the fields of the request ``nnunet_models``, and who is called with its answer.
        add: Gets the fields of the request ``import_nnunet``, and who is called with its answer, or with the error if
            the model was refused or was not to take another one's place.
        onEnd: Gets these answers and errors, one for each model that was wanted.
    """

    def __init__(
        self,
        button: Any,
        find: Callable[[dict[str, Any], Callable[[dict[str, Any]], None]], None],
        add: Callable[[dict[str, Any], Callable[[Outcome], None]], None],
        onEnd: Callable[[Sequence[Outcome]], None],
    ) -> None:
        self._button, self._find, self._add, self._onEnd = button, find, add, onEnd
        menu = qt.QMenu(button)
        menu.addAction(_("Results folder...")).connect("triggered()", self._chooseFolder)
        menu.addAction(_("Exported zip...")).connect("triggered()", self._chooseZip)
        button.setMenu(menu)

    def _chooseFolder(self) -> None:
        title = _("Results folder of nnU-Net, or a folder above it")
        self._look(qt.QFileDialog.getExistingDirectory(self._button, title, usualFolder()))

    def _chooseZip(self) -> None:
        title, kinds = _("Zip of nnUNetv2_export_model_to_zip"), _("Zip files (*.zip);;All files (*)")
        self._look(qt.QFileDialog.getOpenFileName(self._button, title, "", kinds))

    def _look(self, path: str) -> None:
        if path:
            self._find({"path": path}, lambda told: self._choose(path, told["models"]))

    def _choose(self, path: str, folders: Sequence[str]) -> None:
        """Which of the models that were found, and under which licence."""
        chosen = list(folders)
        if len(folders) > 1:
            every = _("All {count} models").format(count=len(folders))
            title = _("Which model shall be imported?")
            answer = qt.QInputDialog.getItem(self._button, _("Import from nnU-Net"), title, [every, *folders], 0, False)
            if not answer:  # Cancel
                return
            chosen = chosen if answer == every else [answer]
        question = _("Licence of the weights in {file}, as their source states it:").format(file=Path(path).name)
        licence = qt.QInputDialog.getText(
            self._button, _("Import from nnU-Net"), notHtml(question), qt.QLineEdit.Normal, _("not stated")
        )
        if licence:  # empty: Cancel
            self._addNext([{"path": path, "folder": folder, "licence": licence} for folder in chosen], [])

    def _addNext(self, left: Sequence[dict[str, Any]], outcomes: Sequence[Outcome]) -> None:
        """One after the other; one that is refused stops no other."""
        if left:
            self._add(left[0], lambda outcome: self._addNext(left[1:], [*outcomes, outcome]))
        else:
            self._onEnd(outcomes)


def usualFolder() -> str:
    """Where trained models of nnU-Net, or else TotalSegmentator's weights, usually lie on this computer; or empty."""
    home = Path(os.environ.get("TOTALSEG_HOME_DIR") or Path.home() / ".totalsegmentator")
    told = [Path(os.environ[name]) for name in ("nnUNet_results", "TOTALSEG_WEIGHTS_PATH") if os.environ.get(name)]
    return next((str(folder) for folder in (*told, home / "nnunet" / "results") if folder.is_dir()), "")

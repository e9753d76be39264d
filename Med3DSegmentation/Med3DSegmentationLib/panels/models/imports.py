"""What the buttons Import do: packages, checkpoints of encoders, and models of nnU-Net become the user's models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer.util
from slicer.i18n import tr as _

from Med3DCore.errors import Cancelled, Med3DError
from Med3DCore.models.package_file import MODEL_EXISTS
from Med3DSegmentationLib.panels.models.nnunet_button import NnunetButton, Outcome
from Med3DSegmentationLib.panels.narrow import notHtml

_CHECKPOINTS = (".pth", ".pt", ".pth.tar")


class Imports:
    """See the module's docstring.

    Args:
        ui: Has ``importButton`` and ``nnunetButton``.
        ask: Lets the engine do a request: its kind and fields, what runs, and who gets the answer or the error.
        showError: Shows a sentence.
        onImported: Gets the file of the model that was imported, or "", and what to say.
    """

    def __init__(
        self,
        ui: Any,
        ask: Callable[..., None],
        showError: Callable[[Med3DError], None],
        onImported: Callable[[str, str], None],
    ) -> None:
        self._button, self._ask, self._showError, self._onImported = ui.importButton, ask, showError, onImported
        ui.importButton.connect("clicked()", self._import)
        self._nnunet = NnunetButton(ui.nnunetButton, self._findNnunet, self._addNnunet, self._onNnunetAdded)

    def _import(self) -> None:
        kinds = _("Models and checkpoints (*.zip *.pth *.pt *.tar);;All files (*)")
        file = qt.QFileDialog.getOpenFileName(self._button, _("Import a model"), "", kinds)
        if not file:
            return
        if not file.lower().endswith(_CHECKPOINTS):
            self._add("install_model", {"file": file}, self._onAdded)
            return
        question = _("Licence of the weights in {file}, as their source states it:").format(file=Path(file).name)
        licence = qt.QInputDialog.getText(
            self._button, _("Import a checkpoint"), notHtml(question), qt.QLineEdit.Normal, _("not stated")
        )
        if licence:  # empty: Cancel
            self._add("import_checkpoint", {"file": file, "licence": licence}, self._onAdded)

    def _onAdded(self, told: dict[str, Any]) -> None:
        self._onImported(told["path"], _("{model} was imported.").format(model=told["reference"]))

    def _findNnunet(self, fields: dict[str, Any], onFound: Callable[[dict[str, Any]], None]) -> None:
        self._ask("nnunet_models", fields, _("Models are being looked for."), onFound)

    def _addNnunet(self, fields: dict[str, Any], onEnd: Callable[[Outcome], None]) -> None:
        self._add("import_nnunet", fields, onEnd, onEnd)

    def _onNnunetAdded(self, outcomes: Sequence[Outcome]) -> None:
        told = [outcome for outcome in outcomes if not isinstance(outcome, Med3DError)]
        errors = [outcome for outcome in outcomes if isinstance(outcome, Med3DError)]
        if len(outcomes) > 1:
            text = _("{count} of {all} models were imported.").format(count=len(told), all=len(outcomes))
            self._onImported(told[0]["path"] if told else "", "\n".join([text, *map(str, errors)]))
        elif told:
            text = _("{model} was imported. It finds {count} labels and needs: {channels}.")
            values = {"count": len(told[0]["labels"]), "channels": ", ".join(told[0]["channels"])}
            self._onImported(told[0]["path"], text.format(model=told[0]["reference"], **values))
        elif errors[0].code != MODEL_EXISTS:
            self._showError(errors[0])

    def _add(
        self,
        kind: str,
        fields: dict[str, Any],
        onAdded: Callable[[dict[str, Any]], None],
        onRefused: Callable[[Med3DError], None] | None = None,
    ) -> None:
        """Import a file; ask before it takes the place of another one.

        Args:
            kind: Of the request.
            fields: Of the request.
            onAdded: Gets the answer.
            onRefused: Gets the error, also if the user did not want to replace another one; not after Cancel.
        """

        def onError(error: Med3DError) -> None:
            if error.code == MODEL_EXISTS and self._mayReplace():
                self._add(kind, {**fields, "overwrite": True}, onAdded, onRefused)
            elif isinstance(error, Cancelled):
                self._onImported("", "")  # of several that were wanted, some may be there by now
                self._showError(error)
            elif onRefused is not None:
                onRefused(error)
            elif error.code != MODEL_EXISTS:
                self._showError(error)

        self._ask(kind, fields, _("A model is being imported."), onAdded, onError)

    def _mayReplace(self) -> bool:
        question = _("There is another model of this name and version. Put the new one in its place?")
        return slicer.util.confirmYesNoDisplay(question, parent=self._button)

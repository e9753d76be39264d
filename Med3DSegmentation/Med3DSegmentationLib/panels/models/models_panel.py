"""The tab Models: which there are, what they are, and how they come and go. Works without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer.util
from slicer.i18n import tr as _

from Med3DCore.errors import Cancelled, Med3DError, OutputError
from Med3DCore.models.archive import SUFFIX
from Med3DSegmentationLib.engine.model_choices import ModelChoice
from Med3DSegmentationLib.panels.models.imports import Imports
from Med3DSegmentationLib.panels.models.model_card import cardHtml, originText, safeMarkdown, sizeText
from Med3DSegmentationLib.panels.narrow import notHtml
from Med3DSegmentationLib.panels.panel import Panel, allow
from Med3DSegmentationLib.panels.progress_row import ProgressRow
from Med3DSegmentationLib.panels.services import PanelServices


class ModelsPanel(Panel):
    """The list of models, the card of the chosen one, and check, import, export and remove.

    Args:
        services: Its collaborators.
    """

    UI = "ModelsPanel"

    def __init__(self, services: PanelServices) -> None:
        super().__init__(services)
        self._path = ""  # of the chosen model: names may be there twice, files not
        self._requestId: int | None = None
        self._cardIsOwed = False  # to the user, when nothing else runs any more
        ui = self.ui
        self._progress = ProgressRow(ui, lambda: services.engine.cancel(self._requestId))
        self._refreshTip = ui.refreshButton.toolTip
        header = ui.modelsTable.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        ui.modelsTable.connect("itemSelectionChanged()", self._onSelected)
        self._imports = Imports(ui, self._ask, services.showError, self._onImported)
        ui.installButton.connect("clicked()", self.install)
        ui.exportButton.connect("clicked()", self._export)
        ui.checkButton.connect("clicked()", self._check)
        ui.removeButton.connect("clicked()", self._remove)
        ui.folderButton.connect("clicked()", self._openFolder)
        ui.refreshButton.connect("clicked()", services.catalogue.refresh)
        self.onModelsChanged()

    def onModelsChanged(self) -> None:
        """List them anew; the chosen one stays chosen if it is still there."""
        table, models = self.ui.modelsTable, self.services.catalogue.models or ()
        table.blockSignals(True)
        table.setRowCount(len(models))
        for row, model in enumerate(models):
            version = model.values["model"]["version"] if model.values["model"] else ""
            texts = (f"{model.title} {version}".strip(), originText(model), sizeText(model))
            for column, text in enumerate(texts):
                table.setItem(row, column, qt.QTableWidgetItem(text))
                table.item(row, column).setToolTip(notHtml(text))
            table.item(row, 0).setToolTip(notHtml(f"{texts[0]} ({model.reference})"))
        table.blockSignals(False)
        self._choose(self._path)
        self.refresh()

    def refresh(self) -> None:
        """Enable what can be done, and say why the rest cannot."""
        ui, reasons = self.ui, self._reasons()
        for button, (reason, toolTip) in reasons.items():
            allow(button, reason, toolTip)
        hints = dict.fromkeys(reason for reason, _toolTip in reasons.values() if reason)
        ui.hintLabel.text = "\n".join(hints) if self._requestId is None else ""
        ui.hintLabel.visible = bool(ui.hintLabel.text)
        ui.installButton.visible = not self.services.installer.isReady()
        folder = self.services.catalogue.folder
        ui.folderLabel.text = _("Your own models are kept in {folder}").format(folder=folder) if folder else ""
        unknown = "" if folder else _("Where they are kept is not known before the models are listed.")
        allow(ui.folderButton, unknown, _("Open the folder in the file browser of this computer"))
        allow(ui.refreshButton, self.services.activity.reason, self._refreshTip)
        if self._cardIsOwed and self._model is not None and not self.services.activity.isRunning:
            self._askForCard(self._model)

    def close(self) -> None:
        """Stop what runs."""
        if self._requestId is not None:
            self.services.engine.cancel(self._requestId)
        super().close()

    # -- list and card -------------------------------------------------------------------------------------------------

    @property
    def _model(self) -> ModelChoice | None:
        """The chosen model."""
        models = self.services.catalogue.models or ()
        return next((model for model in models if model.values["path"] == self._path), None)

    def _choose(self, path: str) -> None:
        models = self.services.catalogue.models or ()
        rows = [row for row, model in enumerate(models) if model.values["path"] == path]
        if models:
            self.ui.modelsTable.selectRow(rows[0] if rows else 0)
        self._onSelected()

    def _onSelected(self) -> None:
        rows = self.ui.modelsTable.selectionModel().selectedRows()
        models = self.services.catalogue.models or ()
        model = models[rows[0].row()] if rows and rows[0].row() < len(models) else None
        self._path = model.values["path"] if model else self._path
        self._cardIsOwed = model is not None and model.problem is None
        self._showCard(model, None)
        self.refresh()

    def _askForCard(self, model: ModelChoice) -> None:
        self._cardIsOwed = False
        self._showCard(model, None)
        fields = {"model": self._path}
        self.services.engine.request("model_card", fields, lambda told: self._onCard(model, told), self._onCardError)

    def _onCard(self, model: ModelChoice, told: dict[str, Any]) -> None:
        if model is self._model:  # else another one was chosen meanwhile
            self._showCard(model, told)

    def _onCardError(self, error: Med3DError) -> None:
        if not isinstance(error, Cancelled):
            self.services.showError(error)

    def _showCard(self, model: ModelChoice | None, told: dict[str, Any] | None) -> None:
        waitsFor = self.services.activity.reason if self._cardIsOwed else ""
        self.ui.cardView.setHtml(cardHtml(model, told and told["model"], waitsFor) if model else "")
        card = told["card"] if told else ""
        self.ui.wholeCardView.setMarkdown(safeMarkdown(card))
        self.ui.wholeCardSection.visible = bool(card)

    def _reasons(self) -> dict[Any, tuple[str, str]]:
        """Of each button why it cannot be pressed, or nothing, and what it does."""
        ui, model, activity = self.ui, self._model, self.services.activity
        installer = self.services.installer
        torch = "" if installer.isReady() else installer.reason()
        chosen = "" if model else self._whyNone()
        broken = _("This file is broken; it can only be removed.") if model and model.problem else ""
        shipped = model is not None and model.values["shipped"]
        kept = _("This model came with Med3D and cannot be removed.") if shipped else ""
        return {
            ui.importButton: (
                activity.reason or torch,
                _("Add a model package or a MedicalNet checkpoint from a file"),
            ),
            ui.nnunetButton: (
                activity.reason or torch,
                _("Make models of what nnU-Net trained, such as TotalSegmentator's weights; nothing in them is run"),
            ),
            ui.exportButton: (
                activity.reason or chosen or broken,
                _("Copy the model to a file, to give it to somebody"),
            ),
            ui.checkButton: (activity.reason or torch or chosen, _("Check that the file is whole and unchanged")),
            ui.removeButton: (activity.reason or chosen or kept, _("Delete the model from this computer")),
        }

    def _whyNone(self) -> str:
        catalogue = self.services.catalogue
        if catalogue.models is None:
            return str(catalogue.error or _("The models are being looked for..."))
        return _("Choose a model in the list.") if catalogue.models else _("There is no model; import one.")

    # -- actions -------------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        self._ask("verify_model", {"model": self._path}, _("A model is being checked."), self._onChecked)

    def _onChecked(self, told: dict[str, Any]) -> None:
        text = _("{model} is sound: every part is as it was made, and the weights fit their networks.")
        self._say(text.format(model=told["reference"]))

    def _onImported(self, path: str, text: str) -> None:
        """Say what was imported, and choose it in the list."""
        self._path = path or self._path
        self._say(text)
        self.services.catalogue.refresh()

    def _export(self) -> None:
        kinds = _("Model packages (*{suffix})").format(suffix=SUFFIX)
        file = qt.QFileDialog.getSaveFileName(
            self.widget, _("Export the model"), str(Path.home() / f"{self._model.reference}{SUFFIX}"), kinds
        )
        if not file:
            return
        target = file if file.endswith(SUFFIX) else file.removesuffix(".zip").removesuffix(".med3d") + SUFFIX
        # The dialogue asked about the name that it knew, and no other.
        fields = {"model": self._path, "path": target, "overwrite": target == file}
        self._ask("export_model", fields, _("A model is being copied."), self._onExported)

    def _onExported(self, told: dict[str, Any]) -> None:
        self._say(_("The model was copied to {file}.").format(file=told["path"]))

    def _remove(self) -> None:
        question = _("Delete the model {model} from this computer?\n\n{file}")
        question = question.format(model=self._model.title, file=self._path)
        if slicer.util.confirmYesNoDisplay(notHtml(question), parent=self.widget):
            fields = {"model": Path(self._path).name}
            self._ask("remove_model", fields, _("A model is being removed."), self._onRemoved)

    def _onRemoved(self, told: dict[str, Any]) -> None:
        self._say(_("{file} was deleted.").format(file=Path(told["path"]).name))
        self.services.catalogue.refresh()

    def _openFolder(self) -> None:
        folder = Path(self.services.catalogue.folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            sentence = _("The folder {folder} cannot be made: {reason}.")
            self.services.showError(OutputError(sentence.format(folder=folder, reason=error.strerror)))
            return
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))

    def _ask(
        self,
        kind: str,
        fields: dict[str, Any],
        reason: str,
        onResult: Callable[[dict[str, Any]], None],
        onError: Callable[[Med3DError], None] | None = None,
    ) -> None:
        """Let the engine do it, one thing at a time, with progress and Cancel."""

        def answered(callback: Callable[[Any], None]) -> Callable[[Any], None]:
            def end(answer: Any) -> None:
                self._requestId = None
                self._progress.end()
                self.services.activity.end()
                callback(answer)

            return end

        self._say("")
        self._progress.begin()
        self._requestId = self.services.engine.request(
            kind, fields, answered(onResult), answered(onError or self.services.showError), self._progress.advance
        )
        self.services.activity.begin(reason)

    def _say(self, text: str) -> None:
        self.ui.statusLabel.text = text
        self.ui.statusLabel.visible = bool(text)

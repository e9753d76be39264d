"""The button that saves the shown result into Slicer's DICOM database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError
from Med3DSegmentationLib.engine.jobs import Job
from Med3DSegmentationLib.engine.save_dicom_step import AlreadySaved
from Med3DSegmentationLib.panels.panel import allow
from Med3DSegmentationLib.panels.progress_row import ProgressRow
from Med3DSegmentationLib.panels.services import PanelServices
from Med3DSegmentationLib.scene.dicom_database import whyNotToDatabase
from Med3DSegmentationLib.scene.own_segments import sourceVolume


class DicomButton:
    """One click, and the segmentation is a DICOM SEG beside its scan.

    Args:
        services: The panel's.
        button: The button.
        progress: Shown while it saves.
        onSaved: Gets the volume and a sentence for the user.
    """

    def __init__(
        self, services: PanelServices, button: Any, progress: ProgressRow, onSaved: Callable[[Any, str], None]
    ) -> None:
        self._services, self._button, self._progress, self._onSaved = services, button, progress, onSaved
        self._segmentation: slicer.vtkMRMLSegmentationNode | None = None
        self._job: Job | None = None
        button.connect("clicked()", self._save)

    @property
    def isRunning(self) -> bool:
        """Whether it saves."""
        return self._job is not None

    def refresh(self, segmentation: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Follow another segmentation, or the same once more."""
        self._segmentation = segmentation
        toolTip = _("Save all segments as DICOM SEG into Slicer's DICOM database, in the study of the scan")
        allow(self._button, self._services.activity.reason or whyNotToDatabase(segmentation), toolTip)

    def cancel(self) -> None:
        """Stop; nothing is saved then."""
        if self._job is not None:
            self._job.cancel()

    def _save(self) -> None:
        segmentation = self._segmentation
        volume = sourceVolume(segmentation)

        def onFinished(_seriesUid: str) -> None:
            self._onSaved(volume, _("Saved as DICOM SEG in Slicer's DICOM database, in the study of the scan."))
            self._end()

        def onError(error: Med3DError) -> None:
            if not isinstance(error, AlreadySaved):
                self._onError(error)
                return
            self._onSaved(volume, str(error))
            self._end()

        self._progress.begin()
        self._services.activity.begin(_("A result is being saved."))
        callbacks = {"onProgress": self._progress.advance, "onFinished": onFinished, "onError": onError}
        try:
            job = self._services.logic.saveToDicom(segmentation, **callbacks)
        except Med3DError as error:
            self._onError(error)
            return
        self._job = job if job.isRunning else None
        self._services.activity.tell()

    def _onError(self, error: Med3DError) -> None:
        self._end()
        self._services.showError(error)

    def _end(self) -> None:
        self._job = None
        self._services.activity.end()

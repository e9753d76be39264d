"""Slicer's DICOM database: the files of a scan, and results beside it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from Med3DCore.errors import OutputError
from Med3DCore.worker.exchange import new_exchange_folder
from Med3DSegmentationLib.scene.dicom_series import instancesOf
from Med3DSegmentationLib.scene.own_segments import sourceVolume
from Med3DSegmentationLib.scene.pieces import Pieces

_WRITER = "highdicom"
_NUMBER, _MODALITY, _MANUFACTURER = "0020,0011", "0008,0060", "0008,0070"
_FIRST_NUMBER, _LARGEST_NUMBER = 300, 100_000  # what is larger nobody counted
_SLICERS_PLUGIN = "DICOMSegmentationPlugin"


def whyNotToDatabase(segmentationNode: slicer.vtkMRMLSegmentationNode | None) -> str:
    """Why a segmentation cannot be saved as DICOM beside its scan now, or ""; quick: one slice is looked for."""
    volume = segmentationNode and sourceVolume(segmentationNode)
    if volume is None or not segmentationNode.GetSegmentation().GetNumberOfSegments():
        return _("There is no result.")
    instances = instancesOf(volume)
    if not instances:
        sentence = _(
            "{volume} was not loaded from DICOM, so nobody knows which patient and study a result would belong to;"
            " save the segmentation with File, Save Data."
        )
        return sentence.format(volume=volume.GetName())
    database = _database()
    if database is None:
        return _("Slicer's DICOM database is not open; open the module DICOM once.")
    if not database.fileForInstance(instances[0]):
        return _slicesGone(volume)
    if not canWrite() and slicersPlugin() is None:
        return _("DICOM segmentations need the Python package highdicom, which Slicer 5.12 brings; update Slicer.")
    return ""


def requireDatabase(segmentationNode: slicer.vtkMRMLSegmentationNode) -> None:
    """Nothing, if a segmentation can be saved as DICOM.

    Raises:
        OutputError: See :func:`whyNotToDatabase`.
    """
    reason = whyNotToDatabase(segmentationNode)
    if reason:
        raise OutputError(reason)


def canWrite() -> bool:
    """Whether Med3D can write DICOM segmentations here."""
    return importlib.util.find_spec(_WRITER) is not None


def slicersPlugin() -> Any | None:
    """Slicer's own class that loads and exports DICOM segmentations, or None: it has one since 5.12."""
    return getattr(slicer.modules, "dicomPlugins", {}).get(_SLICERS_PLUGIN)


def filesOf(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> list[str]:
    """The files of a volume's slices.

    Raises:
        OutputError: One is not there any more.
    """
    database = _database()
    files = [database.fileForInstance(uid) for uid in instancesOf(volumeNode)] if database else []
    if not files or not all(file and Path(file).is_file() for file in files):
        raise OutputError(_slicesGone(volumeNode))
    return list(dict.fromkeys(files))  # a file may hold all slices


def nextResult(files: list[str]) -> tuple[int, int]:
    """The number for the series of another SEG in a scan's study, after those that it has; and which of ours it is.

    Args:
        files: The slices of the scan.
    """
    database = _database()
    study = database.studyForSeries(database.seriesForFile(files[0]))
    taken, ours = [_FIRST_NUMBER - 1], 0
    for series in database.seriesForStudy(study):
        instance = next(iter(database.instancesForSeries(series, 1)), "")
        number, kind, maker = (database.instanceValue(instance, tag) for tag in (_NUMBER, _MODALITY, _MANUFACTURER))
        taken += [int(number)] if number.strip().isdecimal() else []
        ours += kind == "SEG" and maker == "Med3D"
    return max(number for number in taken if number < _LARGEST_NUMBER) + 1, ours + 1


def hasSeries(uid: str) -> bool:
    """Whether the database has a series."""
    database = _database()
    return database is not None and bool(database.instancesForSeries(uid, 1))


def knownFilesInPieces(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> Pieces[list[str]]:
    """The files of a volume's slices, one each; empty if it is not from DICOM, or one is not known. Yields often."""
    database, files = _database(), []
    for uid in instancesOf(volumeNode) if database else ():
        files.append(database.fileForInstance(uid))
        yield
    return files if all(files) else []


def addToDatabase(path: str, instance: str) -> None:
    """Copy a DICOM file into the database.

    Args:
        path: The file.
        instance: Its SOP instance UID.

    Raises:
        OutputError: The database does not have it after that.
    """
    database = _database()
    if database is not None:
        database.insert(path)
    if database is None or not database.fileForInstance(instance):
        sentence = _(
            "Slicer's DICOM database did not take the segmentation; see in the module DICOM if its disk is full."
        )
        raise OutputError(sentence)


def exportBySlicer(segmentationNode: slicer.vtkMRMLSegmentationNode) -> str:
    """Let Slicer's own exporter save a segmentation into the database. The window waits for it.

    Args:
        segmentationNode: The segmentation, of a volume from DICOM.

    Returns:
        UID of the new series.

    Raises:
        OutputError: See :func:`whyNotToDatabase`; or what the exporter says.
    """
    requireDatabase(segmentationNode)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(segmentationNode.GetScene())
    item = hierarchy.GetItemByDataNode(segmentationNode) or hierarchy.CreateItem(
        hierarchy.GetSceneItemID(), segmentationNode
    )
    volume, database, plugin = sourceVolume(segmentationNode), _database(), slicersPlugin()()
    study = database.studyForSeries(database.seriesForFile(filesOf(volume)[0]))
    before = set(database.seriesForStudy(study))
    exportables = plugin.examineForExport(item)
    with new_exchange_folder() as folder:
        for exportable in exportables:
            exportable.directory = folder
        said = plugin.export(exportables)
    made = [series for series in database.seriesForStudy(study) if series not in before]
    if said or not made:
        told = said or _("it did not say why")
        raise OutputError(_("Slicer could not export the segmentation: {reason}").format(reason=told))
    return made[0]


def _database() -> Any | None:
    """The database, which the module DICOM opens when Slicer starts; None without it."""
    database = getattr(slicer, "dicomDatabase", None)
    return database if database is not None and database.isOpen else None


def _slicesGone(volumeNode: slicer.vtkMRMLScalarVolumeNode) -> str:
    sentence = _("The slices of {volume} are not in Slicer's DICOM database any more; import them in the module DICOM.")
    return sentence.format(volume=volumeNode.GetName())

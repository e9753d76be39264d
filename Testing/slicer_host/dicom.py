"""Stand-in for Slicer's DICOM database, ``slicer.dicomDatabase``: what ctkDICOMDatabase lets Python ask, over pydicom.

Names, arguments and answers are those of CTK's class as Slicer 5.13 has it: what is not known is an empty text or list,
never an error. A file that is inserted is copied into the database's folder unless ``storeFile`` is False.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pydicom
import slicer
from slicer_host.application import Signals


class DicomDatabase(Signals):
    """An open database.

    Args:
        folder: Where files are copied to.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            "patientAdded(int,QString,QString,QString)",
            "studyAdded(QString)",
            "seriesAdded(QString)",
            "instanceAdded(QString)",
            "databaseChanged()",
        )
        self._folder, self._isOpen = folder, True
        self._files: dict[str, Path] = {}  # instance UID -> file
        self._headers: dict[str, pydicom.Dataset] = {}

    @property
    def isOpen(self) -> bool:
        """Whether it is open."""
        return self._isOpen

    @property
    def databaseDirectory(self) -> str:
        """Its folder."""
        return str(self._folder)

    def closeDatabase(self) -> None:
        """Close it."""
        self._isOpen = False

    def insert(
        self,
        filePath: str,
        storeFile: bool = True,
        generateThumbnail: bool = True,
        createHierarchy: bool = True,
        destinationDirectoryName: str = "",
    ) -> None:
        """Add a file; one that is no DICOM is logged and passed over, as in CTK."""
        if not isinstance(filePath, str):
            raise TypeError("PythonQt finds no insert() for a path that is no str.")
        try:
            header = pydicom.dcmread(filePath, stop_before_pixels=True)
        except (pydicom.errors.InvalidDicomError, OSError):
            return
        uid, known = str(header.SOPInstanceUID), set(self._all("SeriesInstanceUID"))
        path = Path(filePath)
        if storeFile:
            path = self._folder / "dicom" / header.StudyInstanceUID / header.SeriesInstanceUID / uid
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(filePath, path)
        self._files[uid], self._headers[uid] = path, header
        if header.SeriesInstanceUID not in known:
            self.emit("seriesAdded(QString)", str(header.SeriesInstanceUID))
        self.emit("instanceAdded(QString)", uid)
        self.emit("databaseChanged()")

    def patients(self) -> list[str]:
        """Patients, by what CTK numbers and here is the patient's ID."""
        return self._all("PatientID")

    def studiesForPatient(self, patientUID: str) -> list[str]:
        """UIDs of a patient's studies."""
        return self._all("StudyInstanceUID", PatientID=patientUID)

    def seriesForStudy(self, studyUID: str) -> list[str]:
        """UIDs of a study's series."""
        return self._all("SeriesInstanceUID", StudyInstanceUID=studyUID)

    def instancesForSeries(self, seriesUID: str, hits: int = -1) -> list[str]:
        """UIDs of a series' instances."""
        found = self._all("SOPInstanceUID", SeriesInstanceUID=seriesUID)
        return found if hits < 0 else found[:hits]

    def filesForSeries(self, seriesUID: str, hits: int = -1) -> list[str]:
        """A series' files."""
        return [self.fileForInstance(uid) for uid in self.instancesForSeries(seriesUID, hits)]

    def studyForSeries(self, seriesUID: str) -> str:
        """UID of a series' study."""
        return next(iter(self._all("StudyInstanceUID", SeriesInstanceUID=seriesUID)), "")

    def fileForInstance(self, sopInstanceUID: str) -> str:
        """An instance's file."""
        return str(self._files.get(sopInstanceUID, ""))

    def instanceForFile(self, fileName: str) -> str:
        """The instance of a file."""
        return next((uid for uid, path in self._files.items() if path == Path(fileName)), "")

    def seriesForFile(self, fileName: str) -> str:
        """UID of the series of a file."""
        return self.fileValue(fileName, "0020,000E")

    def instanceValue(self, sopInstanceUID: str, tag: str) -> str:
        """An element as text, by a tag such as ``"0020,000E"``."""
        header, number = self._headers.get(sopInstanceUID), int(tag.replace(",", ""), 16)
        value = header[number].value if header is not None and number in header else ""
        return "\\".join(map(str, value)) if isinstance(value, pydicom.multival.MultiValue) else str(value or "")

    def fileValue(self, fileName: str, tag: str) -> str:
        """The same of a file."""
        return self.instanceValue(self.instanceForFile(fileName), tag)

    def _all(self, wanted: str, **of: str) -> list[str]:
        """Different values of an element among the instances of something, in the order they came."""
        headers = (one for one in self._headers.values() if all(str(one.get(key)) == of[key] for key in of))
        return list(dict.fromkeys(str(header.get(wanted)) for header in headers))


def open_database(folder: Path) -> DicomDatabase:
    """What the module DICOM does when Slicer starts; the host takes it away when it closes."""
    slicer.dicomDatabase = DicomDatabase(folder)
    return slicer.dicomDatabase

"""LIDC-IDRI's nodules: what up to four readers outlined and rated, from the XML files beside the DICOM series.

``LIDC-IDRI/LIDC-IDRI-0001/STUDY/SERIES/*.dcm`` and ``069.xml``, as The Cancer Imaging Archive gives them away. Outlines
of readers that lie on each other are one nodule; nodules below 3 mm have no ratings and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from Med3DCore.benchmarks.patterns import find_files
from Med3DCore.benchmarks.task import BenchmarkTask
from Med3DCore.errors import DataError
from Med3DCore.geometry import Geometry, triple
from Med3DCore.io import find_scan
from Med3DCore.progress import Progress
from Med3DCore.training.classification.malignancy import RULES
from Med3DCore.training.classification.nodules import Nodule

_NAMESPACE = "{http://www.nih.gov}"
_PATIENT = re.compile(r"LIDC-IDRI-\d+")


@dataclass(frozen=True)
class _Reading:
    """What one reader outlined.

    Args:
        reader: Number of the reader.
        centre: LPS mm.
        radius: Half its largest extent in a slice, mm.
        malignancy: 1 to 5.
    """

    reader: int
    centre: np.ndarray
    radius: float
    malignancy: int


def read_lidc(task: BenchmarkTask, folder: Path, progress: Progress | None = None) -> list[Nodule]:
    """The nodules whose nature follows from the ratings, by the rule that the task's ``data`` names.

    Raises:
        DataError: There is no reading, or one is damaged.
        VolumeError: A series cannot be read.
    """
    progress, rule = progress or Progress(), task.data["rule"]
    nodules: list[Nodule] = []
    undecided = 0
    files = find_files(folder, "{patient}/{study}/{series}/{reading}.xml", progress)
    for path, fields in files:
        root = _parsed(path)
        if not root.tag.endswith("LidcReadMessage"):
            continue
        progress.check()
        patient = _PATIENT.search(path.as_posix())
        who = patient[0] if patient else fields["patient"]
        groups = _grouped(list(_readings(root, find_scan(path.parent).geometry, path)))
        for number, group in enumerate(groups, start=1):
            malignant = RULES[rule]([each.malignancy for each in group])
            if malignant is None:
                undecided += 1
                continue
            centre = np.mean([each.centre for each in group], axis=0)
            nodules.append(
                Nodule(
                    name=f"{who} {fields['series'][-8:]} nodule {number}",
                    image=path.parent,
                    label=None,
                    values={},
                    annotated=(),
                    patient=who,
                    source={"data": task.source["data"], "licence": task.source["licence"]},
                    centre=triple(float(value) for value in centre),
                    malignant=malignant,
                    diameter_mm=2 * float(np.mean([each.radius for each in group])),
                )
            )
    if undecided:
        progress.warn(f"{undecided} nodules are neither benign nor malignant (rule {rule}); they are left out.")
    if not nodules:
        raise DataError(f"No XML file in {folder} is a reading of LIDC-IDRI with a rated nodule.")
    return nodules


def _parsed(path: Path) -> ElementTree.Element:
    """The XML of a file; one that defines entities, by which a few bytes become gigabytes, is refused."""
    try:
        text = path.read_bytes()
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise DataError(f"{path} has a document type of its own, which no reading of LIDC-IDRI has.")
        return ElementTree.fromstring(text)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    except ElementTree.ParseError as error:
        raise DataError(f"{path} is no whole XML file: {error}.") from None


def _readings(root: ElementTree.Element, grid: Geometry, path: Path) -> Iterator[_Reading]:
    for reader, session in enumerate(_all(root, "readingSession")):
        for nodule in _all(session, "unblindedReadNodule"):
            rated = nodule.find(f"{_NAMESPACE}characteristics/{_NAMESPACE}malignancy")
            if rated is None:
                continue
            try:
                yield _reading(nodule, reader, int(rated.text or ""), grid)
            except (TypeError, ValueError):
                raise DataError(f"{path}: an outline or rating of a nodule is no number.") from None


def _reading(nodule: ElementTree.Element, reader: int, malignancy: int, grid: Geometry) -> _Reading:
    """Centre and size of an outline.

    Raises:
        ValueError, TypeError: A number is missing, or there is no outline.
    """
    places, extents = [], [0.0]
    for roi in _all(nodule, "roi"):
        if (roi.findtext(f"{_NAMESPACE}inclusion") or "TRUE").strip().upper() == "FALSE":
            continue
        z = float(roi.findtext(f"{_NAMESPACE}imageZposition") or "")
        index = (z - grid.origin[2]) / grid.index_to_physical[2, 2]
        edge = np.array(
            [
                [float(place.findtext(f"{_NAMESPACE}{axis}") or "") for axis in ("xCoord", "yCoord")]
                for place in _all(roi, "edgeMap")
            ]
        )
        if len(edge):
            places.append([*edge.mean(axis=0), index])
            extents.append(float((np.ptp(edge, axis=0) * grid.spacing[:2]).max()))
    if not places:
        raise ValueError("no outline")
    matrix = grid.index_to_physical
    centre = matrix[:3, :3] @ np.mean(places, axis=0) + matrix[:3, 3]
    return _Reading(reader, centre, max(extents) / 2, malignancy)


def _all(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return element.findall(f"{_NAMESPACE}{name}")


def _grouped(readings: list[_Reading]) -> list[list[_Reading]]:
    """Outlines of one nodule: each reader's at most once, their centres within the larger one's radius."""
    groups: list[list[_Reading]] = []
    for each in readings:
        near = [
            (float(np.linalg.norm(each.centre - other.centre)), group)
            for group in groups
            for other in group
            if np.linalg.norm(each.centre - other.centre) <= max(each.radius, other.radius)
        ]
        free = [(apart, group) for apart, group in near if each.reader not in {other.reader for other in group}]
        if free:
            min(free, key=lambda pair: pair[0])[1].append(each)
        else:
            groups.append([each])
    return groups

"""Nodules of the lungs as LUNA16 and LIDC-IDRI give them away: a scan around each, in the public sets' files.

Scans are cubes of 72 mm, so that a patient is made in a second or two.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from scipy import ndimage

from Med3DCore.geometry import Geometry, Triple
from Med3DCore.phantom.make import make_phantom
from Med3DCore.phantom.nodule_data_set import outlined, place_nodules
from Med3DCore.phantom.nodules import PhantomNodule
from Med3DCore.phantom.settings import KERNELS, SIZES, PhantomSettings
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap, Volume

_SIDE = 72.0  # mm
_UID = "1.3.6.1.4.1.14519.5.2.1.6279.6001"  # the root of LIDC's identifiers
_CANDIDATES = 12  # that are no nodules, in a scan
_FAR_MM = 14.0  # from a nodule, so that such a candidate does not show it
_VESSEL_HU = -650.0
_MISSED = 0.1  # chance that a reader does not see a nodule
_IMPRESSIONS = {False: (1, 2, 2, 3), True: (4, 5)}  # a nodule's, by its look
_DOUBTS = 0.2  # chance that a reader is one off
_NAMESPACE = "http://www.nih.gov"


@dataclass(frozen=True)
class _Scan:
    """A cube of a patient around a nodule.

    Args:
        ct: The scan.
        nodule: In its middle.
        outlines: Bodies of all nodules in it.
    """

    ct: Volume
    nodule: PhantomNodule
    outlines: LabelMap


def write_luna16(folder: Path, patients: int, seed: int, progress: Progress) -> None:
    """``subset0/UID.mhd`` to ``subset9``, ``annotations.csv``, ``candidates_V2.csv``: a dozen candidates a nodule."""
    annotations: list[list[object]] = []
    candidates: list[list[object]] = []
    for number in range(patients):
        progress.update(number / patients)
        rng = np.random.default_rng([seed, number, 59])
        scan = _scan(1000 * seed + number, (1.25, 1.25, 1.5), rng)
        uid = f"{_UID}.{seed}.{number + 1}"
        place = folder / f"subset{number % 10}"
        place.mkdir(parents=True, exist_ok=True)
        _write_metaimage(scan.ct, place / f"{uid}.mhd")
        centre = np.array(scan.nodule.centre)
        annotations.append([uid, *_rounded(centre), round(scan.nodule.diameter_mm, 3)])
        hit = centre + rng.uniform(-0.2, 0.2, 3) * scan.nodule.diameter_mm
        candidates += [[uid, *_rounded(spot), 0] for spot in _vessels(scan, rng)]
        candidates.append([uid, *_rounded(hit), 1])
    place_columns = ["seriesuid", "coordX", "coordY", "coordZ"]
    _write_table(folder / "annotations.csv", [*place_columns, "diameter_mm"], annotations)
    _write_table(folder / "candidates_V2.csv", [*place_columns, "class"], candidates)


def write_lidc(folder: Path, patients: int, seed: int, progress: Progress) -> None:
    """``LIDC-IDRI-0001/STUDY/SERIES/1-001.dcm`` and ``069.xml``: what up to four readers saw and outlined."""
    from Med3DCore.io.write_series import write_series

    for number in range(patients):
        progress.update(number / patients)
        rng = np.random.default_rng([seed, number, 61])
        scan = _scan(1000 * seed + 300 + number, (1.0, 1.0, 1.5), rng)
        study, series = (f"{_UID}.{seed}.{number + 1}.{part}" for part in (1, 2))
        place = folder / "LIDC-IDRI" / f"LIDC-IDRI-{number + 1:04}" / study / series
        slices = write_series(scan.ct, place, f"LIDC-IDRI-{number + 1:04}", study, series)
        _write_readings(place / f"{number + 1:03}.xml", scan, study, series, slices, rng)


def _scan(patient: int, spacing: Triple, rng: np.random.Generator) -> _Scan:
    """A patient with a nodule, or another one where there is no room for any."""
    while True:
        whole = PhantomSettings(size=str(rng.choice(list(SIZES))), contrast="native")
        nodules = place_nodules(patient, whole, rng)
        if nodules:
            break
        patient += 100_000
    nodule = nodules[0]
    x, y, z = np.array(nodule.centre) + rng.uniform(-6, 6, 3)
    half = _SIDE / 2
    settings = PhantomSettings(
        spacing=spacing,
        region=(z - half, z + half),
        in_plane=(x - half, x + half, y - half, y + half),
        contrast=whole.contrast,
        labels=("lungs",),
        size=whole.size,
        noise_hu=float(rng.uniform(8, 25)),
        kernel=str(rng.choice(list(KERNELS))),
        table=False,
        nodules=tuple(nodules),
    )
    phantom = make_phantom(patient, settings)
    return _Scan(phantom.ct, nodule, outlined(patient, settings, phantom.labels))


def _vessels(scan: _Scan, rng: np.random.Generator) -> list[np.ndarray]:
    """Places, LPS mm, of what a detector takes for nodules: vessels, and where lung meets what is around it."""
    hu, spacing = scan.ct.array, scan.ct.geometry.spacing[::-1]
    lung = ndimage.binary_closing(hu < _VESSEL_HU, iterations=2)
    bright = (hu > _VESSEL_HU) & lung & (ndimage.distance_transform_edt(scan.outlines.array == 0, spacing) > _FAR_MM)
    bright[[0, -1]] = bright[:, [0, -1]] = bright[:, :, [0, -1]] = False
    places = np.argwhere(bright)
    chosen = rng.permutation(len(places))[:_CANDIDATES]
    matrix = scan.ct.geometry.index_to_physical
    return [matrix[:3, :3] @ place[::-1] + matrix[:3, 3] for place in places[chosen]]


def _write_metaimage(volume: Volume, path: Path) -> None:
    import SimpleITK as sitk

    sitk.WriteImage(volume.to_sitk(), str(path))  # NAME.raw beside it, as in the public set


def _write_readings(
    path: Path, scan: _Scan, study: str, series: str, slices: Sequence[str], rng: np.random.Generator
) -> None:
    """The XML of LIDC's reading sessions: each reader's outline of the nodule, slice by slice, and his rating."""
    root = ElementTree.Element("LidcReadMessage", {"xmlns": _NAMESPACE})
    header = ElementTree.SubElement(root, "ResponseHeader")
    ElementTree.SubElement(header, "SeriesInstanceUid").text = series
    ElementTree.SubElement(header, "StudyInstanceUID").text = study
    body = _own_body(scan)
    seen = [reader for reader in range(4) if rng.random() >= _MISSED] or [0]
    # Readers have only the scan, and mostly agree; were each right about the nodule by himself, the most frequent
    # rating would contradict what can be seen of three nodules in ten, and nobody could learn it.
    impression = int(rng.choice(_IMPRESSIONS[scan.nodule.looks_malignant]))
    for reader in range(4):
        session = ElementTree.SubElement(root, "readingSession")
        ElementTree.SubElement(session, "servicingRadiologistID").text = f"reader{reader}"
        if reader not in seen:
            continue
        nodule = ElementTree.SubElement(session, "unblindedReadNodule")
        ElementTree.SubElement(nodule, "noduleID").text = f"Nodule {reader:03}"
        about = ElementTree.SubElement(nodule, "characteristics")
        ElementTree.SubElement(about, "malignancy").text = str(_rating(impression, rng))
        drawn = ndimage.binary_dilation(body) if rng.random() < 0.3 else body
        for index in np.flatnonzero(drawn.any(axis=(1, 2))).tolist():
            _outline(nodule, drawn[index], scan.ct.geometry, index, slices[index])
    path.write_text(ElementTree.tostring(root, encoding="unicode"), encoding="utf-8")


def _rating(impression: int, rng: np.random.Generator) -> int:
    """What one of the readers says, 1 to 5."""
    off = int(rng.choice((-1, 1))) if rng.random() < _DOUBTS else 0
    return min(5, max(1, impression + off))


def _own_body(scan: _Scan) -> np.ndarray:
    """The nodule's own part of the outlines: that around its centre, or its centre's voxel."""
    matrix = np.linalg.inv(scan.ct.geometry.index_to_physical)
    x, y, z = np.rint(matrix[:3, :3] @ scan.nodule.centre + matrix[:3, 3]).astype(int)
    parts, _ = ndimage.label(scan.outlines.array)
    own = parts == parts[z, y, x] if parts[z, y, x] else np.zeros(parts.shape, bool)
    own[z, y, x] = True
    return own


def _outline(nodule: ElementTree.Element, mask: np.ndarray, grid: Geometry, index: int, uid: str) -> None:
    roi = ElementTree.SubElement(nodule, "roi")
    ElementTree.SubElement(roi, "imageZposition").text = f"{grid.origin[2] + index * grid.spacing[2]:.3f}"
    ElementTree.SubElement(roi, "imageSOP_UID").text = uid
    ElementTree.SubElement(roi, "inclusion").text = "TRUE"
    edge = np.argwhere(ndimage.binary_dilation(mask) & ~mask)  # LIDC's outlines lie just outside of the nodule
    turn = np.arctan2(*(edge - edge.mean(axis=0)).T)
    for y, x in edge[np.argsort(turn)]:
        place = ElementTree.SubElement(roi, "edgeMap")
        ElementTree.SubElement(place, "xCoord").text = str(x)
        ElementTree.SubElement(place, "yCoord").text = str(y)


def _write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    from Med3DCore.io import written_beside

    with written_beside(path, ".csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def _rounded(place: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in place]

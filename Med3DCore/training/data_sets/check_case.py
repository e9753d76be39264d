"""What is wrong with one case, found before a training needs it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from Med3DCore.errors import Med3DError
from Med3DCore.geometry import Geometry
from Med3DCore.preprocessing.hounsfield import looks_like_ct
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case, read_image
from Med3DCore.training.cases.label import label_volumes, read_label
from Med3DCore.training.data_sets.label_place import Place, Placing, sides_exchanged
from Med3DCore.volume import LabelMap, Volume

Look = Callable[[Case, Volume, LabelMap], None]

_WIDTH_MM = (100.0, 700.0)


@dataclass(frozen=True)
class Finding:
    """Something that a person should know.

    Args:
        kind: A stable word for programs: the code of an error of Med3D, or ``"missing-file"``, ``"not-finite"``,
            ``"modality"``, ``"spacing"``, ``"label"``, ``"label-place"``, ``"empty-label"``, ``"patient"``,
            ``"duplicate"``, ``"pair"``.
        sentence: What, where, and what to do.
        breaks: Whether a training would stop, or its figures be wrong.
        case: Name of the case; empty for the whole data set.
    """

    kind: str
    sentence: str
    breaks: bool
    case: str = ""


@dataclass
class CheckedCase:
    """What was seen of a case.

    Args:
        case: The case.
        geometry: Grid of its image, None if that cannot be read.
        range: 1st and 99th percentile of its values.
        volumes_ml: Label name to mL.
        places: Where each label lies that is large enough to be judged.
        content: Hash of the image's voxels: equal images have equal hashes, however they were stored.
        looks_like_ct: Whether its values are like Hounsfield units.
        findings: What is wrong.
    """

    case: Case
    geometry: Geometry | None = None
    range: tuple[float, float] | None = None
    volumes_ml: dict[str, float] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    content: str = ""
    looks_like_ct: bool = False
    findings: list[Finding] = field(default_factory=list)

    def find(self, kind: str, sentence: str, breaks: bool) -> None:
        """Record a finding."""
        self.findings.append(Finding(kind, sentence, breaks, self.case.name))


def check_case(case: Case, look: Look | None = None) -> CheckedCase:
    """Read a case as training would, and measure it.

    Args:
        case: The case.
        look: Called with the case, its image and its label on the same grid, such as to draw it.
    """
    checked, progress = CheckedCase(case), Progress()
    missing = [case.image] * (not case.image.exists()) + [case.label] * bool(case.label and not case.label.exists())
    if missing:
        checked.find("missing-file", f"The file {missing[0]} is missing.", True)
        return checked
    try:
        volume = read_image(case, progress)
    except Med3DError as error:
        checked.find(error.code, str(error), True)
        return checked
    for warning in progress.warnings:
        checked.find("not-finite", warning, False)
    _check_image(checked, volume)
    label = _checked_label(checked, volume)
    if look is not None:
        empty = LabelMap(np.zeros(volume.array.shape, np.uint8), volume.geometry, case.name)
        look(case, volume, label or empty)
    return checked


def _check_image(checked: CheckedCase, volume: Volume) -> None:
    modality, geometry = checked.case.modality.upper(), volume.geometry
    checked.geometry = geometry
    low, high = np.percentile(volume.array.ravel()[:: max(1, volume.array.size // 500_000)], (1, 99))
    checked.range = float(low), float(high)
    checked.content = hashlib.blake2b(np.ascontiguousarray(volume.array).data, digest_size=16).hexdigest()
    checked.looks_like_ct = looks_like_ct(volume.array)
    if modality and "CT" not in modality and checked.looks_like_ct:
        checked.find("modality", f"It is said to be {modality}, but its values are Hounsfield units, a CT's.", False)
    if modality == "CT" and not checked.looks_like_ct:
        checked.find(
            "modality",
            f"It is said to be CT, but its values (most lie between {low:g} and {high:g}) are not Hounsfield units.",
            False,
        )
    width = max(n * step for n, step in zip(geometry.size[:2], geometry.spacing[:2], strict=True))
    if checked.looks_like_ct and not _WIDTH_MM[0] <= width <= _WIDTH_MM[1]:
        checked.find("spacing", f"Its slices would be {width:.0f} mm wide; is its spacing right?", False)


def _checked_label(checked: CheckedCase, volume: Volume) -> LabelMap | None:
    case, progress = checked.case, Progress()
    if case.label is None:
        if not case.absent:
            checked.find("label", "It has no label and says of no organ that it is absent; it teaches nothing.", False)
        return None
    try:
        label = read_label(case, volume.geometry, progress)
    except Med3DError as error:
        checked.find(error.code, str(error), True)
        return None
    for warning in progress.warnings:
        checked.find("label", warning, False)
    checked.volumes_ml = label_volumes(case, label, volume.geometry.voxel_volume_ml)
    shown = [name for name, ml in checked.volumes_ml.items() if ml]
    if case.annotated and not set(shown) & set(case.annotated):
        checked.find("empty-label", f"Its label is empty: it shows no {' and no '.join(case.annotated)}.", False)
    unsaid = [name for name in case.annotated if name not in case.values]
    if unsaid:
        checked.find("label", f"It is said to show {unsaid[0]}, but not by which value; that teaches nothing.", False)
    strangers = [name for name in shown if name not in case.annotated]
    if strangers:
        checked.find("label", f"It shows {strangers[0]}, which is not said to be annotated and is not learned.", False)
    _check_places(checked, volume, label)
    return label


def _check_places(checked: CheckedCase, volume: Volume, label: LabelMap) -> None:
    """Labels that are mirrored, turned over, or shifted against the image."""
    placing, case = Placing(volume), checked.case
    found = {name: placing.place(name, case.inside(label, name)) for name in case.drawn}
    checked.places = {name: place for name, place in found.items() if place is not None}
    for name, place in checked.places.items():
        misfit = f"{100 * place.misfit:.0f} % of its '{name}' is not where that can be (by Hounsfield units)"
        if place.better:
            sentence = f"{misfit}; the label seems to be {place.better}. Look at its picture; mend the label's header."
            checked.find("label-place", sentence, True)
        elif place.is_suspect:
            checked.find("label-place", f"{misfit}; look whether the label belongs to this image.", False)
    if (left := sides_exchanged(checked.places)) is not None:
        sentence = (
            f"Its '{left}' lies further to the right than its partner; are the sides exchanged, or is it mirrored?"
        )
        checked.find("label-place", sentence, True)

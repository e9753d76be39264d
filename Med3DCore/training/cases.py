"""Training cases: which images and labels there are, what is annotated in each, and their preprocessed arrays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from Med3DCore.errors import DataError, SettingError
from Med3DCore.geometry import Geometry, Triple
from Med3DCore.io import find_scan, read_found, read_header
from Med3DCore.preprocessing import resample, world_grid
from Med3DCore.preprocessing.hounsfield import looks_like_ct
from Med3DCore.preprocessing.intensity import Statistics
from Med3DCore.preprocessing.padding import Seen, continue_into_padding
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.preprocessing.spacing import spacing_of
from Med3DCore.progress import Progress
from Med3DCore.training.case_label import read_label
from Med3DCore.volume import Volume

Values = int | tuple[int, ...]

UNKNOWN = 255
"""In a label image: may be an organ that nobody labelled. In a target: teaches nothing."""

HEADROOM = 60.0
"""How far outside of the model's intensity range a prepared image keeps its values."""

SPLITS = ("training", "validation")


@dataclass(frozen=True)
class Case:
    """One image of a data set.

    Args:
        name: Unique name.
        image: Image file.
        label: Label file on the same grid (a ``.seg.nrrd`` may cover a part of it), or None when the case only shows
            that organs are absent.
        values: Label name to the value that stands for it in the label file, or to several that together do, such as
            ``(1, 2)`` for a liver and the tumours in it. A label that has no value here is unknown everywhere.
        annotated: Names of the labels that were annotated. A voxel of another value is background for these; for all
            other labels a voxel of value 255 is unknown.
        patient: Cases of one patient never cross a split.
        split: ``"training"`` or ``"validation"``.
        absent: Names of the labels that are known not to be in the image at all.
        weight: How often the patient is drawn for training, beside another's 1.
        source: Data set and licence, for the model's card.
        domain: Which of several data sets it belongs to when they are trained together; empty if there is one.
        modality: ``"CT"``, ``"MR"``, ...; empty if nobody said.
        ignore: Value of the label file that says nothing about any label, or None.
        frame: Which volume of an image file that holds several (4D NIfTI), from 0.
    """

    name: str
    image: Path
    label: Path | None
    values: dict[str, Values]
    annotated: tuple[str, ...]
    patient: str
    split: str = "training"
    absent: tuple[str, ...] = ()
    weight: float = 1.0
    source: dict = field(default_factory=dict)
    domain: str = ""
    modality: str = ""
    ignore: int | None = None
    frame: int = 0

    @property
    def drawn(self) -> tuple[str, ...]:
        """The annotated labels of which the label file says where they are, so that a result can be compared."""
        return tuple(name for name in self.annotated if name in self.values) if self.label else ()

    def inside(self, label: np.ndarray, name: str) -> np.ndarray:
        """Where a label is, bool, in an array of the label file's values."""
        return np.isin(label, self.values[name])

    def known_values(self) -> set[int]:
        """Every value that the label file may have."""
        named = {value for values in self.values.values() for value in np.atleast_1d(values).tolist()}
        return {0, UNKNOWN} | named | ({self.ignore} - {None})


def read_cases(path: Path) -> list[Case]:
    """Read a data set description: ``{"cases": [{"name", "image", "label", "values", ...}]}``, or only the list.

    Files are relative to the description's own folder.

    Raises:
        DataError: The description or a file in it is missing, or a patient is in both splits.
    """
    cases = parse_cases(read_json(path), Path(path))
    check_cases(cases, path)
    return cases


def read_json(path: Path) -> object:
    """What a JSON file of a data set holds.

    Raises:
        DataError: It cannot be read or is no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"The data set description {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise DataError(f"{path} is not a data set description: {error!r}.") from error


def parse_cases(description: object, path: Path) -> list[Case]:
    """The cases of a description as :func:`read_cases` takes it, whether or not their files are there.

    Args:
        description: The content of the file.
        path: Where it comes from.

    Raises:
        DataError: It is no such description.
    """
    try:
        entries = description if isinstance(description, list) else description["cases"]
        for entry in entries:
            _check_entry(entry)
        return [case_from_dict(entry, path.parent) for entry in entries]
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a data set description: {error!r}.") from error


# What else than numbers an entry of a description may hold, since Python would take nearly anything.
_KINDS = {
    **dict.fromkeys(("name", "image", "patient", "split", "domain", "modality"), (str, "a text")),
    **dict.fromkeys(("values", "source"), (dict, "an object")),
    **dict.fromkeys(("annotated", "absent"), (list, "a list of labels")),
    "label": (str | None, "a text or null"),
}


def _check_entry(entry: dict) -> None:
    """Refuse an entry of a description that says something else than it means to.

    Raises:
        DataError: It has an unknown key, or a value of another kind.
    """
    name = entry.get("name", "without a name")
    known = [item.name for item in fields(Case)]
    for key, value in entry.items():
        if key not in known:
            raise DataError(f"Case '{name}': '{key}' is unknown; known are {', '.join(known)}.")
        kind, what = _KINDS.get(key, (object, ""))
        if not isinstance(value, kind):
            raise DataError(f"Case '{name}': its {key} is {value!r}; it must be {what}.")


def case_from_dict(entry: dict, folder: Path) -> Case:
    """A case as a description says it.

    Args:
        entry: At least ``name`` and ``image``; the names are those of :class:`Case`.
        folder: What file names are relative to.

    Raises:
        KeyError, ValueError, TypeError: It is no such entry.
    """
    label, ignore = entry.get("label"), entry.get("ignore")
    return Case(
        name=entry["name"],
        image=folder / entry["image"],
        label=folder / label if label else None,
        values={str(name): _values(value) for name, value in entry.get("values", {}).items()},
        annotated=tuple(entry.get("annotated", entry.get("values", {}))),
        patient=entry.get("patient", entry["name"]),
        split=entry.get("split", "training"),
        absent=tuple(entry.get("absent", ())),
        weight=float(entry.get("weight", 1.0)),
        source=entry.get("source", {}),
        domain=entry.get("domain", ""),
        modality=entry.get("modality", ""),
        ignore=None if ignore is None else int(ignore),
        frame=int(entry.get("frame", 0)),
    )


def read_image(case: Case, progress: Progress | None = None) -> Volume:
    """The image of a case.

    Raises:
        DataError: It holds one volume only, but the case is said to be a later one.
        VolumeError: The file cannot be read.
    """
    try:
        scan = find_scan(case.image, progress=progress, frame=case.frame)
    except SettingError as error:
        raise DataError(f"Case '{case.name}': {error}") from None
    return read_found(scan, case.image, progress)


def training_spacings(cases: Iterable[Case]) -> Iterator[Triple]:
    """Spacing (x, y, z) in mm along the patient's axes of every training case; headers are read when asked for.

    Raises:
        VolumeError: A header cannot be read.
    """
    for case in cases:
        if case.split == "training":
            yield spacing_of(read_header(case.image, case.frame).geometry)


def _values(value: int | list[int]) -> Values:
    return tuple(int(v) for v in value) if isinstance(value, list | tuple) else int(value)


def check_cases(cases: Sequence[Case], path: Path) -> None:
    """Refuse cases that cannot be trained with, as far as can be told without opening their files.

    Args:
        cases: The cases.
        path: Where they come from.

    Raises:
        DataError: There is none, a file is missing, a name is not unique, or a patient is in both splits.
    """
    if not cases:
        raise DataError(f"{path} lists no cases.")
    seen: dict[str, str] = {}
    names: set[str] = set()
    for case in cases:
        if case.name in names:
            raise DataError(f"{path} lists the case '{case.name}' twice.")
        names.add(case.name)
        for file in (case.image, case.label):
            if file is not None and not file.is_file():
                raise DataError(f"Case '{case.name}': the file {file} is missing.")
        if not case.weight > 0:
            raise DataError(f"Case '{case.name}': the weight is {case.weight}; it must be greater than 0.")
        if case.split not in SPLITS:
            raise DataError(f"Case '{case.name}': the split is '{case.split}'; it must be one of {', '.join(SPLITS)}.")
        if seen.setdefault(case.patient, case.split) != case.split:
            raise DataError(
                f"Patient '{case.patient}' is in both splits (case '{case.name}'); results would look too good."
            )


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """A case on the grid of the network.

    Args:
        case: Where it comes from.
        image: Volume ``[z, y, x]`` float32 in the scan's own units, clipped a little outside of what the network sees.
        target: uint8 ``[c, z, y, x]``, a channel per label: 1 inside, 0 outside, 255 unknown.
        geometry: Their grid.
        statistics: How this scan is normalised.
    """

    case: Case
    image: np.ndarray
    target: np.ndarray
    geometry: Geometry
    statistics: Statistics


def prepare_case(
    case: Case, preprocessing: Preprocessing, labels: Sequence[str], headroom: float = HEADROOM
) -> PreparedCase:
    """Resample a case's image and label to the network's grid.

    Padding of a CT is filled as when it is segmented (:mod:`..preprocessing.padding`), and teaches nothing.

    Args:
        case: The case.
        preprocessing: The model's preprocessing.
        labels: Label name of each output channel.
        headroom: How far outside of the model's intensity range values are kept, so that augmentation may shift them.

    Raises:
        DataError: Image and label do not lie on the same grid, or the label has other values than described.
    """
    volume = read_image(case)
    seen = continue_into_padding(volume) if looks_like_ct(volume.array) else Seen(volume)
    grid = world_grid(volume.geometry, preprocessing.spacing)
    statistics = preprocessing.intensity.measure(seen.volume)
    clip = (statistics.low - headroom, statistics.high + headroom)
    image = resample(seen.volume.array, volume.geometry, grid, clip, statistics.floor)
    label = None if case.label is None else read_label(case, volume.geometry)
    target = np.stack([_target(case, name, label, volume.geometry, grid) for name in labels])
    if seen.padding is not None:
        target[:, _share(seen.padding, volume.geometry, grid) > 0.5] = UNKNOWN
    return PreparedCase(case, image, target, grid, statistics)


def _target(case: Case, name: str, label: np.ndarray | None, source: Geometry, grid: Geometry) -> np.ndarray:
    if name in case.absent:
        return np.zeros(grid.shape, np.uint8)
    if label is None or name not in case.values:
        return np.full(grid.shape, UNKNOWN, np.uint8)
    target = np.zeros(grid.shape, np.uint8)
    unknown = [case.ignore] if name in case.annotated else [case.ignore, UNKNOWN]
    unknown = np.isin(label, [value for value in unknown if value is not None])
    if unknown.any():
        target[_share(unknown, source, grid) > 1e-3] = UNKNOWN
    if name in case.annotated:
        target[_share(case.inside(label, name), source, grid) > 0.5] = 1
    return target


def _share(mask: np.ndarray, source: Geometry, grid: Geometry) -> np.ndarray:
    """How much of each voxel of the grid the mask fills, 0..1."""
    return resample(mask.view(np.uint8), source, grid)

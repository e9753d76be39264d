"""A data set of phantoms' nodules: a scan around each, its outline, and the table that ``med3d classify`` reads.

The same folder teaches both tasks that VDT's paper has on LIDC: which nodules are malignant, and where a nodule ends.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Triple, triple
from Med3DCore.io.label_names import label_for
from Med3DCore.phantom.data_set import SOURCE
from Med3DCore.phantom.make import make_phantom
from Med3DCore.phantom.nodules import PhantomNodule, draw_diameter
from Med3DCore.phantom.settings import KERNELS, SIZES, PhantomSettings
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap

_HELD_OUT = 5  # Every fifth patient is for validation.
_MOST = 3  # Nodules of a patient.
_MALIGNANT = 0.45
_SIDE = 64.0  # Of a scan, mm.
_APART = 50.0  # Least distance between two nodules, mm; so that no patch shows two.
_FROM_EDGE = 9.0  # Least distance of a centre from what is not lung, mm.
_SPACINGS: tuple[Triple, ...] = ((1.0, 1.0, 1.0), (0.9, 0.9, 1.5), (0.9, 0.9, 2.0))
_ORIENTATIONS = ("LPS", "RAS", "LAI", "SPL")
_COLUMNS = ("name", "scan", "x", "y", "z", "space", "diameter_mm", "label", "patient", "data", "licence")


def write_nodule_data_set(
    folder: Path, patients: int, spacing: Triple | None = None, progress: Progress | None = None
) -> Path:
    """Write scans around nodules of made-up patients, in several orientations, some of them oblique.

    Beside each ``NAME_ct.nii.gz`` lies ``NAME_seg.nii.gz`` with the label ``"nodule"``: its body without spikes, as
    people outline them; ``dataset.json`` lists the pairs for ``med3d train``, a patient in five held out.

    Args:
        folder: Where to; made if missing. Scans that are already there are kept.
        patients: How many; each has one to three nodules.
        spacing: Voxel size (x, y, z) in mm; several usual ones by default.
        progress: Follows and may cancel the work.

    Returns:
        The table, ``nodules.csv``.

    Raises:
        SettingError: ``patients`` is below 1.
    """
    from Med3DCore.io import write_label_map, write_volume, written_beside

    if patients < 1:
        raise SettingError(f"A data set of {patients} phantoms cannot be made; ask for at least one.")
    folder.mkdir(parents=True, exist_ok=True)
    progress, rows, cases = progress or Progress(), [], []
    with progress.stage("phantoms", share=1.0):
        for seed in range(patients):
            progress.update(seed / patients)
            rng = np.random.default_rng([seed, 5])
            whole = PhantomSettings(size=str(rng.choice(list(SIZES))), contrast="native")
            nodules = place_nodules(seed, whole, rng)
            patient = f"patient{seed:03}"
            for number, nodule in enumerate(nodules):
                name = f"{patient}_nodule{number}"
                scan, outline = folder / f"{name}_ct.nii.gz", folder / f"{name}_seg.nii.gz"
                settings = _scan_around(nodule, whole, tuple(nodules), spacing, rng)
                if not (scan.exists() and outline.exists()):
                    phantom = make_phantom(seed, settings)
                    write_volume(phantom.ct, scan)
                    write_label_map(outlined(seed, settings, phantom.labels), outline)
                place = [f"{value:.2f}" for value in nodule.centre]
                what = [f"{nodule.diameter_mm:.1f}", int(nodule.malignant), patient]
                rows.append([name, scan.name, *place, "LPS", *what, SOURCE["data"], SOURCE["licence"]])
                split = "validation" if seed % _HELD_OUT == _HELD_OUT - 1 else "training"
                files = {"image": scan.name, "label": outline.name, "values": {"nodule": 1}}
                cases.append({"name": name, **files, "patient": patient, "split": split, "source": SOURCE})
    with written_beside(folder / "dataset.json") as temporary:
        temporary.write_text(json.dumps({"cases": cases}, indent=1))
    path = folder / "nodules.csv"
    with written_beside(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([_COLUMNS, *rows])
    return path


def outlined(seed: int, settings: PhantomSettings, lungs: LabelMap) -> LabelMap:
    """The bodies of all nodules in a scan: voxels whose centres lie inside, on the grid of its label map."""
    from Med3DCore.phantom.grid import positions, reordered, scan_grid
    from Med3DCore.phantom.patient import Patient

    patient = Patient(seed, settings)
    grid = scan_grid(settings, patient)
    points = patient.points(*positions(grid))
    bodies = [s.shape for s in patient.structures if s.tissue == "nodule" and np.isinf(s.calibre)]
    inside = np.any([body.distance(points) < 0 for body in bodies], axis=0)
    inside, _ = reordered(inside, grid, settings.orientation)
    array = (inside & (lungs.array > 0)).astype(np.uint8)
    return LabelMap(array, lungs.geometry, lungs.name, (label_for("nodule", 0),))


def place_nodules(seed: int, whole: PhantomSettings, rng: np.random.Generator) -> list[PhantomNodule]:
    """One to three nodules in a patient's lungs, far from each other."""
    from scipy import ndimage

    coarse = PhantomSettings(
        spacing=(6.0, 6.0, 6.0), region="chest", labels=("lungs",), size=whole.size, table=False, noise_hu=0.0
    )
    labels = make_phantom(seed, coarse).labels
    depth = ndimage.distance_transform_edt(labels.mask("lungs"), labels.geometry.spacing[::-1])
    places = np.argwhere(depth > _FROM_EDGE)[:, ::-1]
    matrix, count = labels.geometry.index_to_physical, int(rng.integers(1, _MOST + 1))
    nodules: list[PhantomNodule] = []
    for index in rng.permutation(places):
        centre = matrix[:3, :3] @ (index + rng.uniform(-0.4, 0.4, 3)) + matrix[:3, 3]
        if all(np.linalg.norm(centre - other.centre) > _APART for other in nodules):
            malignant = bool(rng.random() < _MALIGNANT)
            shape = int(rng.integers(1 << 30))
            nodules.append(PhantomNodule(triple(centre.tolist()), draw_diameter(malignant, rng), malignant, shape))
        if len(nodules) == count:
            break
    return nodules


def _scan_around(
    nodule: PhantomNodule,
    whole: PhantomSettings,
    nodules: tuple[PhantomNodule, ...],
    spacing: Triple | None,
    rng: np.random.Generator,
) -> PhantomSettings:
    """A cube of the patient, with the nodule a little off its middle."""
    x, y, z = np.array(nodule.centre) + rng.uniform(-2, 2, 3)
    half = _SIDE / 2
    return PhantomSettings(
        spacing=spacing or _SPACINGS[rng.integers(len(_SPACINGS))],
        region=(z - half, z + half),
        in_plane=(x - half, x + half, y - half, y + half),
        contrast=whole.contrast,
        labels=("lungs",),
        size=whole.size,
        noise_hu=float(rng.uniform(8, 30)),
        kernel=str(rng.choice(list(KERNELS))),
        table=False,
        orientation=str(rng.choice(_ORIENTATIONS)),
        oblique=tuple(rng.uniform(-12, 12, 3).tolist()) if rng.random() < 0.3 else (0.0, 0.0, 0.0),
        nodules=nodules,
    )

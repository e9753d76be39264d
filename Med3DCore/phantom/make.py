"""From a seed to a CT with exact labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from Med3DCore.errors import OutputError, SettingError
from Med3DCore.io.files import as_path
from Med3DCore.io.label_names import label_for
from Med3DCore.labels import Label, find_labels
from Med3DCore.phantom.contrast import find_contrast
from Med3DCore.phantom.settings import KERNELS, MORE_ORGANS, ORGANS, PhantomSettings
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap, Volume

_NUMBERED = (*ORGANS, *MORE_ORGANS)


@dataclass(frozen=True)
class Phantom:
    """A made-up patient's scan.

    Args:
        ct: int16; HU, or arbitrary units for an MR contrast.
        labels: uint8 on the same grid.
    """

    ct: Volume
    labels: LabelMap


def make_phantom(seed: int = 0, settings: PhantomSettings | None = None, progress: Progress | None = None) -> Phantom:
    """Make a torso with the organs of a patient.

    The anatomy is a function of position alone: every grid samples the same patient, and a voxel's label is that of
    its centre. A torso of 2.5 mm takes seconds.

    Args:
        seed: The patient; each number is another one.
        settings: Scan and grid (default: a torso in the portal venous phase at 2.5 mm).
        progress: Follows and may cancel the work.

    Raises:
        SettingError: The seed is negative, or the grid is too large.
        Cancelled: The user stopped it.

    Examples:
        >>> phantom = make_phantom(0, PhantomSettings(spacing=(5.0, 5.0, 5.0), region="abdomen"))
        >>> 900 < phantom.labels.volume_ml("liver") < 2000
        True
    """
    from Med3DCore.phantom.fields import stream
    from Med3DCore.phantom.grid import reordered, scan_grid
    from Med3DCore.phantom.patient import Patient
    from Med3DCore.phantom.render import Renderer
    from Med3DCore.phantom.scanner import Scanner

    if seed < 0:
        raise SettingError(f"The phantom's seed is {seed}; choose 0 or a positive number.")
    settings, progress = settings or PhantomSettings(), progress or Progress()
    contrast = find_contrast(settings.contrast)
    with progress.stage("phantom", share=1.0):
        patient = Patient(seed, settings)
        grid = scan_grid(settings, patient)
        tissues = contrast.of_patient(stream(seed, "tissues"))
        renderer = Renderer(patient, tissues, contrast.air, _NUMBERED, KERNELS[settings.kernel])
        scanner = Scanner(settings, contrast, grid, patient.back + 3.0, seed)
        picture, labels = np.empty(grid.shape, np.int16), np.empty(grid.shape, np.uint8)
        numbers = _label_numbers(settings.labels)
        for first, values, organs in renderer.slabs(grid):
            part = slice(first, first + len(values))
            picture[part] = scanner.expose(values, first)
            labels[part] = numbers[organs]
            progress.update(part.stop / grid.size[2])
        picture, geometry = reordered(picture, grid, settings.orientation)
        labels, _ = reordered(labels, grid, settings.orientation)
    name = f"phantom {seed}"
    return Phantom(Volume(picture, geometry, name), LabelMap(labels, geometry, name, _labels(settings.labels)))


def write_phantom(
    folder: str | Path, seed: int = 0, settings: PhantomSettings | None = None, progress: Progress | None = None
) -> tuple[Path, Path]:
    """Make a phantom and write ``ct.nii.gz`` and ``labels.nii.gz`` into a folder, which is created if needed.

    Returns:
        The two files.

    Raises:
        OutputError: The folder cannot be made or written to.
        SettingError: As :func:`make_phantom`.
    """
    from Med3DCore.io import check_output, write_label_map
    from Med3DCore.io.write import fields_written

    folder = as_path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made ({error.strerror}); choose another one.") from error
    files = folder / "ct.nii.gz", folder / "labels.nii.gz"
    for file in files:
        check_output(file)
    phantom = make_phantom(seed, settings, progress)
    with fields_written(phantom.ct, {}, files[0]):  # both or none: nobody would notice the labels of another patient
        write_label_map(phantom.labels, files[1])
    return files


def merge_lungs(labels: LabelMap) -> LabelMap:
    """The same label map with left and right lung as one label "lungs", in the place of the first of them.

    Raises:
        KeyError: A lung is missing.
    """
    pair = {labels.value("left_lung"), labels.value("right_lung")}
    table = np.zeros(256, np.uint8)
    names: list[str] = []
    for value, label in enumerate(labels.labels, start=1):
        name = "lungs" if value in pair else label.name
        if name not in names:
            names.append(name)
        table[value] = names.index(name) + 1
    return LabelMap(table[labels.array], labels.geometry, labels.name, find_labels(names))


def _labels(names: tuple[str, ...]) -> tuple[Label, ...]:
    return tuple(replace(label_for(name, position), name=name) for position, name in enumerate(names))


def _label_numbers(names: tuple[str, ...]) -> np.ndarray:
    """Label value of each organ number, uint8."""
    parts = {"lungs": ("left_lung", "right_lung")}
    table = np.zeros(len(_NUMBERED) + 1, np.uint8)
    for value, name in enumerate(names, start=1):
        for organ in parts.get(name, (name,)):
            table[_NUMBERED.index(organ) + 1] = value
    return table

"""A data set of many different phantoms, described as ``med3d train`` reads it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from Med3DCore.phantom.make import make_phantom
from Med3DCore.phantom.settings import KERNELS, PATHOLOGIES, SIZES, PhantomSettings
from Med3DCore.progress import Progress

ORGANS = ("liver", "lungs")
REGIONS = {"torso": 0.3, "chest": 0.25, "abdomen": 0.35, "pelvis": 0.1}
PHASES = ("native", "arterial", "portal")
SOURCE = {"data": "Med3D phantoms", "licence": "Apache-2.0", "labels": "exact, from the procedure"}


def random_settings(seed: int, labels: tuple[str, ...] = ORGANS, region: str | None = None) -> PhantomSettings:
    """A scan as it might come: any region (or the one asked for), phase, size, dose and table, some with findings."""
    rng = np.random.default_rng([seed, 20_26])
    return PhantomSettings(
        spacing=(2.5, 2.5, float(rng.choice([2.5, 2.5, 5.0]))),
        region=str(rng.choice(list(REGIONS), p=list(REGIONS.values())) if region is None else region),
        contrast=str(rng.choice(PHASES)),
        labels=labels,
        pathology=tuple(str(name) for name in PATHOLOGIES if rng.random() < 0.25),
        size=str(rng.choice(list(SIZES))),
        arms=str(rng.choice(["up", "down"])),
        noise_hu=float(rng.uniform(5, 35)),
        kernel=str(rng.choice(list(KERNELS))),
        streaks=bool(rng.random() < 0.3),
        table=bool(rng.random() < 0.8),
        circle=bool(rng.random() < 0.3),
    )


def write_phantom_cases(
    folder: Path,
    count: int,
    weight: float = 1.0,
    held_out: int = 0,
    progress: Progress | None = None,
    region: str | None = None,
    organs: tuple[str, ...] = ORGANS,
) -> list[dict]:
    """Write phantoms as pairs of image and label.

    Args:
        folder: Where to; must exist. Phantoms that are already there are kept.
        count: How many; seeds 0, 1, ...
        weight: How often each is drawn, beside a real patient's 1.
        held_out: Every how many-th is for validation; 0 for none.
        progress: Follows and may cancel the work.
        region: Of all of them, such as ``"pelvis"``, where neither of the usual organs is; None for any.
        organs: What is labelled, see :class:`~Med3DCore.phantom.settings.PhantomSettings`.

    Returns:
        An entry each of a data set description, see :func:`Med3DCore.training.cases.description.read_cases`; files are
        relative to ``folder``.
    """
    from Med3DCore.io import write_label_map, write_volume

    progress = progress or Progress()
    entries = []
    with progress.stage("phantoms", share=1.0):
        for seed in range(count):
            progress.update(seed / count)
            name = f"{region or 'phantom'}{seed:02}"
            image, label = folder / f"{name}_ct.nii.gz", folder / f"{name}_seg.nii.gz"
            if not label.exists():
                phantom = make_phantom(seed, random_settings(seed, organs, region))
                write_volume(phantom.ct, image)
                write_label_map(phantom.labels, label)
            values = {organ: number for number, organ in enumerate(organs, start=1)}
            files = {"image": image.name, "label": label.name, "values": values}
            split = "validation" if held_out and seed % held_out == held_out - 1 else "training"
            entries.append({"name": name, **files, "split": split, "weight": weight, "source": SOURCE})
    return entries


def write_phantom_data_set(folder: Path, count: int, held_out: int = 0, progress: Progress | None = None) -> Path:
    """Write phantoms and their description; returns the description's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "dataset.json"
    entries = write_phantom_cases(folder, count, held_out=held_out, progress=progress)
    path.write_text(json.dumps({"cases": entries}, indent=1))
    return path

"""Eight small data sets that differ as real ones do: organ, contrast, spacing, field of view.

They stand for the eight of Med3D's 3DSeg-8 (papers.md A1), which nobody may pass on, wherever co-training is tried.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Triple
from Med3DCore.phantom.data_set import SOURCE
from Med3DCore.phantom.make import make_phantom
from Med3DCore.phantom.settings import KERNELS, SIZES, PhantomSettings
from Med3DCore.progress import Progress


@dataclass(frozen=True)
class PhantomDomain:
    """One kind of scan with one kind of label.

    Args:
        contrast: Name of a contrast of the phantoms; those that begin with ``"mr_"`` are MR.
        organs: What is labelled.
        spacings: Spacings (x, y, z) in mm that its scans have.
        region: Lowest and highest z in LPS mm.
        in_plane: Lowest x, highest x, lowest y, highest y in LPS mm; None fits the patient.
    """

    contrast: str
    organs: tuple[str, ...]
    spacings: tuple[Triple, ...]
    region: tuple[float, float]
    in_plane: tuple[float, float, float, float] | None = None

    @property
    def modality(self) -> str:
        """``"CT"`` or ``"MR"``."""
        return "MR" if self.contrast.startswith("mr_") else "CT"

    def settings(self, seed: int) -> PhantomSettings:
        """The scan of one patient."""
        rng = np.random.default_rng([seed, 3, 8])
        return PhantomSettings(
            spacing=self.spacings[rng.integers(len(self.spacings))],
            region=self.region,
            in_plane=self.in_plane,
            contrast=self.contrast,
            labels=self.organs,
            size=str(rng.choice(list(SIZES))),
            noise_hu=float(rng.uniform(5, 25)),
            kernel=str(rng.choice(list(KERNELS))),
            table=self.modality == "CT",
        )


_KIDNEYS = ("left_kidney", "right_kidney")
_FINE = ((3.0, 3.0, 3.0), (3.0, 3.0, 4.0), (3.5, 3.5, 4.0))
_COARSE = ((4.0, 4.0, 4.0), (4.0, 4.0, 5.0), (4.5, 4.5, 6.0))

DOMAINS: Mapping[str, PhantomDomain] = {
    "liver": PhantomDomain("portal", ("liver",), _COARSE, (-80, 150)),
    "lungs": PhantomDomain("native", ("left_lung", "right_lung"), _COARSE, (-30, 310)),
    "spleen": PhantomDomain("arterial", ("spleen",), _FINE, (-50, 140), (-20, 170, -120, 120)),
    "kidneys": PhantomDomain("native", _KIDNEYS, _FINE, (-140, 60), (-150, 150, -40, 120)),
    "spine": PhantomDomain("portal", ("spine",), _FINE, (-140, 150), (-90, 90, -50, 150)),
    "heart": PhantomDomain("mr_t1", ("heart",), _COARSE, (50, 250), (-140, 160, -130, 80)),
    "liver_mr": PhantomDomain("mr_t2", ("liver",), _COARSE, (-90, 140)),
    "kidneys_mr": PhantomDomain("mr_t1", _KIDNEYS, _FINE, (-140, 70), (-150, 150, -60, 120)),
}


def write_phantom_domains(folder: Path, count: int, held_out: float = 0.3, progress: Progress | None = None) -> Path:
    """Write the eight domains as one data set whose cases name their ``domain``; no patient is in two of them.

    Args:
        folder: Where to; made if missing. Phantoms that are already there are kept.
        count: Patients of each domain.
        held_out: Share of these that is for validation; at least one if there are two.
        progress: Follows and may cancel the work.

    Returns:
        The description, ``dataset.json``.

    Raises:
        SettingError: ``count`` is below 1.
    """
    from Med3DCore.io import write_label_map, write_volume

    if count < 1:
        raise SettingError(f"A data set of {count} phantoms cannot be made; ask for at least one.")
    kept = min(count - 1, math.ceil(held_out * count))
    progress = progress or Progress()
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    with progress.stage("phantoms", share=1.0):
        for position, (name, domain) in enumerate(DOMAINS.items()):
            for number in range(count):
                progress.update((position * count + number) / (len(DOMAINS) * count))
                seed = 1000 * (position + 1) + number
                image, label = (folder / f"{name}{number:02}_{kind}.nii.gz" for kind in ("image", "seg"))
                if not label.exists():
                    phantom = make_phantom(seed, domain.settings(seed))
                    write_volume(phantom.ct, image)
                    write_label_map(phantom.labels, label)
                entries.append(
                    {
                        "name": f"{name}{number:02}",
                        "domain": name,
                        "modality": domain.modality,
                        "image": image.name,
                        "label": label.name,
                        "values": {organ: value for value, organ in enumerate(domain.organs, start=1)},
                        "split": "validation" if number >= count - kept else "training",
                        "source": SOURCE,
                    }
                )
    path = folder / "dataset.json"
    path.write_text(json.dumps({"cases": entries}, indent=1))
    return path

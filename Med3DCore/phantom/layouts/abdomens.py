"""CTs of the belly: FLARE 2022's thirteen organs, and cysts of the liver."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from Med3DCore.phantom.make import Phantom, make_phantom
from Med3DCore.phantom.settings import KERNELS, SIZES, PhantomSettings
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

# In the order of FLARE's values 1 to 13.
FLARE_ORGANS: tuple[str, ...] = (
    "liver",
    "right_kidney",
    "spleen",
    "pancreas",
    "aorta",
    "postcava",
    "right_adrenal_gland",
)
FLARE_ORGANS += ("left_adrenal_gland", "gallbladder", "esophagus", "stomach", "duodenum", "left_kidney")
_BELLY = (-130.0, 150.0)  # mm
_AROUND_LIVER = ((-85.0, 135.0), (-170.0, 110.0, -150.0, 125.0))
_MOST_CYSTS = 5
_FLUID_HU = (-2.0, 14.0)


def write_flare22(folder: Path, patients: int, seed: int, progress: Progress) -> None:
    """Scans in several phases: ``images/FLARE22_Tr_0001_0000.nii.gz`` and ``labels/FLARE22_Tr_0001.nii.gz``."""
    from Med3DCore.io import write_label_map, write_volume

    images, labels = _folders(folder, "images", "labels")
    for number in range(patients):
        progress.update(number / patients)
        rng = np.random.default_rng([seed, number, 47])
        phases = ("arterial", "portal", "portal")
        phantom = _belly(1000 * seed + number, rng, str(rng.choice(phases)), (3.0, 3.0, 3.0), FLARE_ORGANS, _BELLY)
        name = f"FLARE22_Tr_{number + 1:04}"
        write_volume(phantom.ct, images / f"{name}_0000.nii.gz")
        write_label_map(phantom.labels, labels / f"{name}.nii.gz")


def write_liver_cysts(folder: Path, patients: int, seed: int, progress: Progress) -> None:
    """Scans of the liver with one to five cysts: ``imagesTr/cyst_001.nii.gz`` and ``labelsTr/cyst_001.nii.gz``."""
    from Med3DCore.io import write_volume

    images, labels = _folders(folder, "imagesTr", "labelsTr")
    for number in range(patients):
        progress.update(number / patients)
        rng = np.random.default_rng([seed, number, 53])
        region, in_plane = _AROUND_LIVER
        phantom = _belly(1000 * seed + 500 + number, rng, "portal", (2.5, 2.5, 2.5), ("liver",), region, in_plane)
        hu, mask = phantom.ct.array.astype(np.float32), np.zeros(phantom.ct.array.shape, np.uint8)
        for _ in range(int(rng.integers(1, _MOST_CYSTS + 1))):
            _paint_cyst(hu, mask, phantom, rng)
        name = f"cyst_{number + 1:03}.nii.gz"
        write_volume(Volume(np.rint(hu).astype(np.int16), phantom.ct.geometry, name), images / name)
        write_volume(Volume(mask, phantom.ct.geometry, name), labels / name)


def _paint_cyst(hu: np.ndarray, mask: np.ndarray, phantom: Phantom, rng: np.random.Generator) -> None:
    """A round or oval space of water in the liver, in place; its border is as wide as a voxel."""
    spacing = phantom.ct.geometry.spacing
    liver = phantom.labels.mask("liver") & (mask == 0)
    radius = float(np.clip(rng.lognormal(2.3, 0.45), 5, 28))
    deep = np.argwhere(ndimage.distance_transform_edt(liver, spacing[::-1]) > min(0.8 * radius, 12.0))
    if not len(deep):
        return
    centre = deep[rng.integers(len(deep))]
    radii = radius * rng.uniform(0.8, 1.2, 3)
    axes = np.ogrid[tuple(slice(0, n) for n in hu.shape)]
    steps = [(axis - c) * s / r for axis, c, s, r in zip(axes, centre, spacing[::-1], radii, strict=True)]
    outside_mm = (np.sqrt(sum(step**2 for step in steps)) - 1) * radius
    share = np.where(phantom.labels.mask("liver"), np.clip(0.5 - outside_mm / np.mean(spacing), 0, 1), 0)
    grain = hu - ndimage.uniform_filter(hu, 3)  # the noise of the scan goes on in the cyst
    hu += share * (rng.uniform(*_FLUID_HU) + grain - hu)
    mask[share > 0.5] = 1


def _belly(
    patient: int,
    rng: np.random.Generator,
    phase: str,
    spacing: tuple[float, float, float],
    organs: tuple[str, ...],
    region: tuple[float, float],
    in_plane: tuple[float, float, float, float] | None = None,
) -> Phantom:
    settings = PhantomSettings(
        spacing=spacing,
        region=region,
        in_plane=in_plane,
        contrast=phase,
        labels=organs,
        size=str(rng.choice(list(SIZES))),
        noise_hu=float(rng.uniform(6, 18)),
        kernel=str(rng.choice(list(KERNELS))),
        table=False,
    )
    return make_phantom(patient, settings)


def _folders(folder: Path, *names: str) -> list[Path]:
    made = [folder / name for name in names]
    for each in made:
        each.mkdir(parents=True, exist_ok=True)
    return made

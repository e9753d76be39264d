"""Which patch of which case comes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from Med3DCore.preprocessing.intensity import Intensity
from Med3DCore.training.cases.prepared import Prepared
from Med3DCore.training.patches.augmentation import Augmentation
from Med3DCore.training.patches.cut import cut_image, cut_patch
from Med3DCore.training.patches.region import RegionSampling, label_box

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class PatchSampler:
    """Draws batches of augmented patches; a step's batch depends on the seed and the step alone.

    A patch is drawn for a label, each label equally often, from a patient in whom somebody showed where it is: with
    partial labels most patients may say nothing about it. All these patients are drawn equally often, or as the largest
    weight of their scans says, however many scans there are of them; of a patient's scans each as its weight says. Now
    and then a patch of any patient comes instead, to show where the label is not.

    Args:
        cases: Training cases.
        intensity: The model's normalisation, applied after augmentation.
        patch: Patch shape (z, y, x).
        batch: Patches a step.
        foreground: Share of patches centred on a voxel of the label.
        anybody: Share of patches drawn from all patients.
        augmentation: How to vary them.
        seed: Seed.
        region: Where the patches lie that are not centred on a voxel of the label; None for anywhere in the scan.
    """

    cases: Sequence[Prepared]
    intensity: Intensity
    patch: Shape
    batch: int
    foreground: float
    augmentation: Augmentation
    seed: int
    anybody: float
    region: RegionSampling | None = None
    _voxels: dict[str, list[np.ndarray]] = field(init=False, repr=False, compare=False)
    _boxes: dict[str, tuple[np.ndarray, np.ndarray] | None] = field(init=False, repr=False, compare=False)
    _everybody: list[list[Prepared]] = field(init=False, repr=False, compare=False)
    _showing: list[list[list[Prepared]]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        voxels = {case.case.name: _label_voxels(case) for case in self.cases}
        labels = range(len(self.cases[0].target))
        showing = [_by_patient(c for c in self.cases if voxels[c.case.name][label].size) for label in labels]
        everybody = _by_patient(self.cases)
        boxes = {case.case.name: label_box(case.target) if self.region else None for case in self.cases}
        object.__setattr__(self, "_voxels", voxels)
        object.__setattr__(self, "_boxes", boxes)
        object.__setattr__(self, "_everybody", everybody)
        object.__setattr__(self, "_showing", [patients or everybody for patients in showing])

    def draw(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch of a step: image ``[n, channels, z, y, x]`` float32 and target ``[n, c, z, y, x]`` uint8."""
        rng = np.random.default_rng([self.seed, step])
        pairs = [self._patch(rng) for _ in range(self.batch)]
        return torch.cat([p[0] for p in pairs]), torch.cat([p[1] for p in pairs])

    def _patch(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        label = int(rng.integers(len(self._showing)))
        patients = self._everybody if rng.random() < self.anybody else self._showing[label]
        scans = patients[_weighted_choice([max(scan.case.weight for scan in scans) for scans in patients], rng)]
        case = scans[_weighted_choice([scan.case.weight for scan in scans], rng)]
        scan, spacing = case.image, case.geometry.spacing
        centre = self._centre(case, scan.shape, label, rng)
        positions = self.augmentation.positions(centre, self.patch, rng, spacing, scan.shape)
        image, target = cut_patch(scan, case.target, positions, outside=case.statistics.floor)
        self.augmentation.paint_disease(image, target, case.statistics, rng, spacing)
        images, known = [self.augmentation.vary_intensity(image, case.statistics, rng)], [case.statistics]
        for further, own in case.further:
            other = cut_image(further, positions, outside=own.floor)
            images.append(self.augmentation.vary_intensity(other, own, rng))
            known.append(own)
        image = images[0] if len(images) == 1 else torch.cat(images, dim=1)
        self.augmentation.end_scan(image, target, [own.floor for own in known], rng, spacing)
        for channel, own in zip(image[0].numpy(), known, strict=True):
            channel[:] = self.intensity.apply(channel, own)
        return image, target

    def _centre(self, case: Prepared, shape: Shape, label: int, rng: np.random.Generator) -> np.ndarray:
        voxels = self._voxels[case.case.name][label]
        if voxels.size and rng.random() < self.foreground:
            jitter = rng.uniform(-0.25, 0.25, 3) * self.patch
            return np.asarray(np.unravel_index(voxels[rng.integers(len(voxels))], shape)) + jitter
        box = self._boxes[case.case.name]
        if self.region is None or box is None:
            return rng.uniform(0, np.asarray(shape) - 1)
        return self.region.centre(*box, self.patch, rng)


def _label_voxels(case: Prepared) -> list[np.ndarray]:
    """Flat indices of the voxels of each label; about 20,000 a label at most, evenly spread."""
    found = [np.flatnonzero(channel == 1) for channel in case.target]
    return [voxels[:: max(1, voxels.size // 20_000)] for voxels in found]


def _weighted_choice(weights: Sequence[float], rng: np.random.Generator) -> int:
    if len(weights) == 1:
        return 0
    sums = np.cumsum(weights)
    return int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))


def _by_patient(cases: Iterable[Prepared]) -> list[list[Prepared]]:
    patients: dict[str, list[Prepared]] = {}
    for case in cases:
        patients.setdefault(case.case.patient, []).append(case)
    return list(patients.values())

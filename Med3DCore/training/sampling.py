"""Which patch of which case comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from Med3DCore.preprocessing.intensity import Intensity
from Med3DCore.training.augmentation import Augmentation, cut_patch
from Med3DCore.training.cases import PreparedCase

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class PatchSampler:
    """Draws batches of augmented patches; a step's batch depends on the seed and the step alone.

    Every patient is drawn equally often, however many scans there are of him; a share of the patches is centred on a
    voxel of a label, each label equally often.

    Args:
        cases: Training cases.
        intensity: The model's normalisation, applied after augmentation.
        patch: Patch shape (z, y, x).
        batch: Patches a step.
        foreground: Share of patches centred on a labelled voxel.
        augmentation: How to vary them.
        seed: Seed.
    """

    cases: Sequence[PreparedCase]
    intensity: Intensity
    patch: Shape
    batch: int
    foreground: float
    augmentation: Augmentation
    seed: int

    def __post_init__(self) -> None:
        patients: dict[str, list[PreparedCase]] = {}
        for case in self.cases:
            patients.setdefault(case.case.patient, []).append(case)
        object.__setattr__(self, "_patients", list(patients.values()))
        object.__setattr__(self, "_voxels", {case.case.name: _label_voxels(case) for case in self.cases})

    def draw(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch of a step: image ``[n, 1, z, y, x]`` float32 and target ``[n, c, z, y, x]`` uint8."""
        rng = np.random.default_rng([self.seed, step])
        pairs = [self._patch(rng) for _ in range(self.batch)]
        return torch.cat([p[0] for p in pairs]), torch.cat([p[1] for p in pairs])

    def _patch(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        scans = self._patients[rng.integers(len(self._patients))]
        case = scans[rng.integers(len(scans))]
        grid = self.augmentation.sampling_grid(case.image.shape, self._centre(case, rng), self.patch, rng)
        image, target = cut_patch(case.image, case.target, grid, outside=case.statistics.floor)
        image = self.augmentation.vary_intensity(image, case.statistics.span, rng)
        return torch.from_numpy(self.intensity.apply(image.numpy(), case.statistics)), target

    def _centre(self, case: PreparedCase, rng: np.random.Generator) -> np.ndarray:
        shape = np.asarray(case.image.shape)
        candidates = self._voxels[case.case.name]
        if candidates and rng.random() < self.foreground:
            voxels = candidates[rng.integers(len(candidates))]
            jitter = rng.uniform(-0.25, 0.25, 3) * self.patch
            return np.asarray(np.unravel_index(voxels[rng.integers(len(voxels))], shape)) + jitter
        return rng.uniform(0, shape - 1)


def _label_voxels(case: PreparedCase) -> list[np.ndarray]:
    """Flat indices of the voxels of each label that the case has; at most 20,000 a label, evenly spread."""
    found = [np.flatnonzero(channel == 1) for channel in case.target]
    return [voxels[:: max(1, voxels.size // 20_000)] for voxels in found if voxels.size]

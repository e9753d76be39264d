"""Random changes that a scan of another patient, on another scanner, might show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from Med3DCore.geometry import Triple
from Med3DCore.preprocessing.intensity import Statistics
from Med3DCore.training.cases.case import UNKNOWN
from Med3DCore.training.patches.bowel import end_organ, paint_bowel
from Med3DCore.training.patches.disease import paint_lesions, shift_organ, surround_with_fluid
from Med3DCore.training.patches.smoothing import along_axes, blur, grains, thick_slices
from Med3DCore.training.setting_checks import require, require_kinds, require_ranges

Shape = tuple[int, int, int]
_BENDS = (5, 5, 5)  # independent displacements of the elastic deformation along z, y, x
_FLUID_HU = (0.0, 25.0)
_FLUID_DARKER = 20.0  # than the organ, at least, or nobody could tell them apart
_DARKEST_HU = 30.0  # of a fatty organ: darker it would be taken for fluid, and fluid for it
_SOFT_HU = -30.0  # of what may be an organ, not fat or air
_ENDED = 0.4  # chance that an organ beside painted bowel ends higher up
_SHIFTED = 0.5  # chance of another intensity of a label
_THICK = 1.01  # how much longer a voxel is along thick slices, so that rounded spacings are none


@dataclass(frozen=True)
class Augmentation:
    """How strongly to vary patches. Angles in degrees, intensities as parts of the model's intensity range.

    Args:
        rotation: Largest rotation around each axis.
        scale: Largest factor of zoom, both ways.
        stretch: Largest extra factor along each axis, for guessed spacings.
        bend: Largest displacement of the elastic deformation, in sides of a cube as large as a voxel.
        shift: Largest shift of intensity.
        contrast: Largest factor of contrast, both ways.
        gamma: Largest exponent that bends the model's intensity range, both ways; 1 for none.
        noise: Largest standard deviation of noise.
        grain: Largest size of the noise's grains, the standard deviation of a Gaussian in voxels; 0 for white noise. Of
            the noise of thin slices the network's grid keeps the grains, and they hide borders as white noise does not.
        organ_shift: Largest shift of a label's intensity against all around it, as of fatty or unusually bright livers;
            in half of the patches in which all of the label is known.
        lesions: Chance of lesions in a label, which stay part of it.
        lesion_contrast: Largest difference between a lesion and the label around it.
        fluid: Chance that a label has shrunk, and that fluid of 0 to 25 HU fills the gap and the fat around, as in
            ascites; for CT, and where the label is seen or known to be absent. What is unknown beside it may be organ,
            and shrinks with it.
        bowel: Chance of bowel full of bright contrast medium beside the labels, which is none of them, and in place of
            the lower part of some of them; for CT, and axes that point as the patient's do.
        probability: Chance of each of blur, noise, thick slices, elastic deformation.
        cut: Chance of ending the scan somewhere in the patch, so that organs cut by its edge are learned.
        mirror: Axes of the network's grid (0=z, 1=y, 2=x) along which half of the patches are mirrored. Only where the
            anatomy allows: a mirrored liver lies on the wrong side. What was learned so can be averaged so, see
            ``InferenceSettings.mirror``.
    """

    rotation: float = 15.0
    scale: float = 1.25
    stretch: float = 1.1
    bend: float = 4.0
    shift: float = 0.06
    contrast: float = 1.15
    gamma: float = 1.0
    noise: float = 0.08
    grain: float = 0.0
    organ_shift: float = 0.0
    lesions: float = 0.0
    lesion_contrast: float = 0.2
    fluid: float = 0.0
    bowel: float = 0.0
    probability: float = 0.3
    cut: float = 0.0
    mirror: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        require_kinds(self)
        listed = isinstance(self.mirror, list | tuple) and all(axis in (0, 1, 2) for axis in self.mirror)
        require(self, "mirror", listed, "a list of axes from 0 to 2")
        object.__setattr__(self, "mirror", tuple(self.mirror))
        require_ranges(self, ("rotation", "bend", "shift", "noise", "grain", "organ_shift", "lesion_contrast"), 0)
        require_ranges(self, ("scale", "stretch", "contrast", "gamma"), 1)
        require_ranges(self, ("probability", "cut", "lesions", "fluid", "bowel"), 0, 1)

    def positions(
        self,
        centre: np.ndarray,
        patch: Shape,
        rng: np.random.Generator,
        spacing: Triple = (1.0, 1.0, 1.0),
        scan: Shape | None = None,
    ) -> torch.Tensor:
        """Where the voxels of a patch come from: a rotated, zoomed, bent box around a centre.

        All is done in mm, so that where voxels are no cubes, too, a turned organ keeps its shape.

        Args:
            centre: Centre (z, y, x) in voxels of the case.
            patch: Shape of the patch.
            rng: Source of randomness.
            spacing: Size (x, y, z) of a voxel in mm, of case and patch.
            scan: Shape of the case. Of thick slices there are few, and a patch that is turned out of their plane is
                soon beyond the last; so it is moved back into the scan along them, or to its middle if it is longer.

        Returns:
            float32 ``[z, y, x, 3]``, in voxels of the case, in the order (x, y, z).
        """
        zoom = np.exp(rng.uniform(-1, 1) * np.log(self.scale) + rng.uniform(-1, 1, 3) * np.log(self.stretch))
        for axis in self.mirror:
            zoom[axis] *= rng.choice([-1, 1])
        sides = _sides(spacing)
        matrix = _rotation(np.deg2rad(rng.uniform(-self.rotation, self.rotation, 3))) * zoom
        matrix = matrix * (sides / sides[:, None])  # from voxels to mm and back
        if scan is not None:
            reach = np.abs(matrix) @ (np.asarray(patch) - 1) / 2
            centre = np.where(sides > _THICK * sides.min(), _moved_inside(centre, reach, scan), centre)
        nodes = np.meshgrid(
            *(np.linspace(-(n - 1) / 2, (n - 1) / 2, m) for n, m in zip(patch, _BENDS, strict=True)), indexing="ij"
        )
        nodes = np.tensordot(matrix, nodes, axes=1) + centre[:, None, None, None]
        if rng.random() < self.probability:
            nodes += rng.uniform(-self.bend, self.bend, nodes.shape) / sides[:, None, None, None]
        return _enlarged(torch.from_numpy(nodes[::-1].astype(np.float32)), patch).permute(1, 2, 3, 0)

    def vary_intensity(self, image: torch.Tensor, statistics: Statistics, rng: np.random.Generator) -> torch.Tensor:
        """Shift, contrast, gamma, blur, thick slices and noise.

        Args:
            image: float32 ``[1, 1, z, y, x]`` in the scan's units, before normalisation.
            statistics: The model's intensity range in the same units.
            rng: Source of randomness.
        """
        middle = float(image.numpy().mean())  # torch's mean depends on the number of threads in the last bit
        factor = np.exp(rng.uniform(-1, 1) * np.log(self.contrast))
        offset = middle * (1 - factor) + rng.uniform(-self.shift, self.shift) * statistics.span
        image = (image * factor).add_(offset)
        if self.gamma > 1:
            inside = ((image - statistics.floor) / statistics.span).clamp(0, 1)
            bent = inside ** float(np.exp(rng.uniform(-1, 1) * np.log(self.gamma)))
            image = image + (bent - inside) * statistics.span
        shape = image.shape[2:]
        smooth = [torch.eye(n) for n in shape]
        if blurred := rng.random() < self.probability:
            sigma = rng.uniform(0.3, 1.2)
            smooth = [blur(n, sigma) for n in shape]
        if thick := rng.random() < self.probability:
            factor, axis = rng.uniform(1.2, 2.5), int(rng.choice([0, 0, 1, 2]))
            smooth[axis] = thick_slices(shape[axis], factor) @ smooth[axis]
        if blurred or thick:
            image = along_axes(image[0], smooth)[None]
        if rng.random() < self.probability:
            strength = float(rng.uniform(0, self.noise) * statistics.span)
            own = torch.Generator().manual_seed(int(rng.integers(2**63)))  # numpy's take three times as long
            noise = torch.randn(image.shape, generator=own)
            if self.grain:
                noise = grains(noise, float(rng.uniform(0, self.grain)))
            image.add_(noise, alpha=strength)
        return image

    def paint_disease(
        self,
        image: torch.Tensor,
        target: torch.Tensor,
        statistics: Statistics,
        rng: np.random.Generator,
        spacing: Triple = (1.0, 1.0, 1.0),
    ) -> None:
        """Perhaps another intensity of each label, lesions that stay part of it, fluid and bowel around; in place.

        Args:
            image: float32 ``[1, 1, z, y, x]`` in the scan's units, before normalisation.
            target: uint8 ``[1, c, z, y, x]``.
            statistics: The model's intensity range in the same units.
            rng: Source of randomness.
            spacing: Size (x, y, z) of a voxel in mm.
        """
        values = image[0, 0].numpy()
        for label in target[0].numpy():
            inside, is_known = label == 1, bool((label != UNKNOWN).all())
            is_there = bool(inside.any())
            if self.organ_shift and is_known and is_there and rng.random() < _SHIFTED:
                amount = rng.uniform(-self.organ_shift, self.organ_shift) * statistics.span
                if self.fluid:
                    usual = float(np.median(values[inside]))
                    amount = max(amount, min(_DARKEST_HU - usual, 0.0))
                shift_organ(values, inside, float(amount))
            if self.lesions and rng.random() < self.lesions:
                paint_lesions(values, inside, spacing, self.lesion_contrast * statistics.span, rng)
            if self.fluid and (is_known or is_there) and rng.random() < self.fluid:
                value = float(rng.uniform(*_FLUID_HU))
                if is_there:
                    value = min(value, float(np.median(values[inside])) - _FLUID_DARKER)
                organ = inside | ((label == UNKNOWN) & (values > _SOFT_HU))  # what is fluid now is known to be none
                left = surround_with_fluid(values, organ, spacing, value, rng)
                label[organ & ~left] = 0
        if self.bowel and rng.random() < self.bowel:
            labels = target[0].numpy()
            before = (labels == 1).any(axis=0)
            for label in labels:
                if (label == 1).any() and rng.random() < _ENDED:
                    label[(label == 1) & ~end_organ(values, label == 1, spacing, rng)] = 0
            paint_bowel(values, (labels == 1).any(axis=0), before, spacing, rng)

    def end_scan(
        self,
        image: torch.Tensor,
        target: torch.Tensor,
        outside: Sequence[float],
        rng: np.random.Generator,
        spacing: Triple = (1.0, 1.0, 1.0),
    ) -> None:
        """Perhaps end the scan at a plane across the patch, in place: beyond there is air and no organ.

        Args:
            image: float32 ``[1, channels, z, y, x]``.
            target: uint8 ``[1, c, z, y, x]``.
            outside: Intensity of each channel outside of the scan.
            rng: Source of randomness.
            spacing: Size (x, y, z) of a voxel in mm.
        """
        if not self.cut or rng.random() >= self.cut:
            return
        normal = rng.normal(0, 0.15, 3)
        normal[rng.choice([0, 0, 0, 1, 2])] = rng.choice([-1, 1])
        sides, shape = _sides(spacing), image.shape[2:]
        axes = [(np.arange(n) - (n - 1) / 2) * side for n, side in zip(shape, sides, strict=True)]
        heights = [axis * slope for axis, slope in zip(axes, normal, strict=True)]
        height = heights[0][:, None, None] + heights[1][:, None] + heights[2]
        beyond = torch.from_numpy(height > rng.uniform(0, 0.35) * max(shape * sides))
        image[..., beyond] = torch.tensor(outside, dtype=image.dtype)[:, None]
        target[..., beyond] = 0


def _enlarged(nodes: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Trilinear from corner to corner: ``[c, ...]`` of a few nodes along each axis to ``[c, z, y, x]``."""
    return along_axes(
        nodes,
        [
            functional.interpolate(torch.eye(m)[None], n, mode="linear", align_corners=True)[0].T
            for m, n in zip(nodes.shape[1:], shape, strict=True)
        ],
    )


def _sides(spacing: Triple) -> np.ndarray:
    """Sides (z, y, x) of a voxel of (x, y, z) mm, as parts of the cube's of its volume; exactly 1 where it is one."""
    sides = np.asarray(spacing[::-1], float)
    sides /= sides[0]
    return sides / np.exp(np.log(sides).mean())


def _moved_inside(centre: np.ndarray, reach: np.ndarray, shape: Shape) -> np.ndarray:
    """The centre of what reaches so far to both sides, moved into the shape, or to its middle if it is longer."""
    last = np.asarray(shape) - 1
    reach = np.minimum(reach, last / 2)
    return np.clip(centre, reach, last - reach)


def _rotation(angles: np.ndarray) -> np.ndarray:
    """3x3 rotation in (z, y, x) order by angles in radians around each axis in turn."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = [i for i in range(3) if i != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix

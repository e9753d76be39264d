"""Tell what a whole scan shows, and where that was seen: a classifier's answer and its class activation maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from Med3DCore.errors import ModelError, SettingError
from Med3DCore.geometry import Geometry, triple
from Med3DCore.inference.classify import activated, stage_network
from Med3DCore.inference.device import Device
from Med3DCore.models.kinds import CLASSIFIER, SCAN_CLASSIFIER
from Med3DCore.models.package import ModelPackage
from Med3DCore.networks.average import Average
from Med3DCore.networks.heads import ClassificationHead
from Med3DCore.networks.layers import per_axis
from Med3DCore.networks.network import Network
from Med3DCore.preprocessing.cube import cut_block, scan_middle
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.preprocessing.resample import resample
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

MUCH_UNSEEN = 0.25
"""Part of a scan outside of the window: more than the air and shoulders beside a window about the lungs."""

# Voxels of a map to look at, along one of its own: enough that interpolation between them looks the same.
_FINER = 3


@dataclass(frozen=True)
class ScanAnswer:
    """What a classifier says of a scan.

    Args:
        probabilities: Of each class, whose sum is 1, or of each label by itself.
        maps: Class or label to its activation map float32 ``[z, y, x]`` on ``geometry``: what each place adds to the
            logit, of which, but for a constant, the map's mean is.
        geometry: The coarse grid of the maps.
        exclusive: Whether a scan is of one class.
    """

    probabilities: dict[str, float]
    maps: dict[str, np.ndarray]
    geometry: Geometry
    exclusive: bool

    @property
    def likeliest(self) -> str:
        """The class or label of the highest probability."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def called(self) -> list[str]:
        """What it says that the scan shows: the likeliest class, or the labels of at least 0.5."""
        if self.exclusive:
            return [self.likeliest]
        return [name for name, value in self.probabilities.items() if value >= 0.5]

    def map_on(self, label: str, geometry: Geometry) -> np.ndarray:
        """A map on another grid, such as the scan's: float32 ``[z, y, x]``, 0 where the network did not look.

        Raises:
            SettingError: There is no such class.
        """
        if label not in self.maps:
            raise SettingError(f"The model does not know '{label}'; it knows {', '.join(self.maps)}.")
        return resample(self.maps[label], self.geometry, geometry, beyond_mm=max(self.geometry.spacing))


class ScanClassifier:
    """A classifier of whole scans, ready to run.

    Args:
        package: The model.
        device: Where to compute.

    Attributes:
        exclusive: Whether a scan is of one class.

    Raises:
        ModelError: It is no such classifier, or is damaged.
    """

    def __init__(self, package: ModelPackage, device: Device) -> None:
        if package.kind == CLASSIFIER:
            raise ModelError(f"{package.reference} answers for points, not for whole scans; use `med3d classify run`.")
        if package.kind != SCAN_CLASSIFIER:
            raise ModelError(f"{package.reference} is no classifier of whole scans; choose one of a task of volumes.")
        self.package, self.stage, self.device = package, package.stages[0], device
        self.exclusive = self.stage.activation == "softmax"
        self.preprocessing = Preprocessing.from_dict(self.stage.preprocessing)
        self.network = stage_network(package, device)

    @torch.inference_mode()
    def classify(self, volume: Volume) -> ScanAnswer:
        """Look at a scan, in any orientation; of one larger than the window at what is around its middle."""
        intensity, stage = self.preprocessing.intensity, self.stage
        statistics = intensity.measure(volume)
        block, grid = cut_block(volume, scan_middle(volume), self.preprocessing.spacing, stage.window, statistics)
        patch = torch.from_numpy(intensity.apply(block, statistics))[None, None]
        with self.device.autocast():
            patch = patch.to(self.device.torch_device, memory_format=torch.channels_last_3d)
            logits, maps = _looked(self.network, patch)
        if self.exclusive:  # only differences count there
            maps = maps - maps.mean(dim=1, keepdim=True)
        found = activated(logits, stage.activation)[0]
        arrays = maps[0].float().cpu().numpy()
        strides = per_axis(_members(self.network)[0].encoder.strides[-1])
        return ScanAnswer(
            dict(zip(stage.labels, map(float, found), strict=True)),
            dict(zip(stage.labels, arrays, strict=True)),
            coarser(grid, triple(arrays.shape[1:]), strides),
            self.exclusive,
        )

    def warn_of_unseen(self, volume: Volume, progress: Progress) -> None:
        """Warn of a scan of which much lies outside of the window."""
        unseen = self.unseen(volume)
        if unseen > MUCH_UNSEEN:
            progress.warn(f"The model looks at the middle of a scan; {unseen:.0%} of this one it did not see.")

    def unseen(self, volume: Volume) -> float:
        """Part of a scan that lies outside of the window, 0..1; from ``MUCH_UNSEEN`` on people should know it."""
        low, high = volume.geometry.bounds()
        reach = np.array(self.stage.window[::-1]) * np.array(self.preprocessing.spacing)
        return float(1 - np.prod(np.minimum(1.0, reach / (high - low))))


def coarser(grid: Geometry, shape: Sequence[int], strides: Sequence[int]) -> Geometry:
    """The grid of a map of an encoder, whose first voxel lies on the first of its input.

    Args:
        grid: Of the input.
        shape: Of the map (z, y, x).
        strides: Input voxels per voxel of the map (z, y, x).
    """
    spacing = triple(s * n for s, n in zip(grid.spacing, reversed(strides), strict=True))
    return Geometry(triple(reversed(shape)), spacing, grid.origin, grid.direction)


def thinned(scan: Geometry, maps: Geometry) -> Geometry:
    """The box of a scan in voxels as large as a map allows, to look at: whole maps of a fine scan take gigabytes.

    Args:
        scan: The scan's grid.
        maps: The grid of its maps.
    """
    wanted = min(maps.spacing) / _FINER
    sides = [n * own for n, own in zip(scan.size, scan.spacing, strict=True)]
    size = triple(min(n, max(1, round(side / wanted))) for n, side in zip(scan.size, sides, strict=True))
    spacing = triple(side / n for side, n in zip(sides, size, strict=True))
    shift = scan.direction_matrix @ (np.subtract(spacing, scan.spacing) / 2)
    return Geometry(size, spacing, triple(float(v) for v in scan.origin + shift), scan.direction)


def _members(network: Network | Average) -> list[Network]:
    return [cast(Network, each) for each in network.members] if isinstance(network, Average) else [network]


def _looked(network: Network | Average, patch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits ``[1, classes]`` and activation maps ``[1, classes, z, y, x]``; of several networks their means."""
    logits, maps = [], []
    for member in _members(network):
        features = [member.encoder(patch)]
        head = cast(ClassificationHead, member.decoder)
        logits.append(head(features, patch.shape[2:]).float())
        maps.append(head.class_maps(features).float())
    return torch.stack(logits).mean(dim=0), torch.stack(maps).mean(dim=0)

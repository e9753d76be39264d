"""Tell what is at points of a scan: a classifier's answer for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from Med3DCore.errors import ModelError
from Med3DCore.geometry import Triple
from Med3DCore.inference.device import Device
from Med3DCore.models.package import CLASSIFIER, ModelPackage
from Med3DCore.models.weights import load_into
from Med3DCore.networks import build_network
from Med3DCore.preprocessing.cube import cut_block, require_inside
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

_BATCH = 8


@dataclass(frozen=True)
class Answer:
    """What a classifier says of a point.

    Args:
        name: What the point is called.
        centre: LPS mm.
        probabilities: Of each class; their sum is 1.
    """

    name: str
    centre: Triple
    probabilities: dict[str, float]

    @property
    def label(self) -> str:
        """The likeliest class."""
        return max(self.probabilities, key=self.probabilities.get)


class Classifier:
    """A classification model ready to run.

    Args:
        package: The model.
        device: Where to compute.

    Raises:
        ModelError: It is no classifier, or is damaged.
    """

    def __init__(self, package: ModelPackage, device: Device) -> None:
        if package.kind != CLASSIFIER:
            raise ModelError(f"{package.reference} is no classifier; choose one that `med3d classify train` made.")
        self.stage, self.device = package.stages[0], device
        self.preprocessing = Preprocessing.from_dict(self.stage.preprocessing)
        self.network = build_network(self.stage.network)
        load_into(self.network, package.read_weights(self.stage.name), f"'{self.stage.name}' of {package.reference}")
        self.network.to(device.torch_device, memory_format=torch.channels_last_3d).eval()

    def classify(
        self, volume: Volume, centres: Sequence[tuple[str, Triple]], progress: Progress | None = None
    ) -> list[Answer]:
        """Look at points of a scan.

        Args:
            volume: The scan, in any orientation.
            centres: Name and LPS mm of each point.
            progress: Followed, and may cancel.

        Raises:
            DataError: A point lies outside of the scan.
            Cancelled: The user stopped.
        """
        for name, centre in centres:
            require_inside(volume, centre, f"'{name}'")
        preprocessing, window = self.preprocessing, self.stage.window
        statistics = preprocessing.intensity.measure(volume)
        blocks = (cut_block(volume, centre, preprocessing.spacing, window, statistics)[0] for _, centre in centres)
        patches = (preprocessing.intensity.apply(block, statistics) for block in blocks)
        found = class_probabilities(self.network, patches, self.device, len(centres), progress)
        return [
            Answer(name, centre, dict(zip(self.stage.labels, map(float, row), strict=True)))
            for (name, centre), row in zip(centres, found, strict=True)
        ]


@torch.inference_mode()
def class_probabilities(
    network: nn.Module, patches: Iterable[np.ndarray], device: Device, count: int, progress: Progress | None = None
) -> np.ndarray:
    """Softmax of a classification network in evaluation mode.

    Args:
        network: Float ``[n, 1, z, y, x]`` to logits ``[n, classes]``.
        patches: Normalised float32 ``[z, y, x]``; taken one by one, so that they need not all be in memory.
        device: Where to compute.
        count: How many patches there are.
        progress: Followed, and may cancel.

    Returns:
        Float64 ``[count, classes]``.
    """
    progress, found, batch = progress or Progress(), [], []
    for number, patch in enumerate(patches, start=1):
        batch.append(patch)
        if len(batch) == _BATCH or number == count:
            progress.update(number / count)
            images = torch.from_numpy(np.stack(batch))[:, None]
            images = images.to(device.torch_device, memory_format=torch.channels_last_3d)
            with device.autocast():
                logits = network(images)
            found.append(logits.double().softmax(dim=1).cpu().numpy())
            batch = []
    return np.concatenate(found)

"""Tell what is at points of a scan: a classifier's answer for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import nn

from Med3DCore.errors import ModelError, SettingError
from Med3DCore.geometry import Triple
from Med3DCore.inference.device import Device
from Med3DCore.models.kinds import CLASSIFIER, SCAN_CLASSIFIER
from Med3DCore.models.package import ModelPackage
from Med3DCore.networks.average import Average
from Med3DCore.networks.network import Network
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
        return max(self.probabilities, key=self.probabilities.__getitem__)


class Classifier:
    """A classification model ready to run.

    Args:
        package: The model.
        device: Where to compute.
        prevalence: How common the second class (malignant) is where it is used, 0..1; by default as common as in what
            it learned from. See :func:`at_prevalence`.

    Attributes:
        package: The model.
        prevalence: Of which its probabilities are.

    Raises:
        ModelError: It is no classifier, is damaged, or does not say how common the classes were in its training.
        SettingError: The prevalence is not between 0 and 1.
    """

    def __init__(self, package: ModelPackage, device: Device, prevalence: float | None = None) -> None:
        if package.kind == SCAN_CLASSIFIER:
            raise ModelError(f"{package.reference} answers for whole scans, not for points; use `med3d classify scan`.")
        if package.kind != CLASSIFIER:
            raise ModelError(f"{package.reference} is no classifier; choose one that `med3d classify train` made.")
        self.package, self.stage, self.device = package, package.stages[0], device
        self.taught = taught_prevalence(package)
        self.prevalence = self.taught if prevalence is None else prevalence
        if prevalence is not None and not 0 < prevalence < 1:
            raise SettingError(f"The prevalence is {prevalence}; it must be between 0 and 1, such as 0.05 for 5 %.")
        if prevalence is not None and self.taught is None:
            raise ModelError(f"{package.reference} does not say how common its classes were in training.")
        self.preprocessing = Preprocessing.from_dict(self.stage.preprocessing)
        self.network = stage_network(package, device)

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
        if self.taught is not None and self.prevalence is not None:
            found = at_prevalence(found, self.taught, self.prevalence)
        return [
            Answer(name, centre, dict(zip(self.stage.labels, map(float, row), strict=True)))
            for (name, centre), row in zip(centres, found, strict=True)
        ]


def stage_network(package: ModelPackage, device: Device) -> Network | Average:
    """The network of a model of one stage, in evaluation mode on a device.

    Raises:
        ModelError: It is damaged.
    """
    network = cast(Network | Average, package.network(package.stages[0].name))
    device.place(network)
    return network


def taught_prevalence(package: ModelPackage) -> float | None:
    """How common the second class was in what a classifier learned from: each patch showed it with this chance.

    None if the package does not say it, or it was taught one class alone.
    """
    settings = package.provenance.get("training")
    own = settings.get(package.stages[0].name) if isinstance(settings, dict) else None
    share = own.get("foreground") if isinstance(own, dict) else None
    return float(share) if isinstance(share, int | float) and 0 < share < 1 else None


def at_prevalence(found: np.ndarray, taught: float, prevalence: float) -> np.ndarray:
    """Probabilities where the second class is as common as stated, by Bayes' theorem.

    What is seen of a nodule multiplies the odds before by a likelihood ratio, which does not depend on how common the
    class is; so the odds are divided by those of the training and multiplied by those of the prevalence.

    Args:
        found: Probabilities of two classes, ``[n, 2]``.
        taught: How common the second was in training, 0..1.
        prevalence: How common it is, 0..1.

    Examples:
        >>> at_prevalence(np.array([[0.5, 0.5]]), 0.5, 0.1)
        array([[0.9, 0.1]])
    """
    shifted = found * [(1 - prevalence) / (1 - taught), prevalence / taught]
    return shifted / shifted.sum(axis=1, keepdims=True)


def activated(logits: torch.Tensor, activation: str) -> np.ndarray:
    """Logits ``[n, classes]`` to probabilities, float64 on the CPU."""
    exact = logits.double()
    return (exact.sigmoid() if activation == "sigmoid" else exact.softmax(dim=1)).cpu().numpy()


@torch.inference_mode()
def class_probabilities(
    network: nn.Module,
    patches: Iterable[np.ndarray],
    device: Device,
    count: int,
    progress: Progress | None = None,
    activation: str = "softmax",
) -> np.ndarray:
    """What a classification network in evaluation mode says.

    Args:
        network: Float ``[n, 1, z, y, x]`` to logits ``[n, classes]``.
        patches: Normalised float32 ``[z, y, x]``; taken one by one, so that they need not all be in memory.
        device: Where to compute.
        count: How many patches there are.
        progress: Followed, and may cancel.
        activation: ``"softmax"`` or ``"sigmoid"``, as of its stage.

    Returns:
        Probabilities, float64 ``[count, classes]``.
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
            found.append(activated(logits, activation))
            batch = []
    return np.concatenate(found)

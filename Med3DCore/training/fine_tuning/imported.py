"""Teach an imported model more of its own labels, or new ones, on its own grid, by its own preprocessing.

The cases show some of its labels, often one of a hundred. What is known not to be that one may be any of the others,
the background among them: the loss asks for no more, and what the parent says of the others is kept (:mod:`.keeping`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from Med3DCore.inference.device import Device
from Med3DCore.models.stage import Stage
from Med3DCore.networks.average import Average
from Med3DCore.networks.network import Network
from Med3DCore.preprocessing.imported import imported_preprocessing
from Med3DCore.preprocessing.intensity import Statistics
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case, read_image
from Med3DCore.training.cases.label import read_label
from Med3DCore.training.cases.prepared import Prepared, PreparedCase, identity_of, target_on
from Med3DCore.training.fine_tuning.keeping import keeping_loss
from Med3DCore.training.learning.initialization import network_of
from Med3DCore.training.learning.losses import marginal_label_loss, partial_label_loss
from Med3DCore.training.learning.recipe import StageRecipe
from Med3DCore.training.learning.task import Task
from Med3DCore.training.patches.sampling import PatchSampler
from Med3DCore.volume import Volume

_AS_IT_IS = Statistics(-np.inf, np.inf, 0.0, 1.0)


@dataclass(frozen=True)
class Normalised:
    """The intensities of cases that are normalised already, as nnU-Net varies them."""

    name: ClassVar[str] = "normalised"

    def measure(self, volume: Volume) -> Statistics:  # noqa: ARG002 - one signature for all methods
        """Nothing to do."""
        return _AS_IT_IS

    def apply(self, array: np.ndarray, statistics: Statistics) -> np.ndarray:  # noqa: ARG002
        """The array."""
        return array


def taught_labels(stage: Stage, cases: Sequence[Case]) -> list[str]:
    """Labels of a stage of which a case says where they are, in the stage's order."""
    return [name for name in stage.found if any(name in case.annotated for case in cases)]


def prepare_imported(
    cases: Sequence[Case], stage: Stage, labels: Sequence[str], progress: Progress
) -> list[Prepared[Case]]:
    """Cases on the grid of an imported network, normalised; a target for each of the taught labels.

    Args:
        cases: The cases.
        stage: The imported one.
        labels: From :func:`taught_labels`.
        progress: Followed; may cancel.

    Raises:
        DataError: Image and label do not lie on the same grid, or the label has other values than described.
    """
    preprocessing = imported_preprocessing(stage.preprocessing)
    prepared: list[Prepared[Case]] = []
    for number, case in enumerate(cases):
        progress.update(number / len(cases))
        volume = read_image(case)
        frame = preprocessing.frame([volume])
        (image,) = preprocessing.apply([volume], frame)
        label = None if case.label is None else read_label(case, volume.geometry, names=labels)
        grid = frame.geometry(volume.geometry)
        target = np.stack([target_on(case, name, label, volume.geometry, grid) for name in labels])
        prepared.append(PreparedCase(case, image, target, grid, _AS_IT_IS))
    return prepared


class ImportedTask(Task[Network | Average]):
    """Learn an imported network from labelled patches.

    Args:
        recipe: The stage and settings.
        cases: All cases, as :func:`prepare_imported` gives them.
        labels: Those of the target, in its order.
        seed: Seed of the patches.
        initial: Weights to start from.
        parent: The stage of the parent, which has no new labels yet, and its weights.
    """

    def __init__(
        self,
        recipe: StageRecipe,
        cases: Sequence[Prepared],
        labels: Sequence[str],
        seed: int,
        initial: dict[str, Tensor],
        parent: tuple[Stage, dict[str, Tensor]],
    ) -> None:
        stage, settings = recipe.stage, recipe.training
        self.name = f"train {stage.name}"
        self.identity = [stage.network, stage.preprocessing, list(labels), identity_of(cases)]
        self.recipe, self.initial = recipe, initial
        self.loss_of = loss_of(stage, labels)
        self.parent = network_of(*parent).eval().requires_grad_(False)
        self.taught = [stage.labels.index(name) for name in labels]
        self.sampler = PatchSampler(
            [case for case in cases if case.case.split == "training"],
            Normalised(),
            settings.patch,
            settings.batch,
            settings.foreground,
            settings.augmentation,
            seed,
            settings.anybody,
        )

    def build(self) -> Network | Average:
        """The parent's network."""
        return network_of(self.recipe.stage, self.initial)

    def draw(self, number: int) -> tuple[Tensor, Tensor]:
        """Image ``[n, 1, z, y, x]`` float32 and target ``[n, c, z, y, x]`` uint8."""
        return self.sampler.draw(number)

    def loss(self, network: Callable[[Tensor], Tensor], batch: tuple[Tensor, Tensor], device: Device) -> Tensor:
        """Cross-entropy and Dice of what is known, and what keeps the labels that are not taught."""
        image, target = (part.to(device.torch_device) for part in batch)
        with device.autocast():
            logits = network(image)
        device.place(self.parent)
        with device.autocast(), torch.no_grad():
            before = self.parent(image)
        kept = keeping_loss(logits, before, target, self.taught, self.recipe.stage.activation)
        return self.loss_of(logits, target) + kept


def loss_of(stage: Stage, labels: Sequence[str]) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of a stage's logits against targets of some of its labels."""
    channels = [stage.labels.index(name) for name in labels]
    if stage.activation == "sigmoid":
        return lambda logits, target: partial_label_loss(logits[:, channels], target)
    return lambda logits, target: marginal_label_loss(logits, target, channels)

"""Learn to say what a whole scan shows: one of several classes, or any of several labels.

The network is the encoder, pooling over the whole window (:class:`Med3DCore.networks.heads.ClassificationHead`) and
softmax or sigmoid. The window lies around the middle of the scan, at one spacing, as published classifiers of chest CTs
pad or crop their volumes. Rare answers weigh more in the loss, so that they are learned, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from Med3DCore.errors import SettingError
from Med3DCore.evaluation.classification import auc
from Med3DCore.inference.classify import class_probabilities
from Med3DCore.inference.device import Device
from Med3DCore.models.kinds import SCAN_CLASSIFYING
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import UNKNOWN
from Med3DCore.training.cases.prepared import Prepared
from Med3DCore.training.classification.block_task import BlockTask
from Med3DCore.training.classification.classified import Scan, answers_of, require_shown
from Med3DCore.training.learning.recipe import Recipe, StageRecipe
from Med3DCore.training.learning.task import Validation

_SHIFT = 0.05
_HEAVIEST = 20.0
"""The most that a class or label weighs beside another, however rare it is."""


def scan_stage(recipe: Recipe, classes: Sequence[str]) -> StageRecipe:
    """The one stage of a recipe for a classifier of whole scans.

    Args:
        recipe: The recipe.
        classes: Names of the classes or labels.

    Raises:
        SettingError: It is no such recipe.
    """
    stage, training = recipe.stages[0].stage, recipe.stages[0].training
    weights = len(training.class_weights)
    for holds, rule in (
        (len(recipe.stages) == 1, "have one stage"),
        (stage.network["decoder"].get("name") == SCAN_CLASSIFYING, f"have the decoder '{SCAN_CLASSIFYING}'"),
        (tuple(stage.labels) == tuple(classes), f"have the labels {', '.join(classes)}"),
        (stage.network["out_channels"] == len(classes), f"have {len(classes)} out_channels, one a label"),
        (stage.activation == "sigmoid" or len(classes) > 1, "have the activation sigmoid for a single label"),
        (tuple(stage.window) == tuple(training.patch), "have a patch as large as its window"),
        (weights in (0, len(classes)), f"have {len(classes)} class_weights, or none"),
    ):
        if not holds:
            raise SettingError(f"This is no recipe for a classifier of whole scans, which must {rule}.")
    return recipe.stages[0]


class ScanTask(BlockTask[Scan]):
    """Learn one classification network from whole scans.

    Args:
        recipe: Network, preprocessing and settings.
        scans: All blocks, see :func:`.blocks.prepare_blocks`.
        seed: Seed of patches and order.
        initial: Weights to start from, of the same network or of its encoder alone; None for random ones.

    Attributes:
        weights: Of each class in the loss, or of the scans that show each label; float32 ``[classes]``.
        never_shown: Labels that no training scan shows.

    Raises:
        DataError: From these scans nothing can be learned.
    """

    def __init__(
        self, recipe: StageRecipe, scans: Sequence[Prepared[Scan]], seed: int, initial: dict[str, Tensor] | None = None
    ) -> None:
        self.exclusive = recipe.stage.activation == "softmax"
        self.never_shown = require_shown([each.case for each in scans], self.exclusive)
        super().__init__(recipe, scans, seed, initial)
        given = recipe.training.class_weights
        self.weights = np.array(given or rarity(answers_of(self.training), self.exclusive), np.float32)

    def draw(self, number: int) -> tuple[Tensor, Tensor]:
        """Image ``[n, 1, z, y, x]`` float32 and answers uint8 ``[n, classes]``; each scan comes once a round."""
        rng, batch = np.random.default_rng([self.seed, number]), self.recipe.training.batch
        images, answers = [], []
        for place in range(number * batch, (number + 1) * batch):
            scan = self.training[self._turn(place)]
            patch = self.varied(scan, _SHIFT, rng).contiguous().numpy()
            images.append(torch.from_numpy(self.intensity.apply(patch, scan.statistics))[None])
            answers.append(torch.tensor(scan.case.answer, dtype=torch.uint8))
        return torch.stack(images), torch.stack(answers)

    def loss(self, network: nn.Module, batch: tuple[Tensor, Tensor], device: Device) -> Tensor:
        """Cross-entropy over the classes, or over each label where it is known; weighted."""
        images, answers = batch
        with device.autocast():
            logits = network(images.to(device.torch_device, memory_format=torch.channels_last_3d))
        answers = answers.to(device.torch_device)
        weights = torch.from_numpy(self.weights).to(device.torch_device)
        if self.exclusive:
            return functional.cross_entropy(logits.float(), answers.argmax(dim=1), weights)
        told = (answers != UNKNOWN).float()
        losses = functional.binary_cross_entropy_with_logits(
            logits.float(), (answers == 1).float(), told, pos_weight=weights, reduction="sum"
        )
        return losses / told.sum().clamp(min=1)

    def validate(self, network: nn.Module, device: Device, progress: Progress) -> Validation:
        """The mean of the AUCs that are defined, and ``{"AUC": {label: AUC}}``."""
        if not self.validation:
            return Validation()
        found, answers = self.probabilities(network, device, progress), answers_of(self.validation)
        areas = {}
        for column, name in enumerate(self.recipe.stage.labels):
            told = answers[:, column] != UNKNOWN
            area = float(auc(found[told, column], answers[told, column] == 1))
            if np.isfinite(area):
                areas[name] = round(area, 4)
        return Validation(float(np.mean(list(areas.values()))) if areas else None, {"AUC": areas})

    def probabilities(self, network: nn.Module, device: Device, progress: Progress) -> np.ndarray:
        """What a network says of the held-out scans, float64 ``[n, classes]``."""
        seen = map(self.seen, self.validation)
        return class_probabilities(network, seen, device, len(self.validation), progress, self.recipe.stage.activation)

    def _turn(self, place: int) -> int:
        """Which training scan comes at a place of the endless sequence; each round has its own order."""
        turn, within = divmod(place, len(self.training))
        return int(np.random.default_rng([self.seed, 1, turn]).permutation(len(self.training))[within])


def rarity(answers: np.ndarray, exclusive: bool) -> np.ndarray:
    """Weights by which classes count alike, or scans with and without a label do; at most 20.

    Args:
        answers: Of the training scans, uint8 ``[n, classes]``: 1, 0, or 255 for unknown.
        exclusive: Whether each scan is of one class.

    Examples:
        >>> rarity(np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.uint8), exclusive=True).tolist()
        [0.6666666666666666, 2.0]
    """
    shown, other = (answers == 1).sum(axis=0), (answers == 0).sum(axis=0)
    if exclusive:
        return len(answers) / (answers.shape[1] * np.maximum(shown, 1))
    weights = np.where((shown > 0) & (other > 0), other / np.maximum(shown, 1), 1.0)
    return np.clip(weights, 1 / _HEAVIEST, _HEAVIEST)

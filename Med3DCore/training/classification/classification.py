"""Learn to tell benign from malignant nodules: classification as a task of the training loop (papers.md A7, B3.1).

The network is an encoder, global average pooling and a 1x1x1 convolution to two classes. Patches are varied as VDT
does: the centre is moved by up to a tenth of the patch, the patch turned by right angles and mirrored, which a nodule
does not mind, and then as :class:`.Augmentation` says.
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
from Med3DCore.models.kinds import CLASSIFYING
from Med3DCore.progress import Progress
from Med3DCore.training.cases.prepared import Prepared
from Med3DCore.training.classification.block_task import BlockTask
from Med3DCore.training.classification.nodules import CLASSES, Nodule, require_both
from Med3DCore.training.learning.recipe import Recipe, StageRecipe
from Med3DCore.training.learning.task import Validation

_SHIFT = 0.1


def classifier_stage(recipe: Recipe, classes: tuple[str, str] = CLASSES) -> StageRecipe:
    """The one stage of a recipe for a classifier.

    Args:
        recipe: The recipe.
        classes: Names of both classes.

    Raises:
        SettingError: It is no such recipe.
    """
    stage, training = recipe.stages[0].stage, recipe.stages[0].training
    spacing = set(stage.preprocessing["spacing"])
    for holds, rule in (
        (len(recipe.stages) == 1, "have one stage"),
        (stage.network["decoder"].get("name") == CLASSIFYING, "have the decoder 'classification'"),
        (
            tuple(stage.labels) == classes and stage.network["out_channels"] == 2,
            f"have the labels {', '.join(classes)}",
        ),
        (len(spacing) == len(set(stage.window)) == 1, "look at a cube: one spacing, one window for all axes"),
        (tuple(stage.window) == tuple(training.patch), "have a patch as large as its window"),
    ):
        if not holds:
            raise SettingError(f"This is no recipe for a classifier of nodules, which must {rule}.")
    return recipe.stages[0]


class ClassificationTask(BlockTask[Nodule]):
    """Learn one classification network from blocks around nodules.

    Args:
        recipe: Network, preprocessing and settings; ``foreground`` is the share of malignant patches.
        nodules: All blocks, see :func:`.blocks.prepare_blocks`.
        seed: Seed of the patches.
        initial: Weights to start from, of the same network or of its encoder alone; None for random ones.

    Raises:
        DataError: All training nodules are of one class.
    """

    def __init__(
        self,
        recipe: StageRecipe,
        nodules: Sequence[Prepared[Nodule]],
        seed: int,
        initial: dict[str, Tensor] | None = None,
    ) -> None:
        require_both([each.case for each in nodules])
        super().__init__(recipe, nodules, seed, initial)
        self.by_class = [
            [each for each in self.training if each.case.malignant == malignant] for malignant in (False, True)
        ]

    def draw(self, number: int) -> tuple[Tensor, Tensor]:
        """Image ``[n, 1, z, y, x]`` float32 and class ``[n]`` int64; both classes come as often as asked for."""
        rng = np.random.default_rng([self.seed, number])
        images, classes = [], []
        for _ in range(self.recipe.training.batch):
            malignant = int(rng.random() < self.recipe.training.foreground)
            nodules = self.by_class[malignant]
            images.append(self._varied(nodules[rng.integers(len(nodules))], rng))
            classes.append(malignant)
        return torch.stack(images), torch.tensor(classes)

    def loss(self, network: nn.Module, batch: tuple[Tensor, Tensor], device: Device) -> Tensor:
        """Cross-entropy."""
        images, classes = batch
        with device.autocast():
            logits = network(images.to(device.torch_device, memory_format=torch.channels_last_3d))
        return functional.cross_entropy(logits.float(), classes.to(device.torch_device))

    def validate(self, network: nn.Module, device: Device, progress: Progress) -> Validation:
        """The AUC, None where one class is missing, and such as ``{"malignant": {nodule: probability}}``."""
        if not self.validation:
            return Validation()
        found = class_probabilities(network, map(self.seen, self.validation), device, len(self.validation), progress)
        scores = {each.case.name: round(float(row[1]), 4) for each, row in zip(self.validation, found, strict=True)}
        area = float(auc(found[:, 1], np.array([each.case.malignant for each in self.validation])))
        return Validation(None if np.isnan(area) else area, {self.recipe.stage.labels[1]: scores})

    def _varied(self, nodule: Prepared[Nodule], rng: np.random.Generator) -> Tensor:
        """A patch ``[1, z, y, x]`` as another scan of another such nodule might show it."""
        image = self.varied(nodule, _SHIFT, rng)
        turned = image.permute(*rng.permutation(3).tolist()).flip([axis for axis in range(3) if rng.random() < 0.5])
        return torch.from_numpy(self.intensity.apply(turned.contiguous().numpy(), nodule.statistics))[None]

"""What learning to classify has in common, be it points or whole scans: blocks, and how they are varied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

import numpy as np
import torch
from torch import Tensor, nn

from Med3DCore.networks.average import Average
from Med3DCore.networks.network import Network
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.training.cases.prepared import Prepared, fingerprint
from Med3DCore.training.classification.blocks import Classified, middle_of
from Med3DCore.training.learning.initialization import network_of
from Med3DCore.training.learning.optimization import ParameterGroup
from Med3DCore.training.learning.recipe import StageRecipe
from Med3DCore.training.learning.task import Task
from Med3DCore.training.patches.cut import sample
from Med3DCore.training.segmentation.trainer import rates_by_depth


class BlockTask(Task[Network | Average], Generic[Classified]):
    """Learn one classification network from blocks of scans.

    Args:
        recipe: Network, preprocessing and settings.
        blocks: All blocks, see :func:`.blocks.prepare_blocks`.
        seed: Seed of the patches.
        initial: Weights to start from, of the same network or of its encoder alone; None for random ones.

    Attributes:
        training: The blocks to learn from.
        validation: Those held out.
    """

    def __init__(
        self,
        recipe: StageRecipe,
        blocks: Sequence[Prepared[Classified]],
        seed: int,
        initial: dict[str, Tensor] | None = None,
    ) -> None:
        stage = recipe.stage
        self.name = f"train {stage.name}"
        known = [[each.case.name, each.case.split, fingerprint(each)] for each in blocks]  # the answer is its target
        self.identity = [stage.network, stage.preprocessing, stage.labels, known]
        self.recipe, self.seed, self.initial = recipe, seed, initial
        self.intensity = Preprocessing.from_dict(stage.preprocessing).intensity
        self.training = [each for each in blocks if each.case.split == "training"]
        self.validation = [each for each in blocks if each.case.split == "validation"]

    def build(self) -> Network | Average:
        """The recipe's network."""
        return network_of(self.recipe.stage, self.initial)

    def parameter_groups(self, network: nn.Module) -> list[ParameterGroup]:
        """The classifier at the full rate, the encoder as the settings say."""
        return rates_by_depth(network, self.recipe.training)

    def seen(self, block: Prepared[Classified]) -> np.ndarray:
        """What the network sees of a block in use: the unvaried patch, normalised float32 ``[z, y, x]``."""
        return self.intensity.apply(middle_of(block.image, self.recipe.training.patch).copy(), block.statistics)

    def varied(self, block: Prepared[Classified], shift: float, rng: np.random.Generator) -> Tensor:
        """A patch ``[z, y, x]`` as another scan might show it, in the scan's units.

        Args:
            block: The block.
            shift: How far the patch is moved, part of it.
            rng: Source of randomness.
        """
        settings, image = self.recipe.training, np.array(block.image)
        middle = (np.array(image.shape) - 1) / 2 + rng.uniform(-shift, shift, 3) * settings.patch
        positions = settings.augmentation.positions(middle, settings.patch, rng)
        # A turned and zoomed patch may reach beyond the block, whose border goes on: lung, or air around a patient.
        patch = sample(torch.from_numpy(image), positions)[None, None]
        return settings.augmentation.vary_intensity(patch, block.statistics, rng)[0, 0]

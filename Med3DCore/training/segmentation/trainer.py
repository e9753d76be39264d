"""Train one network of a pipeline: segmentation as a task of the training loop."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from Med3DCore.inference.device import Device
from Med3DCore.inference.sliding_window import sliding_window
from Med3DCore.networks.average import Average
from Med3DCore.networks.network import Network
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.system.distributed import Ranks
from Med3DCore.training.cases.cache import CaseCache, prepare_cases
from Med3DCore.training.cases.case import UNKNOWN, Case
from Med3DCore.training.cases.prepared import Prepared, identity_of, normalised
from Med3DCore.training.learning.initialization import digest, is_encoder_alone, network_of
from Med3DCore.training.learning.loop import train
from Med3DCore.training.learning.losses import supervised_loss
from Med3DCore.training.learning.optimization import ParameterGroup
from Med3DCore.training.learning.recipe import StageRecipe, TrainingSettings
from Med3DCore.training.learning.task import Task, Trained, Validation
from Med3DCore.training.patches.sampling import PatchSampler
from Med3DCore.training.segmentation.checks import require_apart, require_room, require_taught

_ENCODER_LAYERS = ("layer1", "layer2", "layer3", "layer4")
_MEMBER = re.compile(r"^members\.\d+\.")


def train_stage(
    recipe: StageRecipe,
    cases: Sequence[Case],
    folder: Path,
    seed: int,
    device: Device,
    progress: Progress | None = None,
    initial: dict[str, Tensor] | None = None,
    minutes: float | None = None,
    share: float = 1.0,
    finish: bool = False,
    cache: CaseCache | None = None,
    workers: int | None = None,
) -> Trained:
    """Train a network, or go on where an earlier call was stopped.

    Args:
        recipe: Network, preprocessing, labels and settings.
        cases: All cases; their ``split`` says what they are for.
        folder: Where checkpoint and log go; made if missing.
        seed: Seed of weights and sampling.
        device: Where to compute.
        progress: Told after each step; may cancel.
        initial: Weights to start from, of the same network or of its encoder alone; None for random ones.
        minutes: Time for all steps and validations together, or None.
        share: Part of the progress's whole job.
        finish: Do no more steps; give what there is.
        cache: Where prepared cases are kept, or None to keep them in memory.
        workers: How many batches are drawn ahead, see :func:`Med3DCore.training.learning.loop.train`.

    Raises:
        DataError: No training case shows where one of the labels is.
        Med3DError: As :func:`Med3DCore.training.learning.loop.train`.
    """
    progress = progress or Progress()
    task = stage_task(recipe, cases, seed, initial, cache, progress)
    return train(task, recipe.training, folder, seed, device, progress, minutes, share, finish, workers)


def stage_task(
    recipe: StageRecipe,
    cases: Sequence[Case],
    seed: int,
    initial: dict[str, Tensor] | None = None,
    cache: CaseCache | None = None,
    progress: Progress | None = None,
) -> SegmentationTask:
    """What :func:`train_stage` trains, with all cases prepared, so that what is wrong with them is found before.

    Args:
        recipe: As for :func:`train_stage`, and so are all others.
        cases: All cases.
        seed: Seed of the patches.
        initial: Weights to start from.
        cache: Where prepared cases are kept.
        progress: Followed; may cancel.

    Raises:
        DataError: As :func:`train_stage`.
        SettingError: Patch and batch are too small.
    """
    progress = progress or Progress()
    preprocessing, labels = Preprocessing.from_dict(recipe.stage.preprocessing), recipe.stage.found
    with progress.stage(f"{recipe.stage.name}: prepare cases"):
        prepared = prepare_cases(cases, preprocessing, labels, cache, progress)
        require_taught(prepared, {name: channel for channel, name in enumerate(labels)})
        if recipe.stage.activation == "softmax":
            require_apart(prepared, labels)
    task = SegmentationTask(recipe, prepared, seed, initial)
    if initial is not None:  # so that a training is not gone on with after its start was exchanged
        task.identity = [task.identity, digest(initial)]
    return task


class SegmentationTask(Task[Network | Average]):
    """Learn one network of a pipeline from labelled patches.

    Args:
        recipe: Network, preprocessing, labels and settings.
        cases: All cases on the network's grid.
        seed: Seed of the patches.
        initial: As for :func:`train_stage`.
    """

    def __init__(
        self, recipe: StageRecipe, cases: Sequence[Prepared], seed: int, initial: dict[str, Tensor] | None = None
    ) -> None:
        stage, settings = recipe.stage, recipe.training
        self.name = f"train {stage.name}"
        self.identity = [stage.network, stage.preprocessing, stage.labels, identity_of(cases)]
        require_room(recipe)
        self.recipe = recipe
        self.intensity = Preprocessing.from_dict(stage.preprocessing).intensity
        self.initial = initial
        self.validation = [case for case in cases if case.case.split == "validation"]
        training = [case for case in cases if case.case.split == "training"]
        self.sampler = PatchSampler(
            training,
            self.intensity,
            settings.patch,
            settings.batch,
            settings.foreground,
            settings.augmentation,
            seed,
            settings.anybody,
            region=settings.region,
        )

    def build(self) -> Network | Average:
        """The recipe's network."""
        return network_of(self.recipe.stage, self.initial)

    def draw(self, number: int) -> tuple[Tensor, Tensor]:
        """Image ``[n, channels, z, y, x]`` float32 and target ``[n, c, z, y, x]`` uint8."""
        return self.sampler.draw(number)

    def loss(
        self, network: Callable[[Tensor], Tensor | list[Tensor]], batch: tuple[Tensor, Tensor], device: Device
    ) -> Tensor:
        """Cross-entropy and Dice of what is known."""
        image, target = batch
        image = image.to(device.torch_device, memory_format=torch.channels_last_3d)
        with device.autocast():
            outputs = network(image)
        return supervised_loss(outputs, target.to(device.torch_device), self.recipe.stage.activation)

    def validate(self, network: nn.Module, device: Device, progress: Progress) -> Validation:
        """How good it is on the held-out cases: ``{label: {case: Dice}}``, and mL found where there is none.

        The score is the mean over labels of the mean Dice of the cases that show the label, times the part that the
        label's true volume is of itself and all that was found in cases without it: 1 where nothing was.
        """
        labels = self.recipe.stage.found
        dices: dict[str, dict[str, float]] = {name: {} for name in labels}
        wrong: dict[str, dict[str, float]] = {}
        volumes = dict.fromkeys(labels, 0.0)
        found = Ranks.here().spread(lambda case: self._measure(network, case, device, progress), self.validation)
        for case, measured in zip(self.validation, found, strict=True):
            for name, (dice, truth, excess) in measured.items():
                volumes[name] += truth
                if truth:
                    dices[name][case.case.name] = dice
                else:
                    wrong.setdefault(name, {})[case.case.name] = excess
        means = [
            float(np.mean(list(cases.values()))) * volumes[name] / (volumes[name] + sum(wrong.get(name, {}).values()))
            for name, cases in dices.items()
            if cases
        ]
        return Validation(float(np.mean(means)) if means else None, dices, wrong)

    def _measure(
        self, network: nn.Module, case: Prepared, device: Device, progress: Progress
    ) -> dict[str, tuple[float, float, float]]:
        """Dice, true mL and mL found too much of each label that is known, on the network's grid, over known voxels."""
        stage, measured, ml = self.recipe.stage, {}, case.geometry.voxel_volume_ml
        probability = sliding_window(
            network,
            normalised(case, self.intensity),
            stage.window,
            device,
            stage.activation,
            overlap=0.25,
            progress=progress,
        )
        if stage.activation == "softmax":
            likeliest = probability.argmax(axis=0)
            masks = [likeliest == channel for channel in range(1, len(probability))]
        else:
            masks = [channel > 0.5 for channel in probability]
        for name, mask, target in zip(stage.found, masks, case.target, strict=True):
            truth, found = target == 1, mask & (target != UNKNOWN)
            if (target == UNKNOWN).all():
                continue
            right, positive, size = (int(mask.sum()) for mask in (found & truth, found, truth))
            dice = round(2 * right / (positive + size), 4) if size else 0.0
            measured[name] = (dice, size * ml, round((positive - right) * ml, 3))
        return measured

    def parameter_groups(self, network: nn.Module) -> list[ParameterGroup]:
        """The decoder at the full rate, the encoder as the settings say."""
        return rates_by_depth(network, self.recipe.training)

    def pretrained_parts(self, network: Network | Average) -> list[nn.Module]:
        """What the weights to start from are of: nothing, the encoder or all."""
        if self.initial is None:
            return []
        return network.encoders() if is_encoder_alone(self.initial) else [network]


def rates_by_depth(network: nn.Module, settings: TrainingSettings) -> list[ParameterGroup]:
    """What is not the encoder at the full rate, the encoder as the settings say: early layers learn slowest."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        part, _, rest = _MEMBER.sub("", name).partition(".")
        rate = 1.0
        if part == "encoder":
            layer = rest.partition(".")[0]
            depth = _ENCODER_LAYERS.index(layer) + 1 if layer in _ENCODER_LAYERS else 0
            rate = settings.encoder_rate * settings.layer_decay ** (len(_ENCODER_LAYERS) - depth)
        groups.setdefault(rate, []).append(parameter)
    return [ParameterGroup(tuple(parameters), rate) for rate, parameters in groups.items()]

"""Train one network of a pipeline."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from Med3DCore.errors import DataError, Med3DError
from Med3DCore.inference.device import Device
from Med3DCore.inference.sliding_window import sliding_window
from Med3DCore.io import written_beside
from Med3DCore.networks import build_network
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.cases import UNKNOWN, Case, PreparedCase, prepare_case
from Med3DCore.training.losses import partial_label_loss
from Med3DCore.training.recipe import StageRecipe, TrainingSettings
from Med3DCore.training.sampling import PatchSampler


@dataclass(frozen=True)
class TrainedStage:
    """What training gives.

    Args:
        weights: State dict of the averaged network, float32 on the CPU.
        validation: Label name to validation case name to Dice on the network's own grid.
        steps: Steps done.
    """

    weights: dict[str, torch.Tensor]
    validation: dict[str, dict[str, float]]
    steps: int


def train_stage(
    recipe: StageRecipe,
    cases: Sequence[Case],
    folder: Path,
    seed: int,
    device: Device,
    progress: Progress | None = None,
    initial: dict[str, torch.Tensor] | None = None,
) -> TrainedStage:
    """Train a network, or go on where an earlier call was stopped.

    The folder gets ``checkpoint.pt`` (written beside and renamed at each validation) and ``log.jsonl``.

    Args:
        recipe: Network, preprocessing, labels and settings.
        cases: All cases; their ``split`` says what they are for.
        folder: Where checkpoint and log go; made if missing.
        seed: Seed of weights and sampling.
        device: Where to compute.
        progress: Told after each step; may cancel.
        initial: Weights to start from, of the same network; None for random ones.

    Raises:
        DataError: No training case knows anything about one of the labels.
        Med3DError: The loss is not a number; the last checkpoint stays.
    """
    progress = progress or Progress()
    settings, stage = recipe.training, recipe.stage
    preprocessing = Preprocessing.from_dict(stage.preprocessing)
    training = _prepare(cases, "training", preprocessing, stage.labels)
    validation = _prepare(cases, "validation", preprocessing, stage.labels)
    _check_taught(training, stage.labels)
    sampler = PatchSampler(
        training,
        preprocessing.intensity,
        settings.patch,
        settings.batch,
        settings.foreground,
        settings.augmentation,
        seed,
    )
    run = _Run(recipe, folder, seed, device, initial)
    run.resume()
    with progress.stage(f"train {stage.name}", share=1.0):
        for step in range(run.step, settings.steps):
            progress.update(step / settings.steps)
            loss = run.train_step(*sampler.draw(step))
            run.log({"step": step + 1, "loss": round(loss, 5), "rate": run.rate(step), "seconds": progress.elapsed})
            if (step + 1) % settings.validate_every == 0 or step + 1 == settings.steps:
                scores = validate(run.averaged, validation, preprocessing, recipe, device)
                run.log({"step": step + 1, "validation": scores, "seconds": progress.elapsed})
                run.save()
    scores = validate(run.averaged, validation, preprocessing, recipe, device)
    weights = {name: value.detach().cpu().clone() for name, value in run.averaged.state_dict().items()}
    return TrainedStage(weights, scores, run.step)


def validate(
    network: torch.nn.Module,
    cases: Sequence[PreparedCase],
    preprocessing: Preprocessing,
    recipe: StageRecipe,
    device: Device,
) -> dict[str, dict[str, float]]:
    """Dice on the network's grid, over known voxels of the cases that show the label: {label: {case: Dice}}."""
    network.eval()
    scores: dict[str, dict[str, float]] = {name: {} for name in recipe.stage.labels}
    for case in cases:
        array = preprocessing.intensity.apply(case.image.copy(), case.statistics)
        probability = sliding_window(network, array, recipe.stage.window, device, recipe.stage.activation, overlap=0.25)
        for name, channel, target in zip(recipe.stage.labels, probability, case.target, strict=True):
            known = target != UNKNOWN
            truth, found = target == 1, (channel > 0.5) & known
            if truth.any():
                overlap = int((found & truth).sum())
                scores[name][case.case.name] = round(2 * overlap / int(found.sum() + truth.sum()), 4)
    return scores


class _Run:
    """The state of a training: network, its running average, optimizer and step."""

    def __init__(self, recipe: StageRecipe, folder: Path, seed: int, device: Device, initial: dict | None) -> None:
        torch.manual_seed(seed)
        self.settings: TrainingSettings = recipe.training
        self.device = device
        self.network = build_network(recipe.stage.network)
        if initial is not None:
            self.network.load_state_dict(initial)
        self.network.to(device.torch_device, memory_format=torch.channels_last_3d)
        self.averaged = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )
        self.step = 0
        self.folder = folder
        self.identity = json.dumps([recipe.stage.network, recipe.stage.preprocessing, asdict(self.settings), seed])
        folder.mkdir(parents=True, exist_ok=True)

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then half a cosine down to 0."""
        warm = min(1.0, (step + 1) / max(1, self.settings.warmup))
        return self.settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / self.settings.steps))

    def train_step(self, image: torch.Tensor, target: torch.Tensor) -> float:
        """One optimizer step; returns the loss."""
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.step)
        image = image.to(self.device.torch_device, memory_format=torch.channels_last_3d)
        with self.device.autocast():
            logits = self.network(image)
        loss = partial_label_loss(logits, target.to(self.device.torch_device))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise Med3DError(
                f"Training stopped at step {self.step + 1}: the loss is not a number. The last checkpoint is kept in "
                f"{self.folder}; use a lower learning rate."
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        self.step += 1
        self._average()
        return value

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        for mine, theirs in zip(self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)

    def log(self, entry: dict) -> None:
        """Append a line to the log."""
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def save(self) -> None:
        """Write the checkpoint; the last one stays until the new one is whole."""
        state = {
            "identity": self.identity,
            "step": self.step,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with written_beside(self.folder / "checkpoint.pt") as temporary:
            torch.save(state, temporary)

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one.

        Raises:
            DataError: The checkpoint is of another training.
        """
        path = self.folder / "checkpoint.pt"
        if not path.is_file():
            return
        state = torch.load(path, map_location=self.device.torch_device, weights_only=True)
        if state["identity"] != self.identity:
            raise DataError(f"{path} belongs to a training with other settings; choose another folder or remove it.")
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])


def _prepare(
    cases: Sequence[Case], split: str, preprocessing: Preprocessing, labels: Sequence[str]
) -> list[PreparedCase]:
    return [prepare_case(case, preprocessing, labels) for case in cases if case.split == split]


def _check_taught(cases: Sequence[PreparedCase], labels: Sequence[str]) -> None:
    for index, name in enumerate(labels):
        if not any((case.target[index] == 1).any() for case in cases):
            raise DataError(f"No training case shows where '{name}' is; label it in at least one case.")

"""A training on its way: where it stands, and how it is kept and taken up again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from Med3DCore.errors import Cancelled, DataError
from Med3DCore.inference.device import Device
from Med3DCore.system.distributed import Ranks
from Med3DCore.training.learning.checkpoint import BEST, TrainingLog, load_checkpoint, save_checkpoint
from Med3DCore.training.learning.loop_settings import LoopSettings
from Med3DCore.training.learning.optimization import (
    RunningAverage,
    freeze_batch_norm,
    keep_frozen_statistics,
    make_optimizer,
)
from Med3DCore.training.learning.task import Task, Trained, Validation

# When no number of steps between validations is given: part of the time that they may take, and when the first comes.
_VALIDATION_SHARE = 0.1
_FIRST_VALIDATION = 0.2


class Run:
    """The state of a training: weights, running average, optimizer, loss scale, scores and clocks.

    Args:
        task: What to learn.
        settings: How long and how fast.
        folder: Where checkpoints and log are.
        seed: Seed of weights and of all that is random in a step.
        device: Where to compute.
        budget: Seconds for steps and validations together, earlier calls included.
        ranks: Which of how many processes this one is.
    """

    def __init__(
        self,
        task: Task,
        settings: LoopSettings,
        folder: Path,
        seed: int,
        device: Device,
        budget: float,
        ranks: Ranks,
    ) -> None:
        torch.manual_seed(seed)
        self.task, self.settings, self.folder, self.seed, self.device = task, settings, folder, seed, device
        self.budget, self.ranks = budget, ranks
        self.network = task.build()
        device.place(self.network)
        self.average = RunningAverage(self.network, settings.ema)
        groups = task.parameter_groups(self.network)
        self.optimizer = make_optimizer(settings.optimizer, groups, settings.learning_rate, settings.weight_decay)
        self.freeze()
        self.loss = ranks.wrap(_Loss(task, self.network, device), task.idle_parts)
        # Half precision has so small a range that gradients must be scaled into it.
        self.scaler = torch.amp.GradScaler(device.torch_device.type, enabled=device.dtype == torch.float16)
        self.step = 0
        self.validated = -1
        self.validation = Validation()
        self.best: float | None = None
        self.stale = 0
        self.earlier_seconds = 0.0
        self.begin = self.saved = time.monotonic()
        self.clock = self.validation_ended = self.validation_seconds = 0.0
        self.identity = _plain([task.identity, asdict(settings), seed])
        self.log = TrainingLog(folder)

    # -- where it stands -----------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Time that the training took, earlier calls included."""
        return self.earlier_seconds + time.monotonic() - self.begin

    def look_at_the_clock(self) -> None:
        """Note the time that decisions go by; all processes note the same."""
        self.clock = self.ranks.from_main(lambda: self.seconds)

    @property
    def fraction(self) -> float:
        """How much of the training is done, by steps or by time."""
        return min(1.0, max(self.step / self.settings.steps if self.settings.steps else 1.0, self.clock / self.budget))

    @property
    def patience_is_over(self) -> bool:
        """Whether it has got no better for long."""
        return 0 < self.settings.patience <= self.stale

    def validation_is_due(self, over: bool) -> bool:
        """Whether to validate before the next step."""
        if self.validated == self.step:
            return False
        if over:
            return True
        if self.settings.validate_every:
            return self.step > 0 and self.step % self.settings.validate_every == 0
        if self.validated < 0:
            return self.fraction > _FIRST_VALIDATION
        return self.clock - self.validation_ended > self.validation_seconds / _VALIDATION_SHARE

    def freeze(self) -> None:
        """Keep what the settings or the task want kept; to be called whenever the network was put in training mode."""
        if self.settings.freeze_batch_norm:
            for part in self.task.pretrained_parts(self.network):
                freeze_batch_norm(part)
        keep_frozen_statistics(self.network)

    def note(self, entry: dict) -> None:
        """Write a line of the log."""
        if self.ranks.is_main:
            self.log.add({**entry, "seconds": round(self.seconds, 3)})

    # -- what comes of it ----------------------------------------------------------------------------------------------

    def measured(self) -> dict[str, Any]:
        """The averaged weights and how good they are."""
        validation = self.validation if self.validated == self.step else Validation()
        return {"weights": self.average.weights(), **asdict(validation)}

    def result(self) -> Trained:
        """The weights that are kept."""
        measured = self.measured()
        if self.settings.keep == "best" and self.best is not None:
            best = self.ranks.from_main(lambda: load_checkpoint(self.folder, torch.device("cpu"), BEST))
            if best is None:
                raise DataError(
                    f"{self.folder} has lost {BEST}, which held the best weights; remove the folder to begin anew."
                )
            measured = best
        validation = Validation(measured["score"], measured["details"], measured.get("false_positive_ml", {}))
        return Trained(measured["weights"], validation, self.step, self.seconds)

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the checkpoint."""
        if not self.ranks.is_main:
            return
        state = {
            "identity": self.identity,
            "step": self.step,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "averaged": self.average.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "validated": self.validated,
            "validation": asdict(self.validation),
            "validation_seconds": self.validation_seconds,
            "best": self.best,
            "stale": self.stale,
        }
        save_checkpoint(self.folder, state)
        self.saved = time.monotonic()

    def save_now_and_then(self) -> None:
        """Write the checkpoint if the last one is old."""
        if time.monotonic() - self.saved >= self.settings.save_seconds:
            self.save()

    @contextmanager
    def saved_when_cancelled(self) -> Iterator[None]:
        """Save when the user stops, which happens between two steps, or when what is to be drawn cannot be read.

        With ``accumulate`` running statistics may then have seen a part of the step that is done again.
        """
        try:
            yield
        except DataError as error:
            self.save()
            raise DataError(
                f"{error} Everything up to step {self.step} is saved in {self.folder}; the same command goes "
                "on from there."
            ) from error
        except Cancelled:
            self.save()
            raise Cancelled(
                f"Stopped after step {self.step}; everything is saved in {self.folder}, so it can be continued."
            ) from None

    def resume(self) -> bool:
        """Go on from the folder's checkpoint; False if there is none.

        Raises:
            DataError: The checkpoint is damaged or of another training.
        """
        state = self.ranks.from_main(lambda: load_checkpoint(self.folder, torch.device("cpu")))
        if state is not None and not self._is_identity(state["identity"]):
            raise DataError(
                f"{self.folder} holds a training with other settings, data or labels; choose another folder or remove "
                "it."
            )
        if self.ranks.is_main:
            self.log.cut(*((-1, -1) if state is None else (state["step"], state["validated"])))
        if state is None:
            return False
        self.step, self.earlier_seconds = state["step"], state["seconds"]
        self.validation_ended = self.earlier_seconds
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.validated, self.validation = state["validated"], Validation(**state["validation"])
        self.validation_seconds = state["validation_seconds"]
        self.best, self.stale = state["best"], state["stale"]
        return True

    def _is_identity(self, stored: str) -> bool:
        """Whether a checkpoint is of this training; an older version's may lack settings that are at their default."""
        (task, settings, seed), defaults = json.loads(stored), asdict(type(self.settings)())
        return _plain([task, _with_defaults(settings, defaults), seed]) == self.identity


def _plain(identity: list) -> str:
    return json.dumps(identity, sort_keys=True)


def _with_defaults(values: dict, defaults: dict) -> dict:
    """Settings, and the defaults of those that are not there, also within settings that are groups of some."""
    groups = {n: _with_defaults(v, defaults[n]) for n, v in values.items() if isinstance(defaults.get(n), dict)}
    return {**defaults, **values, **groups}


class _Loss(nn.Module):
    """A task's loss as a module, so that whatever the task does with its network is seen by who averages gradients."""

    def __init__(self, task: Task, network: nn.Module, device: Device) -> None:
        super().__init__()
        self.task, self.network, self.device = task, network, device

    def forward(self, batch: Any) -> Tensor:
        """The loss of a batch."""
        return self.task.loss(self.network, batch, self.device)

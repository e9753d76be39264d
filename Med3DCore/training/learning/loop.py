"""The training loop: steps, checkpoints, time. It knows nothing of labels; what is learned is a :class:`.task.Task`.

A run goes on after a kill as if nothing had happened: all that a step depends on is in the checkpoint (weights,
running average, optimizer, loss scale) or follows from the seed and the number of the step (batch, random numbers).
Under torchrun several processes train one network (:mod:`Med3DCore.system.distributed`); the first one writes.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from Med3DCore.errors import Cancelled, DataError, Med3DError, SettingError
from Med3DCore.inference.device import Device
from Med3DCore.progress import Progress
from Med3DCore.system.distributed import Ranks
from Med3DCore.training.learning.checkpoint import BEST, TrainingLog, load_checkpoint, save_checkpoint, training_lock
from Med3DCore.training.learning.loop_settings import LoopSettings
from Med3DCore.training.learning.optimization import (
    RunningAverage,
    freeze_batch_norm,
    keep_frozen_statistics,
    make_optimizer,
    rate_factor,
    set_rate,
)
from Med3DCore.training.learning.prefetch import Prefetch, usual_workers
from Med3DCore.training.learning.task import Task, Trained, Validation

DIVERGED = "diverged"
"""Code of the error of a training whose loss is no longer a number."""

# When no number of steps between validations is given: part of the time that they may take, and when the first comes.
_VALIDATION_SHARE = 0.1
_FIRST_VALIDATION = 0.2


def train(
    task: Task,
    settings: LoopSettings,
    folder: Path,
    seed: int,
    device: Device,
    progress: Progress | None = None,
    minutes: float | None = None,
    share: float = 1.0,
    finish: bool = False,
    workers: int | None = None,
) -> Trained:
    """Train, or go on where an earlier call was stopped, in whatever way, or on another number of processes.

    The folder gets ``checkpoint.pt``, ``log.jsonl`` (a line each step and validation) and, where scores are kept,
    ``best.pt``.

    Args:
        task: What to learn.
        settings: How long and how fast.
        folder: Where checkpoints and log go; made if missing.
        seed: Seed of weights and of all that is random in a step.
        device: Where to compute, and in which precision.
        progress: Told after each step; may cancel between two steps.
        minutes: Time for all steps and validations together, earlier calls included; the learning rate then follows
            the time. A run of so many steps is repeatable to the last bit, one of so many minutes cannot be.
        share: Part of the progress's whole job.
        finish: Do no more steps; give what there is.
        workers: How many batches are drawn ahead while the network computes, which changes no result; None for
            :func:`Med3DCore.training.learning.prefetch.usual_workers`.

    Raises:
        Cancelled: The user stopped; everything done is saved.
        DataError: The folder holds another training, or with ``finish`` none.
        InUse: Another process trains in the folder.
        Med3DError: The loss is not a number, or another process is gone; the last checkpoint stays.
        OutputError: Checkpoint or log cannot be written; the last checkpoint stays.
        SettingError: A setting makes no sense.
    """
    if minutes is not None and not 0 < minutes < math.inf:
        raise SettingError(f"The time for the training is {minutes} minutes; it must be more than 0.")
    progress, ranks = progress or Progress(), Ranks.here()
    workers = usual_workers(device.torch_device) if workers is None else workers
    with ranks.joined(device.torch_device), ExitStack() as held:
        ranks.from_main(lambda: held.enter_context(training_lock(folder)))
        run = _Run(task, settings, folder, seed, device, math.inf if minutes is None else 60 * minutes, ranks)
        found = run.resume()
        if finish and not found:
            raise DataError(f"There is no training in {folder} that could be finished.")
        with progress.stage(task.name, share=share), run.saved_when_cancelled(), run.batches(workers) as batches:
            run.look_at_the_clock()
            progress.skip(run.fraction)
            while True:
                over = finish or run.fraction >= 1 or run.patience_is_over
                if run.validation_is_due(over):
                    run.validate(progress)
                    over = over or run.fraction >= 1 or run.patience_is_over
                if over:
                    return run.result()
                with ranks.cancelled_together():
                    progress.update(run.fraction)
                loss = run.train_step(batches)
                progress.metric(run.step, loss=loss)
                run.save_now_and_then()
                run.look_at_the_clock()


class _Run:
    """The state of a training."""

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
        self.network = task.build().to(device.torch_device, memory_format=torch.channels_last_3d)
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
        self.identity = json.dumps([task.identity, asdict(settings), seed], sort_keys=True)
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

    # -- what it does --------------------------------------------------------------------------------------------------

    def batches(self, workers: int) -> Prefetch[Any]:
        """This process's batches, by their number among its own."""
        ranks = self.ranks
        return Prefetch(lambda number: self.task.draw(number * ranks.world + ranks.rank), workers)

    def freeze(self) -> None:
        """Keep what the settings or the task want kept; to be called whenever the network was put in training mode."""
        if self.settings.freeze_batch_norm:
            for part in self.task.pretrained_parts(self.network):
                freeze_batch_norm(part)
        keep_frozen_statistics(self.network)

    def train_step(self, batches: Prefetch[Any]) -> float:
        """One optimizer step; returns the loss."""
        settings, ranks = self.settings, self.ranks
        # Dropout and the like depend on the step alone, and differ between processes.
        torch.manual_seed(self.seed * 1_000_003 + self.step + (ranks.rank << 40))
        warm = min(1.0, (self.step + 1) / max(1, settings.warmup))
        rate = settings.learning_rate * warm * rate_factor(settings.schedule, self.fraction)
        set_rate(self.optimizer, rate)
        self.task.begin_step(self.fraction)
        self.network.train()
        self.freeze()
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for part in range(settings.accumulate):
            batch = batches.get(self.step * settings.accumulate + part)
            early = part < settings.accumulate - 1
            with ranks.shared_statistics(self.network), ranks.own_gradient(self.loss, early):
                loss = self.loss(batch) / settings.accumulate
                total += float(loss.detach())
                self.scaler.scale(loss).backward()
        total = ranks.mean(total)
        self._require_finite(total, "the loss")
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip_norm)
        if not self.scaler.is_enabled():  # the scaler leaves such a step out and lowers its scale
            self._require_finite(float(norm), "the gradient")
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.step += 1
        self.average.update(self.network, self.step)
        self._note({"step": self.step, "loss": round(total, 5), "rate": rate})
        return total

    def validate(self, progress: Progress) -> None:
        """Measure the averaged network, keep it if it is the best so far, and save."""
        self.look_at_the_clock()
        begin, quiet = self.clock, Progress(is_cancelled=progress.is_cancelled)
        with self.ranks.cancelled_together():
            validation = self.task.validate(self.average.network, self.device, quiet)
        self.validation = self.ranks.from_main(lambda: validation)
        self.validated, score = self.step, self.validation.score
        self.look_at_the_clock()
        self.validation_ended, self.validation_seconds = self.clock, self.clock - begin
        if score is not None:
            self.stale += 1
            if self.best is None or score > self.best:
                self.best, self.stale = score, 0
                if self.ranks.is_main:
                    save_checkpoint(self.folder, self._measured(), BEST)
        wrong = self.validation.false_positive_ml
        more = {"false_positive_ml": wrong} if wrong else {}
        self._note({"step": self.step, "validation": self.validation.details, "score": score, **more})
        progress.metric(self.step, scores=self.validation.details, false_positive_ml=wrong)
        self.save()

    def result(self) -> Trained:
        """The weights that are kept."""
        measured = self._measured()
        if self.settings.keep == "best" and self.best is not None:
            measured = self.ranks.from_main(lambda: load_checkpoint(self.folder, torch.device("cpu"), BEST))
        validation = Validation(measured["score"], measured["details"], measured.get("false_positive_ml", {}))
        return Trained(measured["weights"], validation, self.step, self.seconds)

    def _measured(self) -> dict[str, Any]:
        """The averaged weights and how good they are."""
        validation = self.validation if self.validated == self.step else Validation()
        return {"weights": self.average.weights(), **asdict(validation)}

    def _note(self, entry: dict) -> None:
        """Write a line of the log."""
        if self.ranks.is_main:
            self.log.add({**entry, "seconds": round(self.seconds, 3)})

    def _require_finite(self, value: float, what: str) -> None:
        if not math.isfinite(value):
            raise Med3DError(
                f"Training stopped at step {self.step + 1}: {what} is not a number. The last checkpoint is kept in "
                f"{self.folder}; use a lower learning rate.",
                DIVERGED,
            )

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
        """Save when the user stops, which happens between two steps."""
        try:
            yield
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
        if state is not None and state["identity"] != self.identity:
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


class _Loss(nn.Module):
    """A task's loss as a module, so that whatever the task does with its network is seen by who averages gradients."""

    def __init__(self, task: Task, network: nn.Module, device: Device) -> None:
        super().__init__()
        self.task, self.network, self.device = task, network, device

    def forward(self, batch: Any) -> Tensor:
        """The loss of a batch."""
        return self.task.loss(self.network, batch, self.device)

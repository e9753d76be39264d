"""The training loop: steps, checkpoints, time. It knows nothing of labels; what is learned is a :class:`.task.Task`.

A run goes on after a kill as if nothing had happened: all that a step depends on is in the checkpoint (weights,
running average, optimizer, loss scale) or follows from the seed and the number of the step (batch, random numbers).
Under torchrun several processes train one network (:mod:`Med3DCore.system.distributed`); the first one writes.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import nn

from Med3DCore.errors import DataError, Med3DError, SettingError
from Med3DCore.inference.device import Device
from Med3DCore.progress import Progress
from Med3DCore.system.distributed import Ranks
from Med3DCore.training.learning.checkpoint import BEST, save_checkpoint, training_lock
from Med3DCore.training.learning.loop_settings import LoopSettings
from Med3DCore.training.learning.optimization import (
    rate_factor,
    set_rate,
)
from Med3DCore.training.learning.prefetch import Prefetch, usual_workers
from Med3DCore.training.learning.run import Run
from Med3DCore.training.learning.task import Task, Trained

DIVERGED = "diverged"
"""Code of the error of a training whose loss is no longer a number."""


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
        run = Run(task, settings, folder, seed, device, math.inf if minutes is None else 60 * minutes, ranks)
        found = run.resume()
        if finish and not found:
            raise DataError(f"There is no training in {folder} that could be finished.")
        with progress.stage(task.name, share=share), run.saved_when_cancelled(), _batches(run, workers) as batches:
            run.look_at_the_clock()
            progress.skip(run.fraction)
            while True:
                over = finish or run.fraction >= 1 or run.patience_is_over
                if run.validation_is_due(over):
                    _validate(run, progress)
                    over = over or run.fraction >= 1 or run.patience_is_over
                if over:
                    return run.result()
                with ranks.cancelled_together():
                    progress.update(run.fraction)
                loss = _train_step(run, batches)
                progress.metric(run.step, loss=loss)
                run.save_now_and_then()
                run.look_at_the_clock()


def _batches(run: Run, workers: int) -> Prefetch[Any]:
    """This process's batches, by their number among its own."""
    ranks = run.ranks
    return Prefetch(lambda number: run.task.draw(number * ranks.world + ranks.rank), workers)


def _train_step(run: Run, batches: Prefetch[Any]) -> float:
    """One optimizer step; returns the loss."""
    settings, ranks = run.settings, run.ranks
    # Dropout and the like depend on the step alone, and differ between processes.
    torch.manual_seed(run.seed * 1_000_003 + run.step + (ranks.rank << 40))
    warm = min(1.0, (run.step + 1) / max(1, settings.warmup))
    rate = settings.learning_rate * warm * rate_factor(settings.schedule, run.fraction)
    set_rate(run.optimizer, rate)
    run.task.begin_step(run.fraction)
    run.network.train()
    run.freeze()
    run.optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for part in range(settings.accumulate):
        batch = batches.get(run.step * settings.accumulate + part)
        early = part < settings.accumulate - 1
        with ranks.shared_statistics(run.network), ranks.own_gradient(run.loss, early):
            loss = run.loss(batch) / settings.accumulate
            total += float(loss.detach())
            run.scaler.scale(loss).backward()
    total = ranks.mean(total)
    _require_finite(run, total, "the loss")
    run.scaler.unscale_(run.optimizer)
    norm = nn.utils.clip_grad_norm_(run.network.parameters(), settings.clip_norm)
    if not run.scaler.is_enabled():  # the scaler leaves such a step out and lowers its scale
        _require_finite(run, float(norm), "the gradient")
    run.scaler.step(run.optimizer)
    run.scaler.update()
    run.step += 1
    run.average.update(run.network, run.step)
    run.note({"step": run.step, "loss": round(total, 5), "rate": rate})
    return total


def _validate(run: Run, progress: Progress) -> None:
    """Measure the averaged network, keep it if it is the best so far, and save."""
    run.look_at_the_clock()
    begin, quiet = run.clock, Progress(is_cancelled=progress.is_cancelled)
    with run.ranks.cancelled_together():
        validation = run.task.validate(run.average.network, run.device, quiet)
    run.validation = run.ranks.from_main(lambda: validation)
    run.validated, score = run.step, run.validation.score
    run.look_at_the_clock()
    run.validation_ended, run.validation_seconds = run.clock, run.clock - begin
    if score is not None:
        run.stale += 1
        if run.best is None or score > run.best:
            run.best, run.stale = score, 0
            if run.ranks.is_main:
                save_checkpoint(run.folder, run.measured(), BEST)
    wrong = run.validation.false_positive_ml
    more = {"false_positive_ml": wrong} if wrong else {}
    run.note({"step": run.step, "validation": run.validation.details, "score": score, **more})
    progress.metric(run.step, scores=run.validation.details, false_positive_ml=wrong)
    run.save()


def _require_finite(run: Run, value: float, what: str) -> None:
    if not math.isfinite(value):
        raise Med3DError(
            f"Training stopped at step {run.step + 1}: {what} is not a number. The last checkpoint is kept in "
            f"{run.folder}; use a lower learning rate.",
            DIVERGED,
        )

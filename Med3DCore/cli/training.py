"""What the commands that train have in common: options, Ctrl-C after which they can go on, and torchrun."""

from __future__ import annotations

import argparse
import math
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from Med3DCore.cli.arguments import count, path
from Med3DCore.cli.console import ProgressBar, say, silent
from Med3DCore.cli.stopping import stopped_gently
from Med3DCore.cli.tensorboard import TensorBoardLog, add_tensorboard_option
from Med3DCore.errors import Cancelled
from Med3DCore.progress import Progress
from Med3DCore.system.folders import require_makeable

if TYPE_CHECKING:
    from Med3DCore.inference.device import Device
    from Med3DCore.progress import MetricCallback
    from Med3DCore.system.distributed import Ranks
    from Med3DCore.training.cases.cache import CaseCache
    from Med3DCore.training.learning.initialization import Start
    from Med3DCore.training.learning.loop_settings import LoopSettings
    from Med3DCore.training.learning.task import Task, Trained

_GO_ON = "Run the same command to go on"


def add_training_options(parser: argparse.ArgumentParser, finish: bool = True, cache: bool = True) -> None:
    """Add what all of them take.

    Args:
        parser: Of the command.
        finish: Whether it can make a model of an unfinished training.
        cache: Whether it prepares cases.
    """
    add = parser.add_argument
    if cache:
        add("--no-cache", action="store_true", help="prepare the cases anew and keep them, for all stages, in memory")
    add("--minutes", type=minutes, help="stop learning after this time, earlier calls included")
    if finish:
        add("--finish", action="store_true", help="learn no more: make a model of what was learned so far")
        add_tensorboard_option(parser)
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    add(
        "--workers",
        type=count,
        metavar="N",
        help="batches that are drawn ahead while the network computes (default: 0 on a CPU, several beside a GPU)",
    )
    add("--quiet", action="store_true", help="no progress")


def case_cache(args: argparse.Namespace) -> CaseCache | None:
    """Where prepared cases are kept; None for memory."""
    from Med3DCore.training.cases.cache import CaseCache, cache_folder

    return None if args.no_cache else CaseCache(cache_folder())


def add_fold_options(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a fold of ``med3d dataset split``."""
    parser.add_argument("--splits", type=path, metavar="FILE", help="train and check on a fold of this file")
    parser.add_argument("--fold", type=count, default=0, metavar="N", help="which fold, from 0 (default: %(default)s)")


def warn_of(*starts: Start) -> None:
    """Tell where an encoder learned from other images than those of the training."""
    for start in starts:
        if start.warning:
            say(f"Warning: {start.warning}")


def minutes(text: str) -> float:
    """A time that is more than none."""
    with suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"'{text}' is no number of minutes above 0")


class TrainingLines:
    """Lines on the console while something is trained: step, loss since the last line, scores, time."""

    def __init__(self, bar: ProgressBar, every: float = 10.0) -> None:
        self._bar, self._every = bar, every
        self._begin = self._said = time.monotonic()
        self._losses: list[float] = []

    def __call__(
        self, stage: str, step: int, loss: float | None, scores: dict | None, false_positive_ml: dict | None
    ) -> None:
        """As :attr:`Med3DCore.progress.Progress.on_metric`; each validation is told, the losses now and then."""
        now = time.monotonic()
        if loss is not None:
            self._losses.append(loss)
        if scores is None and now - self._said < self._every:
            return
        parts = [f"{stage}, step {step}"]
        if self._losses:
            parts.append(f"loss {sum(self._losses) / len(self._losses):.4f}")
        if scores is not None:
            parts.append(mean_scores(scores, false_positive_ml))
        parts.append(f"{now - self._begin:.0f} s")
        self._bar.line(", ".join(parts))
        self._said, self._losses = now, []


def mean_scores(
    scores: Mapping[str, object], false_positive_ml: Mapping[str, Mapping[str, float]] | None, measure: str = ""
) -> str:
    """The means of a validation in one line, also of what was found where there is nothing.

    Args:
        scores: ``{label: {case: number}}``.
        false_positive_ml: ``{label: {case: mL}}`` of the cases that do not show the label.
        measure: What the scores are, such as ``"Dice "``.
    """
    known = {label: list(cases.values()) for label, cases in scores.items() if isinstance(cases, Mapping) and cases}
    means = [f"{label} {measure}{_mean(values):.3f} (n = {len(values)})" for label, values in known.items()]
    means += [
        f"{label} where there is none {_mean(cases.values()):.1f} mL (n = {len(cases)})"
        for label, cases in (false_positive_ml or {}).items()
    ]
    return ", ".join(means) or "no held-out case"


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values)


class _Stopped(Cancelled):
    """The user stopped a training that can go on; the message says how."""


@contextmanager
def resumable(args: argparse.Namespace, *folders: Path) -> Iterator[Progress]:
    """A progress with a bar, which Ctrl-C stops between two steps; for use below :func:`on_every_rank`.

    Args:
        args: The arguments; a sweep, which shows and stops its trainings itself, gives ``follow``.
        folders: Of all trainings that must have begun before ``--finish`` can make a model of them.
    """
    if hasattr(args, "follow"):
        yield args.follow()
        return
    bar = ProgressBar(args.quiet)
    watching: list[MetricCallback] = [] if args.quiet else [TrainingLines(bar)]
    try:
        with _tensorboard(args) as board, stopped_gently() as is_stopped:
            yield Progress(bar, is_stopped, _all_of([*watching, *board]))
    except Cancelled as stop:
        from Med3DCore.training.learning.checkpoint import LAST

        finishable = hasattr(args, "finish") and all((folder / LAST).is_file() for folder in folders)
        hint = ", or with --finish to use it as it is" if finishable else ""
        raise _Stopped(f"{stop} {_GO_ON}{hint}.") from None
    finally:
        bar.close()


def train_as_asked(
    args: argparse.Namespace,
    task: Task,
    settings: LoopSettings,
    folder: Path,
    seed: int,
    device: Device,
    progress: Progress,
    trainings: int = 1,
) -> Trained:
    """:func:`Med3DCore.training.learning.loop.train` with what :func:`add_training_options` asked for.

    Args:
        args: The arguments.
        task: As for ``train``, and so are all others.
        settings: How long and how fast.
        folder: Where checkpoint and log go.
        seed: Seed.
        device: Where to compute.
        progress: Told after each step; may cancel.
        trainings: How many, one after the other, share the time that was given.
    """
    from Med3DCore.training.learning.loop import train

    minutes = None if args.minutes is None else args.minutes / trainings
    return train(task, settings, folder, seed, device, progress, minutes, finish=args.finish, workers=args.workers)


@contextmanager
def _tensorboard(args: argparse.Namespace) -> Iterator[list[MetricCallback]]:
    """What is told of metrics for ``--tensorboard``; under torchrun the first process writes."""
    from Med3DCore.system.distributed import Ranks

    folder = getattr(args, "tensorboard", None)  # a comparison has no such option
    if folder is None or not Ranks.here().is_main:
        yield []
        return
    board = TensorBoardLog(folder)
    try:
        yield [board]
    finally:
        board.close()


def _all_of(watching: Sequence[MetricCallback]) -> MetricCallback | None:
    def tell(*metric: Any) -> None:
        for watcher in watching:
            watcher(*metric)

    return tell if watching else None


def on_every_rank(train: Callable[[argparse.Namespace, Ranks], int]) -> Callable[[argparse.Namespace], int]:
    """A subcommand of a function that trains into ``args.output``, a folder that is refused at once if it cannot be.

    Under torchrun only the first process speaks to the user.
    """

    def run(args: argparse.Namespace) -> int:
        from Med3DCore.system.distributed import Ranks

        ranks = Ranks.here()
        with silent(not ranks.is_main):
            require_makeable(args.output)
            try:
                return train(args, ranks)
            except _Stopped as stop:
                say(f"med3d: {stop}")
                return 128 + signal.SIGINT

    run.__doc__ = train.__doc__
    return run

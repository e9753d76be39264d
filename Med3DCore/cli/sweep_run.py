"""One run of ``med3d sweep``, in whatever process it is done: what ``med3d task train`` and ``evaluate`` do."""

from __future__ import annotations

import gc
import threading
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import Med3DCore
from Med3DCore.benchmarks.catalogue import find_task
from Med3DCore.benchmarks.sweep.engine import Tell
from Med3DCore.benchmarks.sweep.outcome import Outcome, read_outcome
from Med3DCore.benchmarks.sweep.plan import SweepRun
from Med3DCore.cli.refusals import sentence_of
from Med3DCore.cli.task import evaluate_run, train_task
from Med3DCore.errors import Cancelled, DataError
from Med3DCore.progress import Progress
from Med3DCore.system.distributed import Ranks
from Med3DCore.system.folders import make_private
from Med3DCore.system.locks import InUse, locked

OUTPUT = "output.txt"
_TRAINING = 0.9  # of a run's time; the rest is its evaluation
_one_at_a_time = threading.Lock()  # a training sets the random numbers of its whole process


def do_run(run: SweepRun, tell: Tell, is_cancelled: Callable[[], bool]) -> Outcome:
    """Do a run, or go on where it was stopped; one that is done is not done again.

    Args:
        run: Which.
        tell: Told how much of it is done, 0..1.
        is_cancelled: Asked between two steps.

    Raises:
        Cancelled: It was stopped; all that was done is saved.
    """
    with _one_at_a_time, _held(run, is_cancelled):
        done = read_outcome(run)
        if done is not None:
            return done
        try:
            with _told_in(run.folder / OUTPUT):
                _train(run, tell, is_cancelled)
                evaluating = Progress(lambda _, part, __: tell(_TRAINING + (1 - _TRAINING) * part), is_cancelled)
                evaluate_run(str(run.file), run.folder, run.data, run.training.device, evaluating)
        except Cancelled:
            raise
        except Exception as error:
            return Outcome(run, failed=_sentence(error, run))
        finally:
            gc.collect()  # what failed for lack of memory shall not keep it from the next
    found = read_outcome(run)
    if found is None:
        raise DataError(f"{run.folder} does not keep what is written there; choose another folder.")
    return found


def _train(run: SweepRun, tell: Tell, is_cancelled: Callable[[], bool]) -> None:
    import torch

    training, stages = run.training, [stage["name"] for stage in find_task(str(run.file)).stages]

    def shown(stage: str, part: float, _: float | None) -> None:
        name = stage.removeprefix("train ")
        if name in stages:
            tell(_TRAINING * (stages.index(name) + part) / len(stages))

    if training.threads is not None:
        torch.set_num_threads(training.threads)
    options = Namespace(
        name=str(run.file),
        data=run.data,
        output=run.folder,
        init=run.source,
        steps=run.steps,
        seed=run.seed,
        encoder=list(training.encoder.items()),
        no_cache=training.no_cache,
        minutes=training.minutes,
        finish=False,
        device=training.device,
        workers=training.workers,
        quiet=True,
        follow=lambda: Progress(shown, is_cancelled),
    )
    train_task(options, Ranks.here())


@contextmanager
def _held(run: SweepRun, is_cancelled: Callable[[], bool]) -> Iterator[None]:
    """While nobody else does the run: a worker that its scheduler lost may still be at it, and is waited for.

    Raises:
        Cancelled: The user stopped meanwhile.
    """
    make_private(run.folder)
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(locked(run.folder / ".sweep.lock", "", "", patience=1.0))
                break
            except InUse:
                if is_cancelled():
                    raise Cancelled("Stopped.") from None
        yield


@contextmanager
def _told_in(file: Path) -> Iterator[None]:
    """What training and evaluation say, and errors that nobody foresaw, in a file beside them."""
    with file.open("a", encoding="utf-8") as output, redirect_stdout(output), redirect_stderr(output):
        print(f"-- Med3D {Med3DCore.__version__}")
        try:
            yield
        except Exception as error:
            print("".join(traceback.format_exception(error)) if sentence_of(error) is None else error)
            raise


def _sentence(error: Exception, run: SweepRun) -> str:
    return sentence_of(error) or f"Unforeseen: {type(error).__name__}: {error} (see {run.folder / OUTPUT})."

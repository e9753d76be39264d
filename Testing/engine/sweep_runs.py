"""Runs of a sweep that compute nothing, for workers that shall start in a moment."""

from __future__ import annotations

import os
import signal
import sys
import time

from Med3DCore.benchmarks.sweep.outcome import Outcome
from Med3DCore.errors import Cancelled
from Med3DCore.evaluation.classification import Estimate

KILL = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL


def do(run, tell, is_cancelled):
    """A run that may kill the process that it is in: the first time, or every time."""
    run.folder.mkdir(parents=True, exist_ok=True)
    outcome = Outcome(run, {"auc": Estimate(run.seed / 10, None, None, 5)}, 5)
    if (run.folder / "done").exists():  # the worker was killed before it had told
        return outcome
    with (run.folder / "tried").open("a") as file:
        file.write(f"{os.getpid()}\n")
    tell(0.5)
    first = len((run.folder / "tried").read_text().splitlines()) == 1
    if run.start == "odd" or (run.name == "luna16, plain, seed 2" and first):
        os.kill(os.getpid(), KILL)
    (run.folder / "done").touch()
    return outcome


def do_until_stopped(run, tell, is_cancelled):
    """The first ends, the others wait for the user; a Ctrl-C in the terminal reaches them, too."""
    if run.seed == 1:
        return Outcome(run, {"auc": Estimate(0.1, None, None, 5)}, 5)
    os.kill(os.getpid(), signal.SIGINT)
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "begun").touch()
    for _ in range(600):
        if is_cancelled():
            (run.folder / "saved").touch()
            raise Cancelled("Stopped.")
        time.sleep(0.05)
    return Outcome(run, failed="Nobody stopped it.")

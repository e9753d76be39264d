"""How any client starts the worker and kills it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import Med3DCore


def worker_command(python: str | Path = sys.executable, idle_minutes: float | None = None) -> list[str]:
    """Program and arguments. ``-P`` keeps a file such as numpy.py in the current folder from being imported."""
    idle = [] if idle_minutes is None else ["--idle-minutes", f"{idle_minutes:g}"]
    return [str(python), "-P", "-m", "Med3DCore.worker", *idle]


def worker_environment() -> dict[str, str]:
    """This process's environment, in which the worker finds the same Med3DCore as this process."""
    home = str(Path(Med3DCore.__file__).resolve().parent.parent)
    paths = [home, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONIOENCODING": "utf-8"}


def kill_tree(pid: int) -> None:
    """Kill a worker and all its children at once.

    Args:
        pid: The worker's own, from its ready event: that of a launcher would leave the worker alive. POSIX: it leads
            a process group, or is killed alone.
    """
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(pid)], capture_output=True, check=False)
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

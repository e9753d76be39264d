"""What the command line shows while it works: on standard error, so that results can be piped."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import TextIO

_WIDTH = 24


def say(text: str, end: str = "\n", stream: TextIO | None = None) -> None:
    """Show something on standard error. That nobody can see it, as behind ``2>&1 | head``, stops no work.

    Args:
        text: What to show.
        end: What follows it.
        stream: Where it was to be shown before standard error was led elsewhere, or None.
    """
    stream = stream or sys.stderr
    if stream is not None:
        with suppress(OSError):
            print(text, end=end, file=stream, flush=True)


@contextmanager
def silent(wanted: bool = True) -> Iterator[None]:
    """Show nothing within, if wanted: for all but one of several processes that do the same."""
    with redirect_stdout(None if wanted else sys.stdout), redirect_stderr(None if wanted else sys.stderr):
        yield


class ProgressBar:
    """A bar with the stage and the time left; on something that is no terminal, a line a stage."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet, self._stream = quiet or sys.stderr is None, sys.stderr
        self._terminal = not self._quiet and sys.stderr.isatty()
        self._marks = "█·" if self._terminal and "utf" in sys.stderr.encoding.lower() else "#."
        self._stage = ""
        self._drawn = 0.0

    def __call__(self, stage: str, fraction: float, seconds_left: float | None) -> None:
        """Show progress; the signature of :class:`Med3DCore.progress.Progress`'s callback."""
        if self._quiet:
            return
        new_stage, self._stage = stage != self._stage, stage
        now = time.monotonic()
        if not self._terminal:
            if new_stage:
                say(f"{fraction:4.0%}  {stage}{left(seconds_left)}", stream=self._stream)
        elif new_stage or now - self._drawn > 0.1:
            self._drawn = now
            done = round(fraction * _WIDTH)
            bar = self._marks[0] * done + self._marks[1] * (_WIDTH - done)
            self._draw(f"{bar} {fraction:4.0%}  {stage}{left(seconds_left)}")

    def line(self, text: str) -> None:
        """Show a line that stays, above the bar."""
        self.close()
        if not self._quiet:
            say(text, stream=self._stream)

    def close(self) -> None:
        """Remove the bar."""
        if self._terminal:
            self._draw("")
            say("\r", end="", stream=self._stream)

    def _draw(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        say("\r" + text[:width].ljust(width), end="", stream=self._stream)


def left(seconds: float | None) -> str:
    """How long it will still take, in words; empty if nobody knows yet."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f", about {max(1, round(seconds))} s left"
    if seconds < 5400:
        return f", about {round(seconds / 60)} min left"
    return f", about {seconds / 3600:.1f} h left"

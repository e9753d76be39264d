"""What the command line shows while it works: on standard error, so that results can be piped."""

from __future__ import annotations

import sys
import time

_WIDTH = 24


class ProgressBar:
    """A bar with the stage and the time left; on something that is no terminal, a line a stage."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
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
                print(f"{fraction:4.0%}  {stage}{left(seconds_left)}", file=sys.stderr, flush=True)
        elif new_stage or now - self._drawn > 0.1:
            self._drawn = now
            done = round(fraction * _WIDTH)
            bar = "█" * done + "·" * (_WIDTH - done)
            print(f"\r\033[K{bar} {fraction:4.0%}  {stage}{left(seconds_left)}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the bar."""
        if self._terminal and not self._quiet:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def left(seconds: float | None) -> str:
    """How long it will still take, in words; empty if nobody knows yet."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f", about {max(1, round(seconds))} s left"
    if seconds < 5400:
        return f", about {round(seconds / 60)} min left"
    return f", about {seconds / 3600:.1f} h left"

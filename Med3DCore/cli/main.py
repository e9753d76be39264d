"""The ``med3d`` command. Each subcommand is a file of its own; none imports torch before it computes."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

import Med3DCore
from Med3DCore.cli.console import say
from Med3DCore.cli.refusals import sentence_of
from Med3DCore.errors import Cancelled
from Med3DCore.system.allocator import keep_freed_memory
from Med3DCore.system.threads import wait_asleep

_PATIENCE_SECONDS = 2.0


class _Parser(argparse.ArgumentParser):
    """Of a command: options in full, since ``--no`` would mean ``--not-ct``, which somebody must say."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "allow_abbrev": False})


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command."""
    # Not at the top of the file, so that Ctrl-C is heeded while they and what they need are imported.
    from Med3DCore.cli import (
        classify,
        compare,
        dataset,
        detect,
        dicom_node,
        evaluate,
        fine_tune,
        info,
        models,
        phantom,
        pretrain,
        pretrain_2d,
        segment,
        sweep,
        task,
        train,
        worker,
    )

    parser = argparse.ArgumentParser(
        prog="med3d",
        description="Liver and lungs from a CT, on this computer; nothing leaves it. For research, not for diagnosis.",
    )
    parser.add_argument("--version", action="version", version=f"med3d {Med3DCore.__version__}")
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", parser_class=_Parser)
    everyday, teaching = (
        (segment, detect, info, evaluate, models),
        (dataset, fine_tune, train, pretrain, pretrain_2d, classify, compare, task, sweep),
    )
    for module in (*everyday, *teaching, phantom, worker, dicom_node):
        module.add_parser(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: What follows ``med3d``. Without, those of this process, whose signals are then the command's too.

    Returns:
        0 if it worked, 1 if a part of it did not, 2 for a problem told in a sentence, 128 + number for a signal that
        stopped it (130 for Ctrl-C), 141 if nobody reads its output to the end.
    """
    if arguments is None:
        keep_freed_memory()
        wait_asleep()
        stop = _Stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
    try:
        return _run(arguments)
    except (KeyboardInterrupt, Cancelled) as stop:
        if arguments is None:  # only the interpreter's own end is left, which an impatient Ctrl-C would clutter
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
        say("med3d: stopped; no file was left half-written.")
        return 128 + getattr(stop, "signal", signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it ends
        return 141
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        say(f"med3d: {sentence}")
        return 2


def _run(arguments: Sequence[str] | None) -> int:
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors="backslashreplace")  # the name of a file may hold what a terminal cannot show
    from Med3DCore.cli.arguments import with_names_joined

    parser = make_parser()
    parsed = parser.parse_args(with_names_joined(sys.argv[1:] if arguments is None else arguments))
    if parsed.command is None:
        parser.print_help(sys.stderr)
        return 2
    code = parsed.run(parsed)
    if sys.stdout is not None:
        sys.stdout.flush()
    return code


class _Stopped(KeyboardInterrupt):
    """A signal told the command to end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = number


class _Stop:
    """Ends the command at a signal.

    Somebody impatient sends several; those that come while the first one is cleaned up after would break that off. A
    later one is heeded again, since a library may have swallowed the first.
    """

    def __init__(self) -> None:
        self._heeded = -math.inf

    def __call__(self, number: int, frame: object) -> None:  # noqa: ARG002 - signal's signature
        now = time.monotonic()
        if now - self._heeded > _PATIENCE_SECONDS:
            self._heeded = now
            raise _Stopped(number)


if __name__ == "__main__":
    sys.exit(main())

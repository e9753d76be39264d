"""Ctrl-C for jobs that can go on later: it stops them between two steps, when all is saved."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from Med3DCore.cli.console import say

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopped_gently() -> Iterator[Callable[[], bool]]:
    """Gives what a progress asks to know whether to stop; a second Ctrl-C is heeded at once, as everywhere else.

    Yields:
        A function that is True once SIGINT or SIGTERM came.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only there signals can be handled
        yield asked.is_set
        return
    stream = sys.stderr
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def ask(number: int, frame: object) -> None:  # noqa: ARG001 - signal's signature
        asked.set()
        for each in _SIGNALS:
            signal.signal(each, before[each])
        say("\nStopping after this step; again to stop at once.", stream=stream)

    for number in _SIGNALS:
        signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        for number in _SIGNALS:
            signal.signal(number, before[number])

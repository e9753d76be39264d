"""The worker's ends of stdin and stdout, out of reach of anything that libraries print or read."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

from Med3DCore.worker.protocol import Event, LineReader, encode


class Connection:
    """Reads lines from one file descriptor and writes events to another.

    Args:
        source: Read by one thread only.
        target: Written by any thread.
    """

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._lock = threading.Lock()
        self.lost = False

    @classmethod
    def take_over(cls) -> Connection:
        """Keep private duplicates of stdin and stdout; from now on stdin is empty and stdout goes to stderr.

        On Windows this also keeps libraries from touching the pipe that the reader thread waits on, which would block
        them (numpy's and scipy's DLLs look at the standard handles when they are loaded).
        """
        sys.stdout.flush()
        connection = cls(os.dup(0), os.dup(1))
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        # Buffered text would be lost in a crash, when it is needed most; stderr is written line by line.
        sys.stdout = sys.stderr
        return connection

    def lines(self) -> Iterator[bytes]:
        """Lines as they come, until the client closes its end or dies."""
        reader = LineReader()
        while True:
            try:
                data = os.read(self._source, 1 << 16)
            except OSError:
                return
            if not data:
                return
            yield from reader.feed(data)

    def send(self, event: Event) -> None:
        """Write an event; once the client is gone, nothing happens but that ``lost`` becomes True.

        Raises:
            TypeError: A value is not JSON.
            ValueError: A number is not finite.
        """
        data = memoryview(encode(event))
        with self._lock:
            try:
                while data and not self.lost:
                    data = data[os.write(self._target, data) :]
            except OSError:
                self.lost = True

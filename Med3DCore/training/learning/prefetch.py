"""Batches drawn while the network computes."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

Batch = TypeVar("Batch")

# Each holds a batch in memory and a core busy.
_MOST_WORKERS = 8


def usual_workers(device: torch.device) -> int:
    """How many batches to draw ahead: none where the network computes on the same cores."""
    if device.type == "cpu":
        return 0
    own_cores = (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    return max(1, min(_MOST_WORKERS, own_cores - 1))


class Prefetch(Generic[Batch]):
    """Draws the next batches in the background. What comes does not depend on the number of workers.

    A batch must depend on its number alone. Every worker computes with one thread, since sums in torch can differ in
    the last bit with the number of threads. Threads and not processes: numpy and torch let go of Python's lock while
    they compute, and a process would have to be started anew inside Slicer on Windows, with the cases copied to it.

    Args:
        draw: Gives the batch of a number 0, 1, ...; called from several threads.
        workers: How many batches are drawn at a time, and kept ready; 0 draws each when it is asked for.

    Examples:
        >>> with Prefetch(lambda number: number ** 2, workers=2) as batches:
        ...     [batches.get(number) for number in range(4)]
        [0, 1, 4, 9]
    """

    def __init__(self, draw: Callable[[int], Batch], workers: int = 1) -> None:
        torch.get_num_threads()  # settles the caller's own number, which torch else takes from whoever sets it first
        self._draw, self._workers = draw, workers
        self._pool = ThreadPoolExecutor(max(1, workers), "draw", initializer=torch.set_num_threads, initargs=(1,))
        self._ahead: dict[int, Future] = {}

    def get(self, number: int) -> Batch:
        """The batch of a number; those after it are begun.

        Raises:
            Exception: What ``draw`` raised for it.
        """
        if not self._workers:
            return self._draw(number)
        wanted = range(number, number + self._workers + 1)
        for old in self._ahead.keys() - set(wanted):
            self._ahead.pop(old).cancel()
        for next_number in wanted:
            if next_number not in self._ahead:
                self._ahead[next_number] = self._pool.submit(self._draw, next_number)
        return self._ahead.pop(number).result()

    def close(self) -> None:
        """Stop; what is being drawn is finished and thrown away."""
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Prefetch[Batch]:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

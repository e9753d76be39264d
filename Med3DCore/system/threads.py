"""The same work on many things at once, for work that lets go of Python's lock: numpy, zlib, SimpleITK."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

# Memory bounds what is done here; more threads would only hold more of it.
_MOST = 4


def wait_asleep() -> None:
    """From now on, torch's threads sleep while they wait for each other; call it before torch is imported.

    They would spin, which takes the processor from the very thread that is waited for wherever another program is busy.
    Who has chosen otherwise by the environment is heard.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def in_threads(function: Callable, items: Iterable) -> list:
    """The results for all items, in their order.

    Raises:
        Exception: What the function raised first; the items that were begun are finished before.
    """
    with ThreadPoolExecutor(min(_MOST, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))


def ahead(function: Callable, items: Iterable, most: int) -> Iterator:
    """The results for all items, in their order, made while those before them are used.

    Args:
        function: Makes one.
        items: What of.
        most: Results that wait.

    Raises:
        Exception: What the function raised, at the place of its item.
    """
    with ThreadPoolExecutor(min(_MOST, os.cpu_count() or 1)) as pool:
        waiting: deque[Future] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

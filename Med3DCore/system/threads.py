"""The same work on many things at once, for work that lets go of Python's lock: numpy, zlib, SimpleITK."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

# Memory bounds what is done here; more threads would only hold more of it.
_MOST = 4


def in_threads(function: Callable, items: Iterable) -> list:
    """The results for all items, in their order.

    Raises:
        Exception: What the function raised first; the items that were begun are finished before.
    """
    with ThreadPoolExecutor(min(_MOST, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))

"""Which requests there are: a type is the name of a file in ``requests/``, and a new file is a new type.

Such a file has a frozen dataclass ``Fields`` with the request's fields, and ``run(fields, job)``, which returns plain
values for JSON. It is imported with the first request of its type, so what it imports does not delay the start.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from Med3DCore.worker import requests
from Med3DCore.worker.job import Job
from Med3DCore.worker.protocol import ProtocolError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Handler:
    """What a file in ``requests/`` offers.

    Args:
        Fields: The dataclass of what the request says.
        run: Does it. Raises Med3DError for what the user can act on; anything else is reported as a bug of ours.
    """

    Fields: type[DataclassInstance]
    run: Callable[[Any, Job], dict]


def find_handler(kind: str) -> Handler:
    """The handler of a type of request.

    Raises:
        ProtocolError: There is no such type.
    """
    known = sorted(module.name for module in pkgutil.iter_modules(requests.__path__))
    if kind not in known:
        raise ProtocolError(f"There is no request '{kind}'; there are {', '.join([*known, 'cancel', 'shutdown'])}.")
    module = importlib.import_module(f"{requests.__name__}.{kind}")
    return Handler(module.Fields, module.run)

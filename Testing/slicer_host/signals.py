"""PythonQt's ``connect("signal(types)", function)`` on PySide6 objects."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable

import shiboken6
from PySide6 import QtCore

# (address of the sender, signature) -> [(function, what Qt calls)]
_connections: dict[tuple[int, str], list[tuple[Callable, Callable]]] = {}


def connect(sender: QtCore.QObject, signature: str, function: Callable) -> bool:
    """Call a function when the object emits the signal.

    Args:
        sender: The object that emits.
        signature: Such as ``"finished(int,QProcess::ExitStatus)"``.
        function: Called with as many of the arguments as it takes; enumerations arrive as ints.

    Raises:
        ValueError: The object has no such signal (PythonQt prints that and returns False).
        TypeError: The receiver cannot be called.
    """
    if not callable(function):
        raise TypeError(f"connect({signature!r}): {function!r} cannot be called.")
    signature = _checked(sender, signature)
    address = shiboken6.getCppPointer(sender)[0]
    if not any(key[0] == address for key in _connections):
        sender.destroyed.connect(lambda *_: _forget(address))  # the address may be used again
    receiver = _receiver(function)
    _connections.setdefault((address, signature), []).append((function, receiver))
    own = own_signals(type(sender)).get(signature)
    if own:
        getattr(sender, own).connect(receiver)
    else:
        QtCore.QObject.connect(sender, QtCore.SIGNAL(signature), receiver)
    return True


def disconnect(sender: QtCore.QObject, signature: str, function: Callable | None = None) -> bool:
    """The opposite of :func:`connect`, for one function or all; False if there was nothing to disconnect.

    Raises:
        ValueError: The object has no such signal.
    """
    signature = _checked(sender, signature)
    key = (shiboken6.getCppPointer(sender)[0], signature)
    known = _connections.get(key, [])
    gone = [pair for pair in known if function is None or pair[0] == function]
    own = own_signals(type(sender)).get(signature)
    for pair in gone:
        known.remove(pair)
        if own:
            getattr(sender, own).disconnect(pair[1])
        else:
            QtCore.QObject.disconnect(sender, QtCore.SIGNAL(signature), pair[1])
    return bool(gone)


def own_signals(cls: type) -> dict[str, str]:
    """C++ signature -> name of the PySide6 signal, as a stand-in and its bases declare them in ``SIGNALS``."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found.update(vars(base).get("SIGNALS", {}))
    return found


def plain(value):
    """Enumerations as the ints they are in PythonQt; the rest unchanged."""
    return int(value.value) if isinstance(value, enum.Enum) and isinstance(value.value, int) else value


def _checked(sender: QtCore.QObject, signature: str) -> str:
    name = QtCore.QMetaObject.normalizedSignature(signature).data().decode()
    if name not in own_signals(type(sender)) and sender.metaObject().indexOfSignal(name) < 0:
        raise ValueError(f"{sender.className()} '{sender.objectName}' has no signal {signature}.")
    return name


def _receiver(function: Callable) -> Callable:
    limit = _number_of_arguments(function)

    def receive(*arguments) -> None:
        function(*[plain(argument) for argument in arguments[:limit]])

    return receive


def _number_of_arguments(function: Callable) -> int | None:
    """How many positional arguments the function takes at most, None for any number."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):  # a C++ slot: PythonQt gives it what the slot declares; here, nothing
        return 0
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    return sum(
        parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD) for parameter in parameters
    )


def _forget(address: int) -> None:
    for key in [key for key in _connections if key[0] == address]:
        del _connections[key]

"""What the worker and its client say to each other: one JSON object a line, in ASCII.

Only the standard library, and no transport: the same code serves pipes, QProcess and ssh.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from Med3DCore.errors import Med3DError

PROTOCOL_VERSION = 1
MAX_LINE = 1 << 20

Id = int | str


class ProtocolError(Med3DError):
    """A request that the worker does not understand.

    Args:
        sentence: What is wrong with it.
        id: The request's id, or None if not even that could be read.
    """

    code = "bad-request"

    def __init__(self, sentence: str, id: Id | None = None) -> None:
        super().__init__(sentence)
        self.id = id


@dataclass(frozen=True)
class Request:
    """Something to do.

    Args:
        id: Chosen by the client; every event about the request carries it.
        type: ``"segment"``, ``"cancel"``, ...
        fields: What the request needs besides.
    """

    id: Id
    type: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ready:
    """The first event: the worker listens. ``pid`` is the process to kill, which is not that of a launcher."""

    event: ClassVar[str] = "ready"
    pid: int
    versions: dict[str, str | None]
    protocol: int = PROTOCOL_VERSION


@dataclass(frozen=True)
class Advance:
    """How far a request is: fraction of the whole, 0 to 1, and the seconds left, or None while nobody knows."""

    event: ClassVar[str] = "progress"
    id: Id
    stage: str
    fraction: float
    seconds_left: float | None


@dataclass(frozen=True)
class Metric:
    """How a training does.

    Args:
        id: Of the request.
        stage: What is trained.
        step: How many steps are done.
        loss: Of the step, or None.
        scores: {label: {case: Dice}} of the cases that it is checked on, or None.
    """

    event: ClassVar[str] = "metric"
    id: Id
    stage: str
    step: int
    loss: float | None
    scores: dict[str, dict[str, float]] | None


@dataclass(frozen=True)
class Log:
    """A sentence for the log of a request."""

    event: ClassVar[str] = "log"
    id: Id
    sentence: str


@dataclass(frozen=True)
class Result:
    """The good end of a request."""

    event: ClassVar[str] = "result"
    id: Id
    result: dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """The other end of a request.

    Args:
        id: Of the request, or None for a line in which no id could be read.
        code: A stable word, :attr:`Med3DCore.errors.Med3DError.code`.
        sentence: What is wrong and what to do, for the user.
        details: The traceback, to be folded away.
        facts: What may be offered to the user, see :class:`.Med3DError`.
    """

    event: ClassVar[str] = "error"
    id: Id | None
    code: str
    sentence: str
    details: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class End:
    """The last event: the worker ends in good order, and why."""

    event: ClassVar[str] = "end"
    reason: str


Event = Ready | Advance | Metric | Log | Result | Failure | End
_EVENTS = {kind.event: kind for kind in (Ready, Advance, Metric, Log, Result, Failure, End)}


def encode(message: Request | Event) -> bytes:
    """A message as a line, newline included.

    Raises:
        TypeError: A value is not JSON.
        ValueError: A number is not finite.
        ProtocolError: It is longer than the other side reads.
    """
    if isinstance(message, Request):
        values = {"id": message.id, "type": message.type, **message.fields}
    else:
        values = {"event": message.event} | {item.name: getattr(message, item.name) for item in fields(message)}
    # ASCII: no code page of any platform can spoil it, and undecodable file names survive as surrogates.
    line = json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
    if len(line) > MAX_LINE:
        raise ProtocolError(f"A message would be {len(line)} bytes long, more than {MAX_LINE} are not read.")
    return line


def decode_request(line: bytes) -> Request:
    """Read a line that a client wrote.

    Raises:
        ProtocolError: It is too long, is no JSON object, or lacks an id or a type.
    """
    if len(line) > MAX_LINE:
        raise ProtocolError(f"A request is longer than {MAX_LINE} bytes; send volumes as files, not in the request.")
    values = _object(line)
    if values is None:
        raise ProtocolError(f"A request is not a JSON object on one line: {_beginning(line)}.")
    id, kind = values.pop("id", None), values.pop("type", None)
    if not isinstance(id, int | str) or isinstance(id, bool):
        raise ProtocolError(f"A request lacks an id (a number or a text): {_beginning(line)}.")
    if not isinstance(kind, str):
        raise ProtocolError("The request lacks its type, such as 'segment'.", id)
    return Request(id, kind, values)


def decode_event(line: bytes) -> Event | None:
    """Read a line that the worker wrote; None if it is something else, which a client may ignore or log."""
    values = _object(line)
    name = values.get("event") if values else None
    if values is None or not isinstance(name, str) or name not in _EVENTS:
        return None
    kind = _EVENTS[name]
    try:
        # A newer worker may say more than this client knows.
        return kind(**{item.name: values[item.name] for item in fields(kind) if item.name in values})
    except TypeError:
        return None


def _object(line: bytes) -> dict | None:
    try:
        values = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _beginning(line: bytes) -> str:
    text = line.decode("ascii", "backslashreplace")
    return text if len(text) <= 60 else f"{text[:60]} ..."


class LineReader:
    """Puts lines together from pieces of any size."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` completes, without their ends; empty ones are left out.

        Of a line longer than MAX_LINE only the first MAX_LINE + 1 bytes are kept: enough to be refused.
        """
        lines = []
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._keep(end)
            line = bytes(self._rest).strip()
            self._rest.clear()
            if line:
                lines.append(line)
        self._keep(rest)
        return lines

    def _keep(self, piece: bytes) -> None:
        self._rest += piece[: MAX_LINE + 1 - len(self._rest)]

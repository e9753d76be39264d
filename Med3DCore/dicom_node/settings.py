"""The configuration of a DICOM node: one TOML file."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from Med3DCore.errors import SettingError
from Med3DCore.models.catalogue import USUAL_ORGANS

KINDS = ("seg", "rtstruct", "picture")


@dataclass(frozen=True)
class Tls:
    """Encryption with certificates on both sides.

    Args:
        certificate: Of this node, PEM.
        key: Its private key, PEM.
        authority: Certificates of those who may sign the other side's, PEM.
    """

    certificate: str
    key: str
    authority: str


@dataclass(frozen=True)
class Caller:
    """Who may send.

    Args:
        ae_title: Its AE title.
        host: Its address; any if empty.
    """

    ae_title: str
    host: str = ""


@dataclass(frozen=True)
class Peer:
    """Who gets the results.

    Args:
        ae_title: Its AE title.
        host: Its address.
        port: Its port.
        kinds: Of ``"seg"``, ``"rtstruct"`` and ``"picture"`` (a secondary capture with the outlines).
        tls: Whether it is spoken to with the node's certificates.
    """

    ae_title: str
    host: str
    port: int
    kinds: tuple[str, ...] = ("seg",)
    tls: bool = False


@dataclass(frozen=True)
class Limits:
    """What nobody may exceed.

    Args:
        object_mb: Of one object.
        series_slices: Of one series.
        queue_gb: Of all that waits.
        free_gb: Space on the disk that is left alone.
        associations: At once.
        idle_seconds: After which an association that sends nothing is ended.
    """

    object_mb: float = 512.0
    series_slices: int = 5000
    queue_gb: float = 50.0
    free_gb: float = 2.0
    associations: int = 10
    idle_seconds: float = 60.0


@dataclass(frozen=True)
class NodeSettings:
    """What a node is, does, and may do.

    Args:
        folder: The queue, and what is in work; only for this node.
        send_to: Who gets the results.
        callers: Who may send; nobody else is accepted.
        ae_title: Its own AE title.
        host: The address it listens at: this computer alone, unless told otherwise.
        port: The port.
        organs: To be segmented; all that the model finds if empty.
        model: Name or file; the one that came with Med3D and looks closest if empty.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        seg_labelmap: Store a SEG as label map.
        released_seconds: A series is complete so long after its last slice, once its association has ended.
        silent_seconds: Or so long after it if the association is still open, or was broken off.
        retry_hours: For so long a peer that does not answer is tried again.
        limits: What nobody may exceed.
        tls: With it, only encrypted associations are accepted.
    """

    folder: str
    send_to: tuple[Peer, ...]
    callers: tuple[Caller, ...]
    ae_title: str = "MED3D"
    host: str = "127.0.0.1"
    port: int = 11112
    organs: tuple[str, ...] = USUAL_ORGANS
    model: str = ""
    device: str = "auto"
    seg_labelmap: bool = False
    released_seconds: float = 2.0
    silent_seconds: float = 60.0
    retry_hours: float = 48.0
    limits: Limits = field(default_factory=Limits)
    tls: Tls | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """What has to be made for all peers together."""
        return tuple(kind for kind in KINDS if any(kind in peer.kinds for peer in self.send_to))


EXAMPLE = """\
# A Med3D DICOM node. Start it with: med3d dicom-node run THIS_FILE
folder = "/var/lib/med3d-node"       # the queue; only for this node
ae_title = "MED3D"
host = "127.0.0.1"                   # this computer alone; 0.0.0.0 for the whole network
port = 11112
organs = ["liver", "lungs"]
# model = "liver-lungs-fast-0.5.0"   # without: the one that came with Med3D and looks closest

[[callers]]                          # nobody else may send
ae_title = "ORTHANC"
# host = "10.0.0.5"

[[send_to]]
ae_title = "ORTHANC"
host = "127.0.0.1"
port = 4242
kinds = ["seg"]                      # also "rtstruct", "picture"

[limits]
queue_gb = 50
associations = 10

# [tls]                              # with it, only encrypted associations, certificates on both sides
# certificate = "/etc/med3d/node.crt"
# key = "/etc/med3d/node.key"
# authority = "/etc/med3d/hospital-ca.crt"
"""


def read_settings(path: Path) -> NodeSettings:
    """Read and check a configuration.

    Raises:
        SettingError: It cannot be read, or something in it is unknown, missing or makes no sense.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}; give a configuration (.toml).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} is no TOML: {error}.") from None
    settings = _made(NodeSettings, values, str(path))
    _check(settings, path)
    return settings


def _made(kind: type, values: Any, where: str) -> Any:
    """A dataclass from a table of the file."""
    if not isinstance(values, dict):
        raise SettingError(f"{where} must be a table.")
    hints, made = typing.get_type_hints(kind), {}
    fields = {each.name: each for each in dataclasses.fields(kind)}
    for name, value in values.items():
        if name not in fields:
            raise SettingError(f"{where}: '{name}' is unknown; possible: {', '.join(fields)}.")
        made[name] = _value(hints[name], value, f"{where}: {name}")
    for name, each in fields.items():
        needed = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        if needed and name not in made:
            raise SettingError(f"{where}: '{name}' is missing.")
    return kind(**made)


def _value(hint: Any, value: Any, where: str) -> Any:
    if typing.get_origin(hint) is types.UnionType:  # X | None
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise SettingError(f"{where} must be a list.")
        return tuple(_value(typing.get_args(hint)[0], each, where) for each in value)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _made(hint, value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint:
        names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
        raise SettingError(f"{where} must be {names[hint]}.")
    return value


def _check(settings: NodeSettings, path: Path) -> None:
    others = [*(each.ae_title for each in settings.callers), *(each.ae_title for each in settings.send_to)]
    for title in (settings.ae_title, *others):
        if not 0 < len(title.strip()) <= 16 or not title.isascii() or not title.isprintable() or "\\" in title:
            raise SettingError(f"{path}: '{title}' is no AE title; 1 to 16 plain characters.")
    for port in (settings.port, *(peer.port for peer in settings.send_to)):
        if not 0 <= port < 1 << 16:
            raise SettingError(f"{path}: {port} is no port; 1 to 65535.")
    if not settings.callers:
        raise SettingError(f"{path}: nobody may send; add [[callers]] with an ae_title.")
    if not settings.send_to:
        raise SettingError(f"{path}: nobody gets the results; add [[send_to]].")
    for peer in settings.send_to:
        unknown = set(peer.kinds) - set(KINDS)
        if unknown or not peer.kinds:
            raise SettingError(f"{path}: {peer.ae_title} gets {sorted(unknown) or 'nothing'}; of {', '.join(KINDS)}.")
        if peer.tls and settings.tls is None:
            raise SettingError(f"{path}: {peer.ae_title} is spoken to with TLS, but there is no [tls].")
    numbers = [*dataclasses.asdict(settings.limits).values(), settings.silent_seconds, settings.retry_hours]
    if min(numbers) <= 0 or settings.released_seconds < 0:
        raise SettingError(f"{path}: seconds, hours and limits must be more than 0.")
    for file in dataclasses.asdict(settings.tls).values() if settings.tls else ():
        if not Path(file).is_file():
            raise SettingError(f"{path}: there is no file {file}.")

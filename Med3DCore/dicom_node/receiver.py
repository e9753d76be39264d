"""What comes in: associations, checks, slices onto the disk."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from typing import TYPE_CHECKING, Any

from Med3DCore.dicom_node.queue import Queue, hashed
from Med3DCore.dicom_node.settings import NodeSettings
from Med3DCore.errors import OutputError

if TYPE_CHECKING:
    from pynetdicom import AE
    from pynetdicom.events import Event

# CT and enhanced CT. Source: PS3.4, table B.5-1; nothing else is negotiated.
CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1")
_VERIFICATION = "1.2.840.10008.1.1"
# As the engine reads them: uncompressed, deflated, RLE, JPEG lossless, JPEG-LS, JPEG 2000.
_SYNTAXES = [
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
]
# Statuses of C-STORE. Source: PS3.4, B.2.3.
_TAKEN, _NO_ROOM, _NOT_OURS, _NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
_MB = 1 << 20
_GB = 1 << 30
_log = logging.getLogger(__name__)


class Receiver:
    """Takes slices, and knows which series are still being sent.

    Args:
        settings: Who may send how much.
        queue: Where slices go.
    """

    def __init__(self, settings: NodeSettings, queue: Queue) -> None:
        self._settings, self._queue = settings, queue
        self._lock = threading.Lock()
        self._open: dict[object, set[str]] = {}  # association to the series that it sent
        self._silent: set[str] = set()  # series whose association was broken off
        self._slices: dict[str, int] = {}  # of series that are being sent
        self._bytes, self._counted = 0, 0.0

    def ready(self, key: str, last: float, now: float) -> bool:
        """Whether a series whose last slice came at a time (seconds since 1970) is complete."""
        with self._lock:
            broken = key in self._silent or any(key in keys for keys in self._open.values())
        wait = self._settings.silent_seconds if broken else self._settings.released_seconds
        return now - last >= wait

    def suspect(self, key: str) -> None:
        """A series that was there when the node started: whether all of it came, nobody knows."""
        with self._lock:
            self._silent.add(key)

    def application_entity(self) -> AE:
        """What answers associations, by the settings."""
        from pynetdicom import AE

        entity, limits = AE(ae_title=self._settings.ae_title), self._settings.limits
        for name in CLASSES:
            entity.add_supported_context(name, _SYNTAXES)
        entity.add_supported_context(_VERIFICATION)
        entity.require_called_aet = True
        entity.require_calling_aet = [caller.ae_title for caller in self._settings.callers]
        entity.maximum_associations = limits.associations
        entity.network_timeout = limits.idle_seconds
        entity.acse_timeout = entity.dimse_timeout = min(30.0, limits.idle_seconds)
        entity.maximum_pdu_size = 1 << 18
        return entity

    def handlers(self) -> list:
        """For pynetdicom's ``start_server``."""
        from pynetdicom import evt

        return [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_RELEASED, self._released),
            (evt.EVT_ABORTED, self._broken),
            (evt.EVT_CONN_CLOSE, self._broken),
        ]

    def _requested(self, event: Event) -> None:
        """Hang up on known names from unknown places."""
        caller = event.assoc.requestor
        hosts = [each.host for each in self._settings.callers if each.ae_title == caller.ae_title.strip()]
        if hosts and "" not in hosts and caller.address not in hosts:
            _log.warning("refused %s, which calls from an address that is not its own", caller.ae_title)
            event.assoc.abort()

    def _store(self, event: Event) -> int:
        request: Any = event.request
        if str(request.AffectedSOPClassUID) not in CLASSES:
            return _NOT_OURS
        size = request.DataSet.getbuffer().nbytes if request.DataSet else 0
        if size == 0:
            return _NOT_UNDERSTOOD
        try:
            series = str(event.dataset.SeriesInstanceUID)
        except Exception:  # whatever a damaged data set makes it raise
            _log.warning("refused an object that cannot be read")
            return _NOT_UNDERSTOOD
        why = self._why_not(series, size)
        if why:
            _log.error("refused a slice: %s", why)
            return _NO_ROOM
        try:
            key = self._queue.add(series, str(request.AffectedSOPInstanceUID), event.encoded_dataset())
        except OutputError as error:
            _log.error("refused a slice: %s", error)
            return _NO_ROOM
        with self._lock:
            self._open.setdefault(event.assoc, set()).add(key)
            self._bytes += size
            self._slices[key] = self._slices.get(key, 0) + 1
        return _TAKEN

    def _why_not(self, series: str, size: int) -> str:
        """Which limit a slice would exceed, or nothing."""
        limits = self._settings.limits
        if size > limits.object_mb * _MB:
            return f"it is larger than {limits.object_mb:g} MB (object_mb)"
        if time.monotonic() - self._counted > 10:
            self._bytes, self._counted = self._queue.bytes(), time.monotonic()
        if self._bytes + size > limits.queue_gb * _GB:
            return f"more than {limits.queue_gb:g} GB wait (queue_gb)"
        if shutil.disk_usage(self._queue.folder).free - size < limits.free_gb * _GB:
            return f"the disk has less than {limits.free_gb:g} GB left (free_gb)"
        key = hashed(series)
        if key not in self._slices:
            self._slices[key] = len(self._queue.slices_of(key))
        if self._slices[key] >= limits.series_slices:
            return f"its series has {limits.series_slices} slices already (series_slices)"
        return ""

    def _released(self, event: Event) -> None:
        with self._lock:
            self._silent -= self._sent_by(event.assoc)

    def _broken(self, event: Event) -> None:
        with self._lock:
            self._silent |= self._sent_by(event.assoc)

    def _sent_by(self, association: object) -> set[str]:
        """The series of an association that has ended; their slices are counted anew when more come."""
        keys = self._open.pop(association, set())
        for key in keys:
            self._slices.pop(key, None)
        return keys

"""A peer that keeps what it gets, a sender, and a node in a thread or a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pynetdicom import AE, evt

from Med3DCore.dicom_node.receiver import CLASSES
from Med3DCore.dicom_node.service import serve
from Med3DCore.dicom_node.settings import read_settings


def free_port() -> int:
    """A port that nobody listens at just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(true: Callable[[], bool], seconds: float = 60.0, pause: float = 0.05) -> None:
    """Wait for something; ``pause`` is how long it may last unseen."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(pause)


class Archive:
    """A peer that keeps what it gets by SOP Instance UID, counts how often each came, and may take its time."""

    def __init__(self, port: int, tls=None, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self.objects: dict[str, pydicom.Dataset] = {}
        self.times: dict[str, int] = {}
        entity = AE(ae_title="ARCHIVE")
        for name in (
            "1.2.840.10008.5.1.4.1.1.66.4",
            "1.2.840.10008.5.1.4.1.1.481.3",
            "1.2.840.10008.5.1.4.1.1.7",
        ):
            entity.add_supported_context(name)
        self._server = entity.start_server(
            ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)], ssl_context=tls
        )

    def _store(self, event: evt.Event) -> int:
        time.sleep(self._seconds)
        made = event.dataset
        made.file_meta = event.file_meta
        self.objects[made.SOPInstanceUID] = made
        self.times[made.SOPInstanceUID] = self.times.get(made.SOPInstanceUID, 0) + 1
        return 0

    def modalities(self) -> list[str]:
        """Of what came."""
        return sorted(made.Modality for made in self.objects.values())

    def close(self) -> None:
        """End."""
        self._server.shutdown()


def configuration(folder: Path, port: int, archive: int, extra: str = "", kinds: str = '"seg"') -> Path:
    """A configuration file that goes on after a quarter of a second."""
    path = folder / "node.toml"
    path.write_text(
        f'folder = "{folder / "queue"}"\nport = {port}\nmodel = "bright"\nreleased_seconds = 0.25\n'
        f'silent_seconds = 1\n{extra}\n[[callers]]\nae_title = "SCANNER"\n'
        f'[[send_to]]\nae_title = "ARCHIVE"\nhost = "127.0.0.1"\nport = {archive}\nkinds = [{kinds}]\n',
        encoding="utf-8",
    )
    return path


@contextmanager
def running(path: Path):
    """A node in a thread."""
    stop, ports, errors = threading.Event(), [], []

    def run() -> None:
        try:
            serve(read_settings(path), stop.is_set, ports.append)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: bool(ports or errors))
    try:
        yield
    finally:
        stop.set()
        thread.join()
        if errors:
            raise errors[0]


def start_node(path: Path, environment: dict[str, str]) -> subprocess.Popen:
    """A node in a process; returns once it listens. Another program may have its port for a moment."""
    command = [sys.executable, "-m", "Med3DCore.cli.main", "dicom-node", "run", str(path)]
    for _ in range(5):
        node, said = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment), []
        for line in node.stderr:
            said.append(line)
            if "listens at" in line:
                threading.Thread(target=node.stderr.read, daemon=True).start()
                return node
        node.wait()
        assert "cannot be listened at" in "".join(said), said
        time.sleep(1)
    raise AssertionError("its port stays taken")


def associate(port: int, title: str = "SCANNER", classes: tuple[str, ...] = CLASSES, tls=None):
    """An association with the node."""
    entity = AE(ae_title=title)
    entity.acse_timeout = entity.dimse_timeout = entity.connection_timeout = 10
    for name in classes:
        entity.add_requested_context(name)
    return entity.associate("127.0.0.1", port, ae_title="MED3D", tls_args=(tls, "localhost") if tls else None)


def send_folder(folder: Path, port: int, **how: object) -> list[int | None]:
    """Send a series; the statuses."""
    association = associate(port, **how)
    assert association.is_established
    statuses = []
    for file in sorted(folder.glob("*.dcm")):
        if not association.is_established:
            break
        statuses.append(association.send_c_store(pydicom.dcmread(file)).get("Status"))
    if not association.is_established:
        raise RuntimeError("The association was cut off.")
    association.release()
    return statuses

"""DICOMweb: fetch a series from an archive, store results into its study. By dicomweb-client. Source: PS3.18."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.dicom_node.queue import hashed
from Med3DCore.errors import SettingError, VolumeError
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from dicomweb_client.api import DICOMwebClient

_SECONDS = 60.0
TOKEN, USER, PASSWORD = "MED3D_DICOMWEB_TOKEN", "MED3D_DICOMWEB_USER", "MED3D_DICOMWEB_PASSWORD"
"""Environment variables for who may: a bearer token, or a name and password. All see a command line."""


class Archive:
    """A DICOMweb server.

    Args:
        url: Its root, such as ``"http://localhost:8042/dicom-web"``.

    Raises:
        SettingError: It is no such address, or the package is missing.
    """

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise SettingError(f"{url} is no address of a DICOMweb server; it begins with http:// or https://.")
        if importlib.util.find_spec("dicomweb_client") is None:
            raise SettingError("The package dicomweb-client is missing; install it with pip install 'Med3DCore[node]'.")
        self.url = url.rstrip("/")
        self._client = _client(self.url)

    def fetch(self, series_uid: str, folder: Path, progress: Progress) -> None:
        """Write the images of a series into a folder.

        Raises:
            VolumeError: The server does not answer, refuses, or has no such series.
        """
        with self._asked(f"asked for the series {series_uid}"):
            found = self._client.search_for_series(search_filters={"SeriesInstanceUID": series_uid})
            if not found:
                raise VolumeError(f"{self.url} has no series {series_uid}; check its UID (Series Instance UID).")
            self._client.set_http_retry_params()  # it is there: half a minute of patience from now on
            study = found[0]["0020000D"]["Value"][0]
            count = found[0].get("00201209", {}).get("Value", [0])[0]
            for number, image in enumerate(self._client.iter_series(study, series_uid), start=1):
                image.save_as(folder / f"{hashed(image.SOPInstanceUID)}.dcm", enforce_file_format=True)
                progress.update(min(1.0, number / count) if count else 0.0)

    def store(self, file: Path) -> None:
        """Store a DICOM file.

        Raises:
            VolumeError: The server does not answer, or refuses.
        """
        import pydicom

        made = pydicom.dcmread(file)
        with self._asked("was given the result"):
            answer = self._client.store_instances([made])
        if answer.get("FailedSOPSequence"):
            reason = answer.FailedSOPSequence[0].get("FailureReason", 0)
            raise VolumeError(f"{self.url} did not take {file.name} (reason {reason:04X}).")

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        import requests

        try:
            yield
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            cure = f"; set {TOKEN}, or {USER} and {PASSWORD}" if status in (401, 403) else ""
            raise VolumeError(f"{self.url} answered with status {status} when it {what}{cure}.") from None
        except (requests.RequestException, OSError) as error:
            raise VolumeError(f"{self.url} did not answer when it {what} ({type(error).__name__}).") from None


def _client(url: str) -> DICOMwebClient:
    import requests
    from dicomweb_client.api import DICOMwebClient

    session = requests.Session()
    if os.environ.get(TOKEN):
        session.headers["Authorization"] = f"Bearer {os.environ[TOKEN]}"
    elif os.environ.get(USER):
        session.auth = (os.environ[USER], os.environ.get(PASSWORD, ""))
    client = DICOMwebClient(url, session=session, timeout=_SECONDS)
    client.set_http_retry_params(max_attempts=2, wait_exponential_multiplier=500)  # an address may be wrong
    return client

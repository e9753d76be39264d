"""Where a user's own things are kept: where an environment variable says, or where the platform keeps such things."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from Med3DCore.errors import SettingError
from Med3DCore.io.files import as_path


@dataclass(frozen=True)
class Place:
    """A kind of things that programs keep for a user, and where.

    Args:
        linux: Environment variable of the XDG Base Directory Specification, and the folder at home without it.
        mac: Folder at home.
    """

    linux: tuple[str, str]
    mac: str

    def folder(self, name: str, variable: str) -> Path:
        """Med3D's own folder there; it need not exist.

        Args:
            name: Of the folder.
            variable: Environment variable that names another one.

        Raises:
            SettingError: The account has no home folder, as in a container or a batch job, and nothing says otherwise.
        """
        if chosen := os.environ.get(variable):
            return as_path(chosen)
        if sys.platform == "win32":
            base = os.environ.get("LOCALAPPDATA") or _home(variable) / "AppData" / "Local"
        elif sys.platform == "darwin":
            base = _home(variable) / self.mac
        else:
            base = os.environ.get(self.linux[0]) or _home(variable) / self.linux[1]
        return Path(base) / "Med3D" / name


DATA = Place(("XDG_DATA_HOME", ".local/share"), "Library/Application Support")
CAN_BE_MADE_AGAIN = Place(("XDG_CACHE_HOME", ".cache"), "Library/Caches")


def _home(variable: str) -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise SettingError(f"This account has no home folder; set {variable} to a folder that is yours.") from None

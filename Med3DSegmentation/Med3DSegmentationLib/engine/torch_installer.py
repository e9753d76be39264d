"""First use: PyTorch, which the engine computes with and Slicer does not bring. Never imported here, never silently
installed: the extension PyTorch brings it when the user agrees, or pip does from a folder of wheels.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
import slicer.util
from slicer.i18n import tr as _

from Med3DCore.errors import ResourceError, SettingError

REQUIREMENTS = Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"


def findPyTorchUtils() -> Any:
    """PyTorchUtilsLogic of the extension PyTorch, or None without it."""
    try:
        from PyTorchUtils import PyTorchUtilsLogic
    except ImportError:
        return None
    return PyTorchUtilsLogic()


def findTorch() -> bool:
    """Whether ``import torch`` would find a package; what a removal left behind is none."""
    importlib.invalidate_caches()
    found = importlib.util.find_spec("torch")
    return found is not None and found.origin is not None


class TorchInstaller:
    """Brings PyTorch; what :class:`.panels.services.Installer` asks for.

    Args:
        packaging: ``slicer.packaging``; None imports it.
        findUtils: Gives the PyTorchUtilsLogic, or None if the extension PyTorch is not installed.
        findTorch: Whether the package is there.
        onInstalled: Called after PyTorch was brought, such as to restart the engine.
    """

    def __init__(
        self,
        packaging: Any = None,
        findUtils: Callable[[], Any] = findPyTorchUtils,
        findTorch: Callable[[], bool] = findTorch,
        onInstalled: Callable[[], None] = lambda: None,
    ) -> None:
        if packaging is None:
            import slicer.packaging as packaging
        self._packaging = packaging
        self._findUtils, self._findTorch, self._onInstalled = findUtils, findTorch, onInstalled
        self._ready = False
        self._requirement = str(packaging.load_requirements(REQUIREMENTS)[0])  # torch>=2.10

    def isReady(self) -> bool:
        """Whether PyTorch is there and new enough; quick, and imports nothing."""
        self._ready = self._ready or (self._findTorch() and self._packaging.pip_check(self._requirement))
        return self._ready

    def reason(self) -> str:
        """Why nothing can be computed yet; empty when ready."""
        if self.isReady():
            return ""
        if self._findTorch():
            found, needed = importlib.metadata.version("torch"), self._requirement.removeprefix("torch>=")
            return _("PyTorch {found} is installed, but Med3D needs {needed} or newer: click Install.").format(
                found=found, needed=needed
            )
        return _("PyTorch, which does the computing, is not installed yet: click Install to see what it takes.")

    def installWithConsent(self) -> bool:
        """Say what will be installed, ask, and do it.

        Returns:
            Whether PyTorch is ready then. While Slicer runs tests nothing is asked or installed.

        Raises:
            SettingError: The chosen folder holds no PyTorch.
            ResourceError: The installation failed.
        """
        if slicer.app.testingEnabled():
            return self.isReady()
        utils = self._findUtils()
        choice = _ask(self._requirement.removeprefix("torch>="), utils is not None)
        if choice == qt.QMessageBox.Ok and utils is None:
            _openExtensionsManager()
        elif choice == qt.QMessageBox.Ok:
            self._download(utils)
        elif choice == qt.QMessageBox.Open:
            self._installFromFolder()
        if self.isReady():
            self._onInstalled()
        return self.isReady()

    def _download(self, utils: Any) -> None:
        try:
            with slicer.util.WaitCursor():
                utils.installTorch(
                    askConfirmation=False, torchVersionRequirement=self._requirement.removeprefix("torch")
                )
        except Exception as error:  # pip, the network, or a torch that cannot be imported: PyTorchUtils lets all pass
            raise ResourceError(
                _(
                    "PyTorch could not be installed: {reason}. Check the internet connection and the free disk space"
                    " and try again, or install it from a folder. If it was installed before, restart Slicer first."
                ).format(reason=error)
            ) from error

    def _installFromFolder(self) -> None:
        title = _("Folder with wheel files of PyTorch")
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title)
        if not folder:
            return
        if not any(Path(folder).glob("torch-*.whl")):
            raise SettingError(
                _(
                    "{folder} holds no PyTorch (a file torch-….whl); choose the folder that was filled with"
                    " “pip download torch” on a computer of the same kind."
                ).format(folder=folder)
            )
        try:
            self._packaging.pip_install(
                ["--no-index", "--find-links", folder, self._requirement], requester="Med3D Segmentation"
            )
        except Exception as error:  # CalledProcessError, and what starting a process may raise
            raise ResourceError(
                _(
                    "PyTorch could not be installed from {folder}: a wheel file is missing, or made for another system"
                    " or another version of Python; see the log in Slicer's Python console."
                ).format(folder=folder)
            ) from error


def _ask(version: str, hasUtils: bool) -> int:
    """What the user wants: Ok to download (or, without the extension PyTorch, to get that), Open for a folder."""
    box = qt.QMessageBox(slicer.util.mainWindow())
    box.windowTitle = _("Med3D needs PyTorch")
    box.icon = qt.QMessageBox.Question
    box.text = _("Med3D computes with PyTorch {version} or newer, which this Slicer does not have yet.").format(
        version=version
    )
    download = _(
        "<b>Download</b> gets it through the extension PyTorch: about 0.2 GB (0.8 GB on the disk) without an NVIDIA"
        " graphics card, about 3 GB (7 GB on the disk) with one. That takes some minutes, in which Slicer waits."
    )
    extension = _(
        "The Slicer extension PyTorch, which chooses the right build for this computer, is missing. Install it in the"
        " <b>Extensions Manager</b>, restart Slicer, and come back here."
    )
    folder = _(
        "<b>From a folder</b> needs no internet: choose a folder with wheel files that were downloaded on another"
        " computer (see “Without internet” in the documentation)."
    )
    private = _("Your images stay on this computer either way.")
    box.informativeText = "".join(f"<p>{text}</p>" for text in (download if hasUtils else extension, folder, private))
    box.setStandardButtons(qt.QMessageBox.Ok | qt.QMessageBox.Open | qt.QMessageBox.Cancel)
    box.button(qt.QMessageBox.Ok).text = _("Download and install") if hasUtils else _("Extensions Manager...")
    box.button(qt.QMessageBox.Open).text = _("From a folder...")
    return box.exec_()


def _openExtensionsManager() -> None:
    """Raises ResourceError where Slicer was built without one."""
    if not hasattr(slicer.app, "openExtensionsManagerDialog"):
        raise ResourceError(
            _("This Slicer has no Extensions Manager; install PyTorch from a folder of wheels instead."),
            code="no-torch",
        )
    slicer.app.openExtensionsManagerDialog()

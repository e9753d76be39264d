"""First use without PyTorch: what the user is told and asked, and who installs."""

import subprocess
import sys
from pathlib import Path

import pytest

MODULE = Path(__file__).resolve().parents[2] / "Med3DSegmentation"


@pytest.fixture
def make_installer(make_slicer_gui, monkeypatch):
    """An installer in a Slicer without torch, its host, and how often the engine was restarted."""
    monkeypatch.syspath_prepend(str(MODULE))

    def make(**options):
        host = make_slicer_gui(**options)
        from Med3DSegmentationLib.engine.torch_installer import TorchInstaller

        host.services.installed.clear()
        restarts = []
        found = lambda: "torch" in host.services.installed  # noqa: E731
        return TorchInstaller(findTorch=found, onInstalled=lambda: restarts.append(1)), host, restarts

    return make


def test_torch_is_found_without_importing_it(slicer_gui, monkeypatch):
    monkeypatch.syspath_prepend(str(MODULE))
    from Med3DSegmentationLib.engine.torch_installer import TorchInstaller

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    installer = TorchInstaller()
    assert installer.isReady() and installer.reason() == "" and "torch" not in sys.modules


def test_what_a_removal_left_behind_is_not_torch(slicer_gui, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(MODULE))
    from Med3DSegmentationLib.engine import torch_installer

    (tmp_path / "torch" / "lib").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert not torch_installer.findTorch()


def test_too_old_a_torch_is_told(make_installer):
    installer, host, _ = make_installer()
    assert "not installed yet" in installer.reason()
    installer._findTorch = lambda: True  # there, but pip_check refuses its version
    assert "Med3D needs 2.10 or newer" in installer.reason() and not installer.isReady()
    assert host.services.calls == []


def test_it_is_installed_through_the_pytorch_extension_after_asking(make_installer):
    installer, host, restarts = make_installer()
    host.services.installable_torch = object()
    host.dialogs.answer(host.qt.QMessageBox.Cancel)
    assert installer.installWithConsent() is False
    assert host.services.calls == [] and restarts == []
    host.dialogs.answer(host.qt.QMessageBox.Ok)
    assert installer.installWithConsent() is True
    assert [name for name, _ in host.services.calls] == ["installTorch"]
    assert host.services.calls[0][1] == {
        "askConfirmation": False,
        "forceComputationBackend": None,
        "torchVersionRequirement": ">=2.10",
    }
    assert restarts == [1] and host.qt.QApplication.overrideCursor() is None


def test_a_failed_download_is_told_with_a_way_out(make_installer):
    # Its own: an earlier test may have reloaded the engine.
    from Med3DSegmentationLib.engine.torch_installer import ResourceError

    installer, host, restarts = make_installer()
    host.services.failure = subprocess.CalledProcessError(1, "pip")
    host.dialogs.answer(host.qt.QMessageBox.Ok)
    with pytest.raises(ResourceError, match=r"non-zero exit status 1.*from a folder") as error:
        installer.installWithConsent()
    assert error.value.__cause__ is host.services.failure
    assert restarts == [] and host.qt.QApplication.overrideCursor() is None


def test_without_the_extension_the_way_to_it_is_shown(make_installer):
    installer, host, _ = make_installer(pytorch_extension=False)
    host.dialogs.answer(host.qt.QMessageBox.Ok)
    assert installer.installWithConsent() is False
    assert [message.kind for message in host.dialogs.shown] == ["question", "ExtensionsManager"]
    assert host.services.calls == []


def test_a_slicer_without_extensions_manager_says_so(make_installer, monkeypatch):
    # Its own: an earlier test may have reloaded the engine.
    from Med3DSegmentationLib.engine.torch_installer import ResourceError

    installer, host, _ = make_installer(pytorch_extension=False)
    monkeypatch.delattr(type(host.app), "openExtensionsManagerDialog")
    host.dialogs.answer(host.qt.QMessageBox.Ok)
    with pytest.raises(ResourceError, match="no Extensions Manager"):
        installer.installWithConsent()


@pytest.mark.parametrize("pytorch_extension", [True, False])
def test_offline_it_comes_from_a_folder_of_wheels(make_installer, tmp_path, pytorch_extension):
    installer, host, restarts = make_installer(pytorch_extension=pytorch_extension)
    (tmp_path / "torch-2.13.0-cp312-cp312-win_amd64.whl").touch()
    host.dialogs.answer(host.qt.QMessageBox.Open, str(tmp_path))
    assert installer.installWithConsent() is True and restarts == [1]
    [(function, arguments)] = host.services.calls
    assert function == "pip_install"
    assert arguments["requirements"] == ["--no-index", "--find-links", str(tmp_path), "torch>=2.10"]


def test_a_wrong_folder_is_told(make_installer, tmp_path):
    from Med3DSegmentationLib.engine.torch_installer import (
        ResourceError,
        SettingError,
    )  # its own: an earlier test may have reloaded the engine

    installer, host, restarts = make_installer()
    host.dialogs.answer(host.qt.QMessageBox.Open, "", host.qt.QMessageBox.Open, str(tmp_path))
    assert installer.installWithConsent() is False  # no folder was chosen
    with pytest.raises(SettingError, match="holds no PyTorch"):
        installer.installWithConsent()
    assert host.services.calls == []
    (tmp_path / "torch-2.13.0-cp39-cp39-win_amd64.whl").touch()
    host.services.failure = subprocess.CalledProcessError(1, "pip")
    host.dialogs.answer(host.qt.QMessageBox.Open, str(tmp_path))
    with pytest.raises(ResourceError, match="another version of Python"):
        installer.installWithConsent()
    assert restarts == []


def test_nothing_is_asked_or_installed_while_slicer_tests(make_installer):
    installer, host, _ = make_installer(testing=True)
    assert installer.installWithConsent() is False
    assert host.dialogs.shown == [] and host.services.calls == []

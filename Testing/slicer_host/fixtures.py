"""Fixtures of the tests on the stand-in host, imported by the conftest.py of ``Testing/mrml`` and ``Testing/widget``.

``slicer_scene``: a fresh scene, no Qt. ``slicer_gui``: the same with Qt, Slicer's Python modules and windows.
``make_slicer_gui`` takes the options of :class:`slicer_host.gui.GuiHost`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator

import pytest

# Before Qt and VTK are imported: no screen, and no search for an X server.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
if os.name == "posix":
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")


def _need(*packages: str) -> None:
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: pip install -e .[test]")


@pytest.fixture(scope="session")
def vtk_messages():
    """What VTK and MRML complain about, a :class:`slicer_host.logwindow.LogWindow`."""
    _need("slicer_core")
    from slicer_host.logwindow import LogWindow

    return LogWindow().install()


@pytest.fixture
def slicer_scene(vtk_messages) -> Iterator:
    """A :class:`slicer_host.mrml.Host` with an empty scene."""
    from slicer_host.mrml import Host

    vtk_messages.clear()
    host = Host()
    yield host
    host.close()


@pytest.fixture
def make_slicer_gui(vtk_messages) -> Iterator[Callable]:
    """Makes one :class:`slicer_host.gui.GuiHost` with options; the test fails if an exception left a Qt slot."""
    _need("slicer_core", "PySide6")
    from slicer_host.gui import GuiHost

    vtk_messages.clear()
    hosts: list[GuiHost] = []

    def make(**options) -> GuiHost:
        assert not hosts, "One host a test."
        hosts.append(GuiHost(**options))
        return hosts[0]

    yield make
    for host in hosts:
        host.close()
        host.expect_no_slot_errors()


@pytest.fixture
def slicer_gui(make_slicer_gui):
    """A :class:`slicer_host.gui.GuiHost` as it comes."""
    return make_slicer_gui()

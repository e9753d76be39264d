"""Which Slicer the module needs. Works in every Slicer 5, so it imports nothing that came later, nor any room."""

from __future__ import annotations

import slicer

NEEDED = (5, 12)


def isTooOld() -> bool:
    """Whether this Slicer is older than the first one that the module works in."""
    return (slicer.app.majorVersion, slicer.app.minorVersion) < NEEDED


def whatIsNeeded() -> str:
    """A sentence for the user; not translated, since an old Slicer may have no translations."""
    needed = f"3D Slicer {NEEDED[0]}.{NEEDED[1]} or later"
    return (
        f"Med3D Segmentation needs {needed}; this is {slicer.app.applicationVersion}. "
        "Install a newer Slicer from https://download.slicer.org, and the extension in it."
    )

"""Is it known how good a model is? Asked before a program takes a model that its user did not choose."""

from __future__ import annotations

from Med3DCore.models.package import ModelPackage

_FEW_CASES = 3


def why_unproven(package: ModelPackage) -> str | None:
    """Why a model should be used only by who chooses it, a sentence; None if nothing speaks against it.

    Args:
        package: A model. One that does not say what it learned from is taken as it is.
    """
    taught, checked = (package.provenance.get(f"{kind}_cases") for kind in ("training", "validation"))
    if taught is None:
        return None
    reasons = [f"it learned from {len(taught)} case{'s' * (len(taught) != 1)} only"] if len(taught) < _FEW_CASES else []
    reasons += ["it was checked on none"] if not checked else []
    return f"Nobody knows how good {package.title} is: {' and '.join(reasons)}." if reasons else None

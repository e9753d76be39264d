"""Is it known how good a model is? Asked before a program takes a model that its user did not choose."""

from __future__ import annotations

from Med3DCore.models.package import ModelPackage


def why_unproven(package: ModelPackage) -> str | None:
    """Why a model should be used only by who chooses it, a sentence; None if nothing speaks against it.

    Three corrected cases, of which one is held out, are enough: that is what fine-tuning is made for.

    Args:
        package: A model. One that does not say what it learned from is taken as it is.
    """
    taught, checked = (package.provenance.get(f"{kind}_cases") for kind in ("training", "validation"))
    if taught is None:
        return None
    reasons = ["it learned from a single case"] if len(taught) < 2 else []
    reasons += ["it was checked on none"] if not checked else []
    return f"Nobody knows how good {package.title} is: {' and '.join(reasons)}." if reasons else None

"""What the images of a patient are called that a model takes together."""

from __future__ import annotations

from collections.abc import Sequence

from Med3DCore.models.stage import Stage


def channel_names(stages: Sequence[Stage], provenance: dict) -> tuple[str, ...]:
    """Names of the images that a model takes of a patient, the scan itself first; none for a model of one image.

    Our own models name them in their intensities, those of nnU-Net where they come from; those of MONAI, whose files
    name none, have numbers.
    """
    listed = stages[0].preprocessing["intensity"].get("channels", ()) if stages else ()
    if len(listed) < 2:
        return ()
    origin, count = provenance.get("imported"), len(listed)
    told = origin.get("channels") if isinstance(origin, dict) else None
    return _names(listed, count) or _names(told, count) or tuple(f"image {n}" for n in range(1, count + 1))


def _names(told: object, count: int) -> tuple[str, ...]:
    """What is told, if it is a text for each image and no two are alike; else none."""
    if not isinstance(told, list | tuple):
        return ()
    names = tuple(name for name in told if isinstance(name, str) and name)
    return names if len(set(names)) == len(told) == count else ()

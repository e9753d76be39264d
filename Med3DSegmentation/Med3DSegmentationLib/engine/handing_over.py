"""Volumes and label maps on their way to the engine, in pieces short enough for the window."""

from __future__ import annotations

from typing import Any

from Med3DCore.volume import Volume
from Med3DCore.worker.exchange import write_volume_in_pieces
from Med3DSegmentationLib.scene.pieces import Pieces


def handOver(volume: Volume, folder: str, key: str, saying: str) -> Pieces[dict[str, Any]]:
    """Write a volume where the engine reads it; the value is its description for a request.

    Args:
        volume: A scan, or a label map.
        folder: Where to.
        key: Name of the file, without its ending.
        saying: What the user is told meanwhile.
    """
    for description in write_volume_in_pieces(volume, folder, key):  # noqa: B007 - the same each time
        yield saying
    return description

"""Scans of another kind than a model was made for: refused with what to do, or taken all the same."""

from __future__ import annotations

import argparse

from Med3DCore.errors import VolumeError
from Med3DCore.models.package import ModelPackage
from Med3DCore.preprocessing.hounsfield import NOT_CT, require_modality
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume


def add_not_ct(parser: argparse.ArgumentParser) -> None:
    """The option to take such a scan all the same."""
    parser.add_argument(
        "--not-ct",
        action="store_true",
        help="take also a scan that is no CT in Hounsfield units, or not of the modality that the model is for",
    )


def require_kind(volume: Volume, package: ModelPackage, progress: Progress, not_ct: bool) -> None:
    """See :func:`.require_modality`; the refusal names the option.

    Raises:
        VolumeError: The scan is of another kind.
    """
    try:
        require_modality(volume, package.modality, package.reference, progress, not_ct)
    except VolumeError as error:
        raise with_cure(error, "Look at", takes_offset=False) from None


def with_cure(error: VolumeError, what: str, takes_offset: bool = True) -> VolumeError:
    """An error; of a scan of another kind, with what to do about it on the command line.

    Args:
        error: Any.
        what: What the command does with a scan, such as ``"Segment"``.
        takes_offset: Whether the command has ``--offset``.
    """
    if error.code != NOT_CT:
        return error
    offset = error.facts["offset"] if takes_offset else None
    if_ct = f"Add it with --offset {offset} if it is a CT, or {what.lower()}" if offset else what
    return VolumeError(f"{error} {if_ct} the scan all the same with --not-ct.", NOT_CT, error.facts)

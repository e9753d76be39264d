"""Several images of a patient that one network takes as channels."""

from __future__ import annotations

from collections.abc import Sequence

from Med3DCore.errors import VolumeError
from Med3DCore.volume import Volume


def require_channels(volumes: Sequence[Volume], wanted: int) -> None:
    """Refuse images that a model cannot take.

    Args:
        volumes: The images of a patient.
        wanted: How many the model takes.

    Raises:
        VolumeError: There are more or fewer, or they do not lie over each other.
    """
    given = len(volumes)
    if wanted != given:
        what = "one image" if wanted == 1 else f"{wanted} images of a patient (channels)"
        more = "" if given > wanted else "; give the others with --channel, in the order of `med3d models show`"
        raise VolumeError(f"This model needs {what}, but {given} {'was' if given == 1 else 'were'} given{more}.")
    require_one_grid(volumes)


def require_one_grid(volumes: Sequence[Volume]) -> None:
    """Refuse channels of a scan that do not lie over each other.

    Raises:
        VolumeError: One has another grid than the first.
    """
    for other in volumes[1:]:
        if not volumes[0].geometry.is_close(other.geometry):
            raise VolumeError(
                f"{other.name} lies on another grid than {volumes[0].name}; a model of several channels needs them "
                "voxel over voxel: resample one onto the other first."
            )

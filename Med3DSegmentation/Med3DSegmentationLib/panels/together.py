"""Why volumes cannot go into a model together, which takes several images of a patient."""

from __future__ import annotations

from collections.abc import Sequence

import slicer
from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError
from Med3DSegmentationLib.scene.tilted_volumes import scanGeometry


def whyNotTogether(names: Sequence[str], volumes: Sequence[slicer.vtkMRMLScalarVolumeNode | None]) -> str:
    """The first reason, or "".

    Args:
        names: What the images are called.
        volumes: One an image, the scan first; None where none is chosen.
    """
    scan = volumes[0]
    for name, volume in zip(names, volumes, strict=True):
        if volume is None:
            sentence = _("The model looks at {count} images of a patient at once; choose the volume for {name}.")
            return sentence.format(count=len(names), name=name)
    for index, volume in enumerate(volumes):
        earlier = volumes.index(volume)
        if earlier < index:
            sentence = _("{volume} is chosen for {one} and for {other}; choose another volume for one of them.")
            return sentence.format(volume=volume.GetName(), one=names[earlier], other=names[index])
    try:
        grids = [scanGeometry(volume) for volume in volumes]
    except Med3DError as error:
        return str(error)
    for volume, grid in zip(volumes, grids, strict=True):
        if not grids[0].is_close(grid):
            sentence = _(
                "{volume} lies on another grid than {scan}, and the model looks at both voxel by voxel. If they are of"
                " the same patient, bring it onto the grid of {scan} with the module Resample Image (BRAINS)."
            )
            return sentence.format(volume=volume.GetName(), scan=scan.GetName())
    return ""

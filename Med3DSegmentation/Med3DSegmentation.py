"""Med3D Segmentation for 3D Slicer: liver and lungs of a CT in one click; the classes that Slicer looks for."""

from Med3DSegmentationLib.entry.slicer_version import isTooOld

if isTooOld():  # such a Slicer lacks what the rest imports, and would not even list the module
    from Med3DSegmentationLib.entry.too_old import Med3DSegmentation, Med3DSegmentationWidget
else:
    from Med3DSegmentationLib.entry.module import (  # noqa: F401
        Med3DSegmentation,
        Med3DSegmentationLogic,
        Med3DSegmentationTest,
        Med3DSegmentationWidget,
    )

"""What the Med3DSegmentation module is made of; Slicer's names (camelCase).

``SegmentationLogic`` in :mod:`.segmentation_logic` is the way in, from the panels and from the Python console;
``TrainingLogic`` in :mod:`.training.logic` trains. Rooms, from the lowest: ``scene`` (everything that touches MRML),
``engine`` (the engine as a QProcess, requests one after the other, what their answers do to the scene), ``training``
(cases in the scene, what their segments mean, the request and its curve), ``panels`` (a tab a folder),
``entry`` (the classes that Slicer looks for).
"""

from Med3DSegmentationLib.engine.path import addEngineToPath

addEngineToPath()

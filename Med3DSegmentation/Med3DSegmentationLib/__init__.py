"""What the Med3DSegmentation module is made of; Slicer's names (camelCase).

``SegmentationLogic`` in :mod:`.segmentation_logic` is the way in, from the panels and from the Python console. Below:
``jobs`` (one request after the other), ``steps`` (what a request sends and what its answer does to the scene),
``engine_process`` (the engine as a QProcess; the only file here that knows Qt), and the bridge between nodes and the
engine's arrays: ``volume_nodes``, ``segmentation_nodes``, ``label_maps``, ``sequence_nodes``, ``regions``,
``terminology``. ``TrainingLogic`` in :mod:`.training_logic` trains; what it trains with is in ``training_cases``,
``training_pairs`` and ``training_labels``, and what comes of it in ``training_chart`` and ``training_comparison``.
"""

from Med3DSegmentationLib.engine_path import addEngineToPath

addEngineToPath()

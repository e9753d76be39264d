"""The module's entries in Sample Data: registered once, made without any network, shown as they should be."""

import sys
from pathlib import Path

import numpy as np
import pytest

MODULE = Path(__file__).resolve().parents[2] / "Med3DSegmentation"


@pytest.fixture
def samples(slicer_gui, monkeypatch):
    monkeypatch.syspath_prepend(str(MODULE))
    from Med3DSegmentationLib import sample_data

    monkeypatch.setattr(sample_data, "SPACING", 8.0)
    return sample_data


def test_phantoms_are_offered_beside_slicers_own_scans(slicer_gui, samples):
    samples.registerSampleData()
    offered = slicer_gui.services.samples
    assert [sample["customDownloader"] for sample in offered] == [samples.loadPhantom, samples.loadTrainingSet]
    assert all(Path(sample["thumbnailFileName"]).is_file() and sample["category"] == "Med3D" for sample in offered)
    assert not {sample["sampleName"] for sample in offered} & {"CTChest", "CTACardio", "CTLiver"}


def test_a_phantom_is_made_and_shown(slicer_gui, samples, vtk_messages):
    import slicer

    node = samples.loadPhantom("the source that Sample Data hands over")
    array = slicer.util.arrayFromVolume(node)
    assert array.dtype == np.int16 and array.min() < -900 and array.max() > 300  # air and bone
    display = node.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == samples.ABDOMEN_WINDOW
    assert slicer_gui.dialogs.shown == [] and slicer_gui.qt.QApplication.overrideCursor() is None
    vtk_messages.expect_clean()


def test_the_training_set_is_pairs_of_scans_and_organs(slicer_gui, samples, monkeypatch):
    import slicer

    monkeypatch.setattr(samples, "addPhantom", _addBoxes)
    nodes = samples.loadTrainingSet()
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert [volume.GetName() for volume in volumes] == [f"Boxes {seed}" for seed in samples.TRAINING_SEEDS]
    assert [node.GetNodeReference("referenceImageGeometryRef") for node in nodes] == volumes
    for node in nodes:
        segmentation = node.GetSegmentation()
        assert [segmentation.GetNthSegment(i).GetName() for i in range(2)] == ["Liver", "Lungs"]
    assert [node.GetDisplayNode().GetVisibility() for node in nodes] == [0, 0, 1]


def _addBoxes(scene, engine, seed, spacing):
    """Stands in for addPhantom, which takes seconds."""
    from Med3DCore.geometry import Geometry
    from Med3DCore.labels import find_labels
    from Med3DCore.volume import LabelMap, Volume
    from Med3DSegmentationLib.scene.volume_nodes import volumeToNode

    geometry, array = Geometry((9, 8, 7), (spacing,) * 3), np.zeros((7, 8, 9), np.uint8)
    array[2:4, 2:4, 2:4], array[4:6, 5:7, 5:7] = 1, 2
    node = volumeToNode(scene, Volume(array, geometry, "boxes"), f"Boxes {seed}")
    return node, LabelMap(array, geometry, "boxes", find_labels(["liver", "lungs"]))


def test_an_engine_that_cannot_start_is_told(slicer_gui, samples, monkeypatch):
    monkeypatch.setattr(samples, "EngineProcess", lambda: _broken())
    with pytest.raises(Exception, match="does not run"):
        samples.loadPhantom()
    [shown] = slicer_gui.dialogs.texts("critical")
    assert "made-up CT could not be made" in shown and "does not run" in shown


def _broken():
    from Med3DSegmentationLib.engine.process import EngineProcess

    return EngineProcess(["/no/such/python"], sys.modules["qt"])

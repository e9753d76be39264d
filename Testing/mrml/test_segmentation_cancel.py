"""Cancelled while the window breathes between two pieces of a job: nothing of its result stays."""

import numpy as np
import pytest
from logic_helpers import Ear, segmentations, until
from mrml_helpers import addVolume, segmentArray
from test_segmentation_nodes import edit, segmentsOf

from Med3DCore.errors import Cancelled


@pytest.fixture
def piecewise(monkeypatch):
    """One piece a turn."""
    from Med3DCore.worker import exchange
    from Med3DSegmentationLib.engine import jobs

    monkeypatch.setattr(exchange, "_PIECE_BYTES", 1)
    monkeypatch.setattr(jobs, "_TURN_SECONDS", 0.0)


@pytest.mark.parametrize("when", ["Handing over the volume", "Showing the result", "a segment is written"])
def test_of_a_new_result_nothing_is_left(scene, logic, piecewise, when):
    volume, ear = addVolume(scene), Ear()
    nodes = scene.GetNumberOfNodes()
    job = logic.segment(volume, ["liver", "lungs"], **ear.callbacks)

    def isTime():
        assert job.isRunning
        written = [node for node in segmentations(scene) if node.GetSegmentation().GetNumberOfSegments()]
        return bool(written) if when == "a segment is written" else when in [stage for stage, _, _ in ear.own]

    until(isTime)
    logic.cancel()
    assert scene.GetNumberOfNodes() == nodes
    assert not job.isRunning and isinstance(ear.errors[0], Cancelled)
    result = logic.segment(volume, ["lungs"], wait=True)  # what was begun does not go on
    assert len(ear.errors) == 1 and not ear.results and scene.GetNumberOfNodes() == nodes + 2
    assert logic.restorePrevious(result.segmentationNode)


def test_a_segmentation_is_what_it_was_and_the_last_result_can_still_be_undone(scene, logic, piecewise):
    volume, ear = addVolume(scene), Ear()
    node = logic.segment(volume, ["liver"], wait=True).segmentationNode
    logic.segment(volume, ["lungs"], node, wait=True)
    edit(node, "liver", volume)
    before = segmentArray(node, "liver", volume)
    job = logic.segment(volume, ["liver", "spleen", "lungs"], node, **ear.callbacks)
    until(lambda: "Liver (edited)" in segmentsOf(node))
    assert job.isRunning
    logic.cancel()
    assert isinstance(ear.errors[0], Cancelled) and list(segmentsOf(node)) == ["Liver", "Lungs"]
    assert np.array_equal(segmentArray(node, "liver", volume), before)
    assert logic.restorePrevious(node) and list(segmentsOf(node)) == ["Liver"]


def test_a_segmentation_that_goes_while_it_is_written_is_made_anew(scene, logic, piecewise):
    volume, ear = addVolume(scene), Ear()
    logic.segment(volume, ["liver", "lungs"], **ear.callbacks)
    until(lambda: any(node.GetSegmentation().GetNumberOfSegments() for node in segmentations(scene)))
    gone = segmentations(scene)[0]
    scene.RemoveNode(gone)
    until(lambda: ear.results)
    made = ear.results[0].segmentationNode
    assert made is not gone and made.GetScene() is scene and list(segmentsOf(made)) == ["Liver", "Lungs"]


def test_another_grid_while_it_is_written_leaves_nothing(scene, logic, piecewise):
    volume, ear = addVolume(scene), Ear()
    logic.segment(volume, ["liver", "lungs"], **ear.callbacks)
    until(lambda: any(node.GetSegmentation().GetNumberOfSegments() for node in segmentations(scene)))
    volume.SetSpacing(2, 2, 2)
    until(lambda: ear.errors)
    assert "was changed while it was being segmented" in str(ear.errors[0]) and not segmentations(scene)


def test_the_scene_closes_while_it_is_written(scene, logic, piecewise, vtk_messages):
    ear = Ear()
    logic.segment(addVolume(scene), ["liver", "lungs"], **ear.callbacks)
    until(lambda: any(node.GetSegmentation().GetNumberOfSegments() for node in segmentations(scene)))
    scene.Clear(0)
    assert isinstance(ear.errors[0], Cancelled) and not segmentations(scene)
    vtk_messages.expect_clean()

"""Jobs from the click to the scene, with a real worker process, while nodes are moved, renamed and removed."""

import gc
import logging
import time

import numpy as np
import pytest
from logic_helpers import Ear, emptyVolume, segmentations, until, voxels
from mrml_helpers import GEOMETRIES, addTransform, addVolume, segmentArray
from test_segmentation_nodes import segmentsOf

from Med3DCore.errors import Cancelled, Med3DError, SettingError, VolumeError


def test_callbacks_come_later_and_progress_is_told(scene, logic):
    ear = Ear()
    job = logic.segment(addVolume(scene), ["liver"], **ear.callbacks)
    assert job.isRunning and logic.isBusy and not ear.results
    until(lambda: not logic.isBusy)
    assert len(ear.results) == 1 and not ear.errors and ear.results[0] is job.result
    assert ear.steps[0][0] == "known" and all(0 <= fraction <= 1 for _, fraction, _ in ear.steps)


def test_a_large_volume_is_handed_over_and_shown_in_pieces(scene, logic, monkeypatch):
    from Med3DCore.worker import exchange
    from Med3DSegmentationLib.engine import jobs

    monkeypatch.setattr(exchange, "_PIECE_BYTES", 1)  # a slice
    monkeypatch.setattr(jobs, "_TURN_SECONDS", 0.0)  # a piece
    volume, ear = addVolume(scene), Ear()
    job = logic.segment(volume, ["liver", "lungs"], **ear.callbacks)
    until(lambda: not job.isRunning)
    stages = [stage for stage, _, _ in ear.own]
    assert stages == ["Handing over the volume"] * len(voxels(volume)) + ["Starting the engine", "Showing the result"]
    node = ear.results[0].segmentationNode
    assert np.array_equal(segmentArray(node, "liver", volume) > 0, voxels(volume) > 60)
    until(lambda: all(s.GetRepresentation("Closed surface") for s in segmentsOf(node).values()))


def test_what_cannot_be_done_is_an_error_with_a_sentence(scene, logic, caplog):
    volume, ear = addVolume(scene), Ear()
    for call, sentence in (
        (lambda: logic.segment(None, ["liver"]), "No volume is chosen"),
        (lambda: logic.segment(volume, []), "No organ is chosen"),
        (lambda: logic.segment(volume, "liver"), "No organ is chosen"),
        (lambda: logic.segment(volume, ["liver"], roiNode=scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")), "empty"),
    ):
        with pytest.raises(SettingError, match=sentence):
            call()
    with pytest.raises(VolumeError, match="shows no frames"):
        logic.segmentSequence(volume, ["liver"])
    for model, node, sentence in (("refuse", volume, "There is no model"), (None, emptyVolume(scene), "has no voxels")):
        with pytest.raises(Med3DError, match=sentence):
            logic.segment(node, ["liver"], model=model, wait=True)
        logic.segment(node, ["liver"], model=model, **ear.callbacks)
    until(lambda: len(ear.errors) == 2)
    assert not ear.results and not logic.isBusy
    with caplog.at_level(logging.ERROR):  # nobody listens: it is logged
        logic.segment(emptyVolume(scene), ["liver"])
    assert "has no voxels" in caplog.text


def test_a_bug_in_placing_a_result_is_an_error_with_details(scene, logic, monkeypatch):
    from Med3DSegmentationLib.engine import segment_steps

    monkeypatch.setattr(segment_steps, "labelMapInPieces", lambda *arguments, **options: 1 / 0)
    with pytest.raises(Med3DError, match="report it") as caught:
        logic.segment(addVolume(scene), ["liver"], wait=True)
    assert caught.value.code == "unexpected" and "ZeroDivisionError" in caught.value.details


def test_a_crash_is_an_error_and_the_next_run_works(scene, logic):
    volume = addVolume(scene)
    with pytest.raises(Med3DError, match="ended unexpectedly") as caught:
        logic.segment(volume, ["liver"], model="crash", wait=True)
    assert caught.value.code == "worker-died"
    assert logic.segment(volume, ["liver"], wait=True).organs[0].volumeMl > 0


def test_cancel_takes_less_than_a_second_and_leaves_nothing(scene, logic):
    volume, ear = addVolume(scene), Ear()
    nodes = scene.GetNumberOfNodes()
    job = logic.segment(volume, ["liver"], model="slow", **ear.callbacks)
    until(lambda: ear.steps)
    begin = time.monotonic()
    logic.cancel()
    logic.cancel()
    until(lambda: not job.isRunning)
    assert time.monotonic() - begin < 1.0 and isinstance(ear.errors[0], Cancelled) and len(ear.errors) == 1
    assert job.state.value == "cancelled" and scene.GetNumberOfNodes() == nodes


@pytest.mark.parametrize("when", ["before it is sent", "while it runs"])
def test_a_volume_that_is_removed_cancels_its_job(scene, logic, when):
    volume, ear = addVolume(scene), Ear()
    job = logic.segment(volume, ["liver"], model="slow", **ear.callbacks)
    if when == "while it runs":
        until(lambda: ear.steps)
    scene.RemoveNode(volume)
    until(lambda: not job.isRunning)
    assert isinstance(ear.errors[0], Cancelled) and "CT was removed" in str(ear.errors[0])
    with pytest.raises(SettingError, match="CT is not in the scene any more"):
        logic.segment(volume, ["liver"])


def test_a_removed_volume_is_not_kept_in_memory(scene, logic):
    volume, freed = addVolume(scene), []
    logic.segment(volume, ["liver"], wait=True)
    volume.AddObserver("DeleteEvent", lambda *_: freed.append(True))
    scene.RemoveNode(volume)
    del volume
    gc.collect()
    assert freed


def test_a_scene_that_is_closed_cancels_everything(scene, logic):
    ears = [Ear(), Ear()]
    for ear in ears:
        logic.segment(addVolume(scene), ["liver"], model="slow", **ear.callbacks)
    until(lambda: ears[0].steps)
    scene.Clear(0)
    until(lambda: not logic.isBusy)
    assert all(str(ear.errors[0]) == "Cancelled, because the scene was closed." for ear in ears)
    assert not segmentations(scene)
    assert logic.segment(addVolume(scene), ["liver"], wait=True).organs, "the logic works on in the empty scene"


def test_while_it_runs_nodes_are_renamed_moved_and_the_segmentation_is_removed(scene, logic):
    volume, ear = addVolume(scene, GEOMETRIES["oblique"]), Ear()
    old = logic.segment(volume, ["liver"], wait=True).segmentationNode
    logic.segment(volume, ["liver"], old, **ear.callbacks)
    volume.SetName("Patient 7")
    volume.SetAndObserveTransformNodeID(addTransform(scene).GetID())
    scene.RemoveNode(old)
    until(lambda: ear.results)
    node = ear.results[0].segmentationNode
    assert node is not old and node.GetName() == "Patient 7 segmentation"
    assert node.GetParentTransformNode() is volume.GetParentTransformNode()
    assert np.array_equal(segmentArray(node, "liver", volume) > 0, voxels(volume) > 60)


def test_a_volume_whose_grid_changed_meanwhile_is_refused(scene, logic):
    volume, ear = addVolume(scene), Ear()
    job = logic.segment(volume, ["liver"], **ear.callbacks)
    volume.SetSpacing(1.0, 1.0, 1.0)
    until(lambda: not job.isRunning)
    assert isinstance(ear.errors[0], VolumeError) and "was changed while" in str(ear.errors[0])
    assert not segmentations(scene)


def test_voxels_that_changed_meanwhile_are_told(scene, logic):
    import slicer.util

    volume, ear = addVolume(scene), Ear()
    logic.segment(volume, ["liver"], **ear.callbacks)
    volume.SetName("still the same")
    until(lambda: ear.results)
    logic.segment(volume, ["liver"], **ear.callbacks)
    slicer.util.updateVolumeFromArray(volume, np.zeros_like(slicer.util.arrayFromVolume(volume)))
    until(lambda: len(ear.results) == 2)
    assert ear.results[0].warnings == () and "were changed while" in ear.results[1].warnings[0]


def test_closing_the_logic_cancels_and_stops_observing(scene, known_engine, monkeypatch, qt):
    from Med3DSegmentationLib import segmentation_logic
    from Med3DSegmentationLib.engine.process import EngineProcess

    ear = Ear()
    command = known_engine()._command
    monkeypatch.setattr(segmentation_logic, "EngineProcess", lambda: EngineProcess(command, qt))
    logic = segmentation_logic.SegmentationLogic(scene)  # its own engine ends with it
    job = logic.segment(addVolume(scene), ["liver"], model="slow", **ear.callbacks)
    until(lambda: ear.steps)
    logic.close()
    assert not job.isRunning and isinstance(ear.errors[0], Cancelled) and logic.engine.processId is None
    assert not scene.HasObserver("StartCloseEvent")
    scene.Clear(0)
    assert len(ear.errors) == 1

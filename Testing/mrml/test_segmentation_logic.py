"""Jobs from the click to the scene, with a real worker process, while nodes are moved, renamed and removed."""

import gc
import logging
import time
from pathlib import Path

import numpy as np
import pytest
from mrml_helpers import GEOMETRIES, addTransform, addVolume, makeVolume, segmentArray
from test_segmentation_nodes import edit, segmentsOf

from Med3DCore.errors import Cancelled, Med3DError, SettingError, VolumeError


class Ear:
    """Callbacks that remember; ``steps`` of the engine and ``own`` ones in Slicer, before and after."""

    def __init__(self):
        self.steps, self.own, self.results, self.errors = [], [], [], []
        self.callbacks = {
            "onProgress": self._hear,
            "onFinished": self.results.append,
            "onError": self.errors.append,
        }

    def _hear(self, stage, fraction, secondsLeft):
        own = stage.endswith(("Handing over the volume", "Starting the engine", "Showing the result"))
        (self.own if own else self.steps).append((stage, fraction, secondsLeft))


def until(isDone):
    from Med3DSegmentationLib.engine.process import processEventsUntil

    end = time.monotonic() + 30
    processEventsUntil(lambda: isDone() or time.monotonic() > end)
    assert isDone()


def voxels(volumeNode):
    import slicer.util

    return slicer.util.arrayFromVolume(volumeNode)


def test_one_call_from_the_console(scene, logic):
    """No callbacks, no GUI: the result, a segmentation and volumes in mL."""
    volume = addVolume(scene)
    result = logic.segment(volume, ["liver", "lungs"], wait=True)
    liver = makeVolume(GEOMETRIES["anisotropic"]).array > 60
    assert [(organ.name, organ.title) for organ in result.organs] == [("liver", "Liver"), ("lungs", "Lungs")]
    assert result.organs[0].volumeMl == pytest.approx(liver.sum() * 0.7 * 0.8 * 5.0 / 1000)
    assert result.model == "known-1.0.0" and result.device == "CPU" and result.totalSeconds == 0.1
    assert np.array_equal(segmentArray(result.segmentationNode, result.organs[0].segmentId, volume) > 0, liver)
    folders = [line.split(" ", 1)[1] for line in logic.engine.log if line.startswith("folder ")]
    assert folders and not Path(folders[-1]).exists(), "the job's folder must be gone"


def test_an_edit_is_noted_for_exports_whatever_panel_is_shown(scene, logic):
    from Med3DSegmentationLib.scene.terminology import tagOfSegment

    def kind(node, segmentId):
        return tagOfSegment(node.GetSegmentation().GetSegment(segmentId), "DICOM.SegmentAlgorithmType")

    volume = addVolume(scene)
    node = logic.segment(volume, ["liver", "lungs"], wait=True).segmentationNode
    assert {kind(node, "liver"), kind(node, "lungs")} == {"AUTOMATIC"}
    before = segmentArray(node, "liver", volume)
    edit(node, "liver", volume)
    until(lambda: kind(node, "liver") == "SEMIAUTOMATIC")
    assert kind(node, "lungs") == "AUTOMATIC"
    import slicer.util

    slicer.util.updateSegmentBinaryLabelmapFromArray(before, node, "liver", volume)  # as undo does it
    until(lambda: kind(node, "liver") == "AUTOMATIC")
    logic.close()
    edit(node, "liver", volume)
    until(lambda: True)
    assert kind(node, "liver") == "AUTOMATIC"  # nobody looks any more


@pytest.mark.parametrize("name", ["left-handed oblique", "permuted"])
def test_the_engine_is_told_where_the_scan_lies_in_the_world(scene, logic, name):
    from Med3DSegmentationLib.scene.volume_nodes import geometryFromNode

    volume = addVolume(scene, GEOMETRIES[name])
    volume.SetAndObserveTransformNodeID(addTransform(scene, 5, addTransform(scene, 6)).GetID())
    result = logic.segment(volume, ["liver"], model="reveal", wait=True)
    assert result.warnings == (f"origin {list(geometryFromNode(volume).origin)}",)
    assert np.array_equal(segmentArray(result.segmentationNode, "liver", volume) > 0, voxels(volume) > 60)


def test_left_and_right_lung_apart_are_together_the_lungs(scene, logic):
    volume = addVolume(scene)
    result = logic.segment(volume, ["lungs", "liver"], splitLungs=True, wait=True)
    titles = ["Left lung", "Right lung", "Liver"]
    assert [organ.title for organ in result.organs] == titles
    found = [organ for organ in result.organs if organ.segmentId]  # what is one block is one lung, the other has none
    assert [organ.title for organ in found] == list(segmentsOf(result.segmentationNode)) == ["Left lung", "Liver"]
    assert result.organs[1].volumeMl == 0
    left = segmentArray(result.segmentationNode, result.organs[0].segmentId, volume) > 0
    assert np.array_equal(left, voxels(volume) < -400)
    (batch,) = logic.segmentBatch([volume], ["lungs"], splitLungs=True, wait=True)
    assert [organ.name for organ in batch.organs] == ["left_lung", "right_lung"]


def idsOf(node):
    """Title of each segment to its ID."""
    segmentation = node.GetSegmentation()
    return {segmentation.GetSegment(i).GetName(): i for i in segmentation.GetSegmentIDs()}


@pytest.mark.parametrize("split", [True, False])
def test_lungs_are_not_there_twice_when_divided_otherwise(scene, logic, split):
    volume = addVolume(scene)
    node = logic.segment(volume, ["lungs", "liver"], splitLungs=not split, wait=True).segmentationNode
    before = {title: segmentArray(node, segmentId, volume) for title, segmentId in idsOf(node).items()}
    logic.segment(volume, ["lungs"], node, splitLungs=split, wait=True)
    assert set(idsOf(node)) == {"Left lung" if split else "Lungs", "Liver"}
    assert logic.restorePrevious(node) and set(idsOf(node)) == set(before)
    for title, segmentId in idsOf(node).items():
        assert np.array_equal(segmentArray(node, segmentId, volume), before[title])


def test_lungs_edited_by_hand_stay_when_divided_otherwise(scene, logic):
    volume = addVolume(scene)
    node = logic.segment(volume, ["lungs"], wait=True).segmentationNode
    edit(node, idsOf(node)["Lungs"], volume)
    logic.segment(volume, ["lungs"], node, splitLungs=True, wait=True)
    assert set(idsOf(node)) == {"Left lung", "Lungs (edited)"}


def test_callbacks_come_later_and_progress_is_told(scene, logic):
    ear = Ear()
    job = logic.segment(addVolume(scene), ["liver"], **ear.callbacks)
    assert job.isRunning and logic.isBusy and not ear.results
    until(lambda: not logic.isBusy)
    assert len(ear.results) == 1 and not ear.errors and ear.results[0] is job.result
    assert ear.steps[0][0] == "known" and all(0 <= fraction <= 1 for _, fraction, _ in ear.steps)


def test_a_large_volume_is_handed_over_and_shown_in_pieces(scene, logic, monkeypatch):
    from Med3DCore.worker import exchange

    monkeypatch.setattr(exchange, "_PIECE_BYTES", 1)  # a slice
    volume, ear = addVolume(scene), Ear()
    job = logic.segment(volume, ["liver", "lungs"], **ear.callbacks)
    until(lambda: not job.isRunning)
    stages = [stage for stage, _, _ in ear.own]
    # each organ is cut out and its mean HU is taken, and what was there before
    assert stages == [
        *["Handing over the volume"] * len(voxels(volume)),
        "Starting the engine",
        *["Showing the result"] * 5,
    ]
    node = ear.results[0].segmentationNode
    assert np.array_equal(segmentArray(node, "liver", volume) > 0, voxels(volume) > 60)
    until(lambda: all(s.GetRepresentation("Closed surface") for s in segmentsOf(node).values()))


@pytest.mark.parametrize(
    ("stage", "count"), [("Handing over the volume", 1), *(("Showing the result", count) for count in range(1, 6))]
)
def test_cancel_between_pieces_ends_it_at_once_and_writes_nothing(scene, logic, monkeypatch, stage, count):
    from Med3DCore.worker import exchange

    monkeypatch.setattr(exchange, "_PIECE_BYTES", 1)
    volume, ear = addVolume(scene), Ear()
    nodes = scene.GetNumberOfNodes()
    job = logic.segment(volume, ["liver", "lungs"], **ear.callbacks)
    until(lambda: [title for title, _, _ in ear.own].count(stage) == count)
    logic.cancel()
    assert scene.GetNumberOfNodes() == nodes
    assert not job.isRunning and isinstance(ear.errors[0], Cancelled)
    assert logic.segment(volume, ["lungs"], wait=True).volumeNode is volume  # what was begun does not go on
    assert len(ear.errors) == 1 and not ear.results and scene.GetNumberOfNodes() == nodes + 2


def test_the_second_organ_joins_edits_are_kept_and_the_last_result_can_be_undone(scene, logic):
    volume = addVolume(scene)
    assert not logic.canRestorePrevious(None)
    new = logic.segment(volume, ["liver"], wait=True).segmentationNode
    assert logic.restorePrevious(new) and new.GetScene() is None  # it was made for the result
    node = logic.segment(volume, ["liver"], wait=True).segmentationNode
    edit(node, "liver", volume)
    edited = segmentArray(node, "liver", volume)
    result = logic.segment(volume, ["lungs", "liver"], node, wait=True)
    assert result.segmentationNode is node and result.keptEdits == ("Liver (edited)",)
    assert list(segmentsOf(node)) == ["Liver (edited)", "Lungs", "Liver"]
    assert logic.canRestorePrevious(node) and logic.restorePrevious(node)
    assert list(segmentsOf(node)) == ["Liver"] and np.array_equal(segmentArray(node, "liver", volume), edited)
    assert logic.segment(volume, ["liver"], node, keepEdits=False, wait=True).keptEdits == ()
    scene.RemoveNode(node)
    assert not logic.canRestorePrevious(node)


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_undo_leaves_what_the_user_drew_beside_the_result(scene, logic, made, shared):
    import slicer.util

    volume = addVolume(scene)
    node = logic.segment(volume, ["liver"], wait=True).segmentationNode
    edit(node, "liver", volume)
    if not made:
        logic.segment(volume, ["liver", "lungs"], node, wait=True)
    segmentation = node.GetSegmentation()
    drawn = np.zeros(slicer.util.arrayFromVolume(volume).shape, np.uint8)
    drawn[2:5, 3:6, 4:7] = 1
    names = ["mine"] if made else ["mine", "liver"]  # "liver": by now "Liver (edited)", and edited further
    segmentation.AddEmptySegment("mine", "Mine")
    masks = {name: np.roll(drawn, shift, axis=2) for shift, name in zip((0, 5), names, strict=False)}
    for name, mask in masks.items():
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, name, volume)
    if shared:
        segmentation.CollapseBinaryLabelmaps(False)
    assert logic.restoringLosesEdits(node) == made
    assert logic.restorePrevious(node) and node.GetScene() is scene
    assert list(segmentation.GetSegmentIDs()) == (["mine"] if made else ["liver", "mine"])
    for name, mask in masks.items():
        assert np.array_equal(segmentArray(node, name, volume), mask), name
    assert made or segmentation.GetSegment("liver").GetName() == "Liver"


@pytest.mark.parametrize("turned", [False, True])
def test_only_what_lies_in_the_roi_is_labelled(scene, logic, turned):
    from mrml_helpers import worldPositions

    from Med3DSegmentationLib.scene.regions import boxToRoiNode
    from Med3DSegmentationLib.scene.volume_nodes import geometryFromNode

    volume = addVolume(scene, GEOMETRIES["oblique"])
    volume.SetAndObserveTransformNodeID(addTransform(scene).GetID())
    geometry = geometryFromNode(volume)
    centre = (geometry.index_to_physical @ (9.0, 8.0, 5.0, 1.0))[:3]
    half = np.array((3, 4, 5))
    roi = boxToRoiNode(scene, [(centre - half).tolist(), (centre + half).tolist()], "ROI")
    if turned:
        roi.SetAndObserveTransformNodeID(addTransform(scene, 9).GetID())
        import vtk

        roi.SetCenterWorld(vtk.vtkVector3d(*(centre * (-1, -1, 1))))
    toRoi = vtkInverse(roi.GetObjectToWorldMatrix())
    indices = np.argwhere(np.ones(voxels(volume).shape, bool))
    world = np.c_[worldPositions(volume, indices[:, ::-1]), np.ones(len(indices))]
    inside = (np.abs(world @ toRoi[:3].T) <= np.array(roi.GetSize()) / 2).all(axis=1).reshape(voxels(volume).shape)
    result = logic.segment(volume, ["liver"], roiNode=roi, wait=True)
    found = segmentArray(result.segmentationNode, "liver", volume) > 0
    assert np.array_equal(found, inside & (voxels(volume) > 60)) and 0 < found.sum() < (voxels(volume) > 60).sum()
    assert result.organs[0].volumeMl == pytest.approx(found.sum() * geometry.voxel_volume_ml)


def vtkInverse(matrix):
    from Med3DSegmentationLib.scene.volume_nodes import toArray

    return np.linalg.inv(toArray(matrix))


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
    for model, node, sentence in (("refuse", volume, "There is no model"), (None, _empty(scene), "has no voxels")):
        with pytest.raises(Med3DError, match=sentence):
            logic.segment(node, ["liver"], model=model, wait=True)
        logic.segment(node, ["liver"], model=model, **ear.callbacks)
    until(lambda: len(ear.errors) == 2)
    assert not ear.results and not logic.isBusy
    with caplog.at_level(logging.ERROR):  # nobody listens: it is logged
        logic.segment(_empty(scene), ["liver"])
    assert "has no voxels" in caplog.text


def _empty(scene):
    return scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")


def test_a_bug_in_placing_a_result_is_an_error_with_details(scene, logic, monkeypatch):
    from Med3DSegmentationLib.engine import segment_steps

    monkeypatch.setattr(segment_steps, "labelMapToSegmentation", lambda *arguments, **options: 1 / 0)
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


def segmentations(scene):
    nodes = scene.GetNodesByClass("vtkMRMLSegmentationNode")
    nodes.UnRegister(None)
    return [nodes.GetItemAsObject(i) for i in range(nodes.GetNumberOfItems())]


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


def test_a_batch_goes_on_after_errors_and_says_which(scene, logic):
    ear = Ear()
    volumes = [addVolume(scene, name="A"), _empty(scene), addVolume(scene, name="C"), addVolume(scene, name="D")]
    job = logic.segmentBatch(volumes, ["liver"], **ear.callbacks)
    scene.RemoveNode(volumes[2])
    until(lambda: not job.isRunning)
    results = ear.results[0]
    assert [type(result).__name__ for result in results] == [
        "SegmentationResult",
        "VolumeError",
        "Cancelled",
        "SegmentationResult",
    ]
    assert [node.GetName() for node in segmentations(scene)] == ["A segmentation", "D segmentation"]
    stages = [stage for stage, _, _ in ear.steps]
    assert stages[0] == "A (1/4): known" and stages[-1] == "D (4/4): known"
    assert ear.steps[-1][1] >= 0.75 and sorted(f for _, f, _ in ear.steps) == [f for _, f, _ in ear.steps]
    job = logic.segmentBatch([volumes[0], volumes[3]], ["liver"], model="slow", **ear.callbacks)
    count = len(ear.steps)
    until(lambda: len(ear.steps) > count)
    job.cancel()
    until(lambda: not job.isRunning)
    assert isinstance(ear.errors[0], Cancelled) and len(ear.results) == 1


def makeSequence(scene, geometry, frames=3):
    """A browser and the proxy of volumes in which the liver moves along y."""
    import slicer

    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "CT sequence")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("s")
    for index in range(frames):
        node = addVolume(scene, geometry, "frame")
        voxels(node)[...] = np.roll(voxels(node), index, axis=1)
        sequence.SetDataNodeAtValue(node, str(index))
        scene.RemoveNode(node)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.AddSynchronizedSequenceNode(sequence)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    return browser, browser.GetProxyNode(sequence)


def test_all_frames_of_a_sequence_become_a_sequence(scene, logic):
    import slicer

    from Med3DSegmentationLib.scene.volume_nodes import geometryFromNode

    browser, proxy = makeSequence(scene, GEOMETRIES["oblique"])
    proxy.SetAndObserveTransformNodeID(addTransform(scene).GetID())
    ear = Ear()
    job = logic.segmentSequence(proxy, ["liver"], model="reveal", **ear.callbacks)
    assert len(segmentations(scene)) == 0
    until(lambda: not job.isRunning)
    assert not ear.errors, ear.errors
    result = ear.results[0]
    assert result.browserNode is browser and browser.GetProxyNode(result.sequenceNode) is result.segmentationNode
    assert result.sequenceNode.GetNumberOfDataNodes() == 3 and len(result.frames) == 3
    assert result.sequenceNode.GetIndexName() == "time" and result.sequenceNode.GetNthIndexValue(2) == "2"
    assert segmentations(scene) == [result.segmentationNode]
    for index in (2, 0, 1):
        browser.SetSelectedItemNumber(index)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
        found = segmentArray(result.segmentationNode, "liver", proxy) > 0
        assert np.array_equal(found, voxels(proxy) > 60) and found.any()
        assert result.segmentationNode.GetParentTransformNode() is proxy.GetParentTransformNode()
        assert list(segmentsOf(result.segmentationNode)) == ["Liver"]
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        assert result.segmentationNode.GetNodeReference(role) is proxy
        assert result.segmentationNode.GetDisplayNode().GetVisibility()
    assert ear.steps[0][0].endswith(", 0 (1/3): known")
    origin = list(geometryFromNode(proxy).origin)
    assert [frame.warnings for frame in result.frames] == [(f"origin {origin}",)] * 3


def test_a_sequence_that_is_removed_cancels_its_job(scene, logic):
    browser, proxy = makeSequence(scene, GEOMETRIES["straight"])
    ear = Ear()
    job = logic.segmentSequence(proxy, ["liver"], model="slow", **ear.callbacks)
    until(lambda: ear.steps)
    scene.RemoveNode(browser.GetSequenceNode(proxy))
    until(lambda: not job.isRunning)
    assert isinstance(ear.errors[0], Cancelled) and not segmentations(scene)


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

"""Several volumes, and all frames of a sequence, one after the other."""

import numpy as np
from logic_helpers import Ear, emptyVolume, segmentations, until, voxels
from mrml_helpers import GEOMETRIES, addTransform, addVolume, edit, segmentArray
from test_segmentation_nodes import segmentsOf

from Med3DCore.errors import Cancelled


def test_a_batch_goes_on_after_errors_and_says_which(scene, logic):
    ear = Ear()
    volumes = [addVolume(scene, name="A"), emptyVolume(scene), addVolume(scene, name="C"), addVolume(scene, name="D")]
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
    job = logic.segmentSequence(proxy, ["liver"], model="reveal", fast=True, **ear.callbacks)
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
    assert all(frame.fast for frame in result.frames)


def test_a_sequence_that_is_removed_cancels_its_job(scene, logic):
    browser, proxy = makeSequence(scene, GEOMETRIES["straight"])
    ear = Ear()
    job = logic.segmentSequence(proxy, ["liver"], model="slow", **ear.callbacks)
    until(lambda: ear.steps)
    scene.RemoveNode(browser.GetSequenceNode(proxy))
    until(lambda: not job.isRunning)
    assert isinstance(ear.errors[0], Cancelled) and not segmentations(scene)


def shownFrame(browser, index):
    """Show a frame, as by the slider of the Sequences toolbar."""
    import slicer

    browser.SetSelectedItemNumber(index)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)


def test_what_is_corrected_in_a_frame_stays_when_others_are_shown(scene, logic):
    browser, proxy = makeSequence(scene, GEOMETRIES["straight"])
    node = logic.segmentSequence(proxy, ["liver"], wait=True).segmentationNode
    counts = [_voxels(node, proxy)]
    edit(node, "liver", proxy)
    counts.append(_voxels(node, proxy))
    shownFrame(browser, 1)
    counts.append(_voxels(node, proxy))
    shownFrame(browser, 0)
    counts.append(_voxels(node, proxy))
    assert [count - counts[0] for count in counts] == [0, 1, 0, 1]


def _voxels(node, proxy):
    return int((segmentArray(node, "liver", proxy) > 0).sum())


def test_a_result_and_its_undo_are_of_the_frame_that_was_segmented(scene, logic):
    browser, proxy = makeSequence(scene, GEOMETRIES["straight"])
    node = logic.segmentSequence(proxy, ["liver"], wait=True).segmentationNode
    ear, of = Ear(), {"segmentationNode": node}
    job = logic.segment(proxy, ["lungs"], **of, **ear.callbacks)
    shownFrame(browser, 1)
    until(lambda: not job.isRunning)
    assert "shows another frame" in str(ear.errors[0]) and list(segmentsOf(node)) == ["Liver"]
    shownFrame(browser, 0)
    assert logic.segment(proxy, ["lungs"], wait=True, **of).segmentationNode is node
    shownFrame(browser, 1)
    assert list(segmentsOf(node)) == ["Liver"]
    assert not logic.restorePrevious(node)
    shownFrame(browser, 0)
    assert list(segmentsOf(node)) == ["Liver", "Lungs"]
    assert logic.restorePrevious(node)
    shownFrame(browser, 2)
    shownFrame(browser, 0)
    assert list(segmentsOf(node)) == ["Liver"]

"""Maps of a scan's answers in the scene: where they lie, what the views show, and that nothing is left."""

import numpy as np
import pytest
from mrml_helpers import addTransform, addVolume

from Med3DCore.geometry import Geometry
from Med3DCore.volume import Volume

GRID = Geometry((6, 5, 4), (4.0, 4.0, 8.0), (12.0, -21.0, 34.0), (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0))


def answer(name="a", probability=0.9, called=True, array=None, toNode=None):
    from Med3DSegmentationLib.finding.scan_step import ScanAnswer

    if array is None:
        array = np.zeros(GRID.shape, np.float32)
        array[2, 1, 4] = 3.0
    return ScanAnswer(name, probability, called, Volume(array, GRID), np.eye(4) if toNode is None else toNode)


def highest():
    """Of :func:`answer`, RAS mm in the world."""
    return (GRID.index_to_physical @ [4, 1, 2, 1.0])[:3] * [-1, -1, 1]


@pytest.fixture
def views(scene):
    """Two slice views with what they show; the first shows something over the scan already."""
    made = [scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode") for _ in range(2)]
    pet = addVolume(scene, name="PET")
    made[0].SetForegroundVolumeID(pet.GetID())
    made[0].SetForegroundOpacity(0.3)
    return made


@pytest.fixture
def maps(scene):
    from Med3DSegmentationLib.finding.scan_maps import ScanMaps

    return ScanMaps(scene)


def layers(views):
    return [(view.GetForegroundVolumeID(), round(view.GetForegroundOpacity(), 3)) for view in views]


def nodesOf(scene):
    from Med3DSegmentationLib.scene.volume_nodes import PREVIEW_ATTRIBUTE

    nodes = [scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())]
    return [node for node in nodes if node.GetAttribute(PREVIEW_ATTRIBUTE)]


def test_a_map_is_shown_warm_and_half_over_its_scan_where_it_lies(scene, maps, views):
    scan = addVolume(scene)
    scene.AddNewNodeByClass("vtkMRMLSliceNode").SetOrientationToAxial()
    maps.show(scan, answer())
    node = maps.nodeOf(scan)
    assert node.GetName() == "CT: a, where it was seen" and maps.shownAnswer(scan) == "a"
    assert layers(views) == [(node.GetID(), 0.5)] * 2
    assert all(view.GetBackgroundVolumeID() == scan.GetID() for view in views)
    display = node.GetDisplayNode()
    assert display.GetColorNode().GetName() == "Iron" and display.GetApplyThreshold()
    assert (display.GetLowerThreshold(), display.GetUpperThreshold()) == (1.5, 3.0)
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0.0, 3.0)
    sliced = scene.GetFirstNodeByClass("vtkMRMLSliceNode")
    assert sliced.GetSliceToRAS().GetElement(2, 3) == pytest.approx(highest()[2])


def test_it_goes_along_with_a_scan_under_a_transform(scene, maps):
    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode, worldMatrix

    scan, first, second = addVolume(scene), addTransform(scene), addTransform(scene, seed=9)
    scan.SetAndObserveTransformNodeID(first.GetID())
    sent = worldMatrix(first, scan)
    shown = answer(toNode=np.linalg.inv(sent))
    maps.show(scan, shown)
    assert volumeFromNode(maps.nodeOf(scan)).geometry.is_close(GRID)
    scan.SetAndObserveTransformNodeID(second.GetID())  # it was moved since it was sent
    maps.show(scan, shown)
    moved = worldMatrix(second, scan) @ np.linalg.inv(sent) @ [*highest(), 1.0]
    index = np.linalg.inv(volumeFromNode(maps.nodeOf(scan)).geometry.index_to_physical) @ (moved * [-1, -1, 1, 1])
    assert index[:3] == pytest.approx([4, 1, 2], abs=1e-3)


def test_another_answer_takes_its_place_and_removing_it_brings_back_what_was_there(scene, maps, views):
    scan, before = addVolume(scene), layers(views)
    maps.show(scan, answer())
    maps.show(scan, answer("b"))
    assert len(nodesOf(scene)) == 1 and maps.shownAnswer(scan) == "b"
    maps.remove(scan)
    assert layers(views) == before and not nodesOf(scene) and maps.shownAnswer(scan) == ""
    maps.show(scan, answer())
    views[1].SetForegroundVolumeID(None)  # the user took it away there
    views[1].SetForegroundOpacity(0.8)
    maps.remove(scan)
    assert layers(views) == [before[0], (None, 0.8)]


def test_where_nothing_speaks_for_an_answer_there_is_no_map(scene, maps, views):
    scan, before = addVolume(scene), layers(views)
    maps.show(scan, answer())
    maps.show(scan, answer("b", array=np.full(GRID.shape, -1, np.float32)))
    assert layers(views) == before and not nodesOf(scene)


def test_it_is_never_over_another_scan_and_goes_with_its_own(scene, maps, views):
    scan, other, before = addVolume(scene), addVolume(scene, name="other"), layers(views)
    maps.show(scan, answer())
    maps.showOver(other)
    assert layers(views) == before and maps.nodeOf(scan) is not None
    maps.showOver(scan)
    assert layers(views) == [(maps.nodeOf(scan).GetID(), 0.5)] * 2
    scene.RemoveNode(scan)
    maps.removeOrphans()
    assert layers(views) == before and not nodesOf(scene)


def test_it_is_known_again_in_a_saved_scene(scene, maps, tmp_path):
    scan = addVolume(scene)
    maps.show(scan, answer())
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Commit()
    scene.Clear(0)
    maps.forget()
    assert scene.Import()
    scan = scene.GetFirstNodeByName("CT")
    assert maps.shownAnswer(scan) == "a" and len(nodesOf(scene)) == 1
    maps.remove(scan)
    assert not nodesOf(scene)

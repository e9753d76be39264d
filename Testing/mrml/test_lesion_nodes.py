"""A detector's boxes as ROIs: where they lie, where they are kept, and that nobody's edits are lost."""

import numpy as np
import pytest
from mrml_helpers import addVolume


def lesion(score, low, high, keyZ=None):
    from Med3DSegmentationLib.finding.lesion_nodes import Lesion

    return Lesion(score, [list(low), list(high)], keyZ if keyZ is not None else (low[2] + high[2]) / 2, "known-1.0.0")


FIRST = (0.87, (10.0, -20.0, 30.0), (34.0, -10.0, 45.0), 33.0)
SECOND = (0.5, (100.0, 0.0, 0.0), (110.0, 12.0, 8.0))
THIRD = (0.4, (-50.0, 0.0, 0.0), (-40.0, 12.0, 8.0))


def replace(volume, *lesions):
    from Med3DSegmentationLib.finding.lesion_nodes import replaceLesions
    from Med3DSegmentationLib.scene.pieces import atOnce

    return atOnce(replaceLesions(volume, [lesion(*each) for each in lesions]))


def names(volume):
    from Med3DSegmentationLib.finding.lesion_nodes import shownLesions

    return [each.node.GetName() + ("*" if each.isEdited else "") for each in shownLesions(volume)]


def nodes(volume):
    from Med3DSegmentationLib.finding.lesion_nodes import shownLesions

    return [each.node for each in shownLesions(volume)]


def test_a_lesion_is_a_box_in_ras_named_by_score(scene, vtk_messages):
    volume, other = addVolume(scene), addVolume(scene)
    replace(volume, SECOND, FIRST)
    assert names(volume) == ["Lesion 2, 0.87", "Lesion 1, 0.50"] and names(other) == []
    first, bounds = nodes(volume)[0], np.zeros(6)
    first.GetRASBounds(bounds)
    assert np.allclose(bounds, [-34, -10, 10, 20, 30, 45])
    assert not first.GetLocked() and first.GetDisplayNode().GetVisibility()
    vtk_messages.expect_clean()


@pytest.fixture
def scene_with_items(vtk_messages):
    """A scene whose nodes get items in the subject hierarchy, as in Slicer's window."""
    from slicer_host.mrml import Host

    host = Host(subject_hierarchy=True)
    yield host.scene
    host.close()


def test_lesions_are_in_a_folder_beside_their_scan(scene_with_items):
    import slicer

    volume = addVolume(scene_with_items)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene_with_items)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volume), study)
    replace(volume, FIRST, SECOND)
    folder = hierarchy.GetItemChildWithName(study, "Lesions of CT")
    items = [hierarchy.GetItemByPositionUnderParent(folder, i) for i in range(2)]
    assert [hierarchy.GetItemName(item) for item in items] == ["Lesion 1, 0.87", "Lesion 2, 0.50"]
    volume.SetName("renamed")
    replace(volume, FIRST)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(nodes(volume)[0])) != study
    replace(volume).undo()
    assert hierarchy.GetNumberOfItemChildren(study) == 2  # the scan and one folder
    replace(volume)
    assert hierarchy.GetNumberOfItemChildren(study) == 1


@pytest.mark.parametrize(
    "edit",
    [
        lambda node: node.SetName("Haemangioma"),
        lambda node: node.SetLocked(True),
        lambda node: node.SetDescription("seen before"),
        lambda node: node.SetCenterWorld(-23.0, 15.0, 37.5),
        lambda node: node.SetSizeWorld(24.0, 10.0, 16.0),
    ],
)
def test_what_somebody_edited_stays_and_is_not_shown_twice(scene, edit):
    volume = addVolume(scene)
    replace(volume, FIRST, SECOND)
    mine = nodes(volume)[0]
    edit(mine)
    assert [name[-1] for name in names(volume)] == ["*", "0"]
    before = mine.GetName(), tuple(mine.GetCenter()), mine.GetSize()
    changes = replace(volume, FIRST, THIRD)
    assert nodes(volume)[0] is mine and (mine.GetName(), tuple(mine.GetCenter()), mine.GetSize()) == before
    assert names(volume)[1:] == ["Lesion 2, 0.40"]
    changes.undo()
    assert nodes(volume)[0] is mine and names(volume)[1:] == ["Lesion 2, 0.50"]


def test_a_box_that_was_dragged_away_makes_room(scene):
    volume = addVolume(scene)
    replace(volume, FIRST)
    nodes(volume)[0].SetCenterWorld(0.0, 0.0, 0.0)
    replace(volume, FIRST)
    assert names(volume) == ["Lesion 1, 0.87*", "Lesion 1, 0.87"]


def test_undo_leaves_what_was_edited_since_and_shows_what_was_there(scene):
    volume = addVolume(scene)
    replace(volume, FIRST, SECOND)
    changes = replace(volume, THIRD, SECOND)
    nodes(volume)[1].SetName("mine")
    changes.undo()
    assert names(volume) == ["Lesion 1, 0.87", "Lesion 2, 0.50", "mine*"]
    scene.RemoveNode(nodes(volume)[1])
    changes = replace(volume)
    assert names(volume) == ["mine*"]
    scene.RemoveNode(volume)
    changes.undo()  # nothing to show them beside


def test_what_was_cancelled_half_way_is_as_before(scene):
    from Med3DSegmentationLib.finding.lesion_nodes import replaceLesions

    volume = addVolume(scene)
    replace(volume, FIRST, SECOND)
    work = replaceLesions(volume, [lesion(*THIRD), lesion(*FIRST)])
    next(work)
    assert names(volume) == ["Lesion 1, 0.40"]
    work.close()
    assert names(volume) == ["Lesion 1, 0.87", "Lesion 2, 0.50"]


def test_choosing_jumps_to_the_surest_slice_and_lets_that_box_alone_be_dragged(scene):
    from Med3DSegmentationLib.finding.lesion_nodes import chooseLesion, shownLesions

    volume = addVolume(scene)
    view = scene.AddNewNodeByClass("vtkMRMLSliceNode")
    view.SetOrientationToAxial()
    replace(volume, FIRST, SECOND)
    first, second = shownLesions(volume)
    chooseLesion(volume, second)
    chooseLesion(volume, first)
    assert view.GetSliceToRAS().GetElement(2, 3) == pytest.approx(33.0)
    handles = [bool(each.node.GetDisplayNode().GetHandlesInteractive()) for each in (first, second)]
    assert handles == [True, False] and names(volume) == ["Lesion 1, 0.87", "Lesion 2, 0.50"]
    first.node.SetCenterWorld(0.0, 0.0, 100.0)
    chooseLesion(volume, shownLesions(volume)[0])
    assert view.GetSliceToRAS().GetElement(2, 3) == pytest.approx(100.0)


def test_lesions_are_known_again_in_a_saved_scene(scene, tmp_path):
    import slicer

    from Med3DSegmentationLib.finding.lesion_nodes import shownLesions

    volume = addVolume(scene)
    replace(volume, FIRST, SECOND)
    nodes(volume)[1].SetName("mine")
    for node in nodes(volume):
        node.AddDefaultStorageNode()
        node.GetStorageNode().SetFileName(str(tmp_path / f"{node.GetID()}.mrk.json"))
        assert node.GetStorageNode().WriteData(node)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Commit()
    scene.Clear(0)
    assert scene.Import()
    again = scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    assert slicer.mrmlScene is scene and names(again) == ["Lesion 1, 0.87", "mine*"]
    assert shownLesions(again)[0].lesion == lesion(*FIRST)

"""Cases to train with: which segments mean what, which pairs there are, and what the engine gets."""

import numpy as np
import pytest
import vtk
from mrml_helpers import GEOMETRIES, addTransform, addVolume, makeLabels, makeVolume

from Med3DCore.errors import DataError
from Med3DCore.labels import LABELS
from Med3DCore.worker.exchange import new_exchange_folder, read_volume_array

LIVER_AND_LUNGS = {name: LABELS[name] for name in ("liver", "lungs")}


def addPair(scene, name="CT", organs=("liver", "lungs"), geometry=GEOMETRIES["anisotropic"], model=""):
    """A volume and its segmentation, as Med3D writes one: exact labels or, with its name, a model's result."""
    from Med3DSegmentationLib.scene.segmentation_nodes import labelMapToSegmentation

    volumeNode = addVolume(scene, geometry, name)
    labels = makeLabels(makeVolume(geometry, name), organs)
    for value in range(1, len(organs) + 1):  # a label without voxels would get no segment
        if not (labels.array == value).any():
            labels.array[0, 0, value] = value
    return volumeNode, labelMapToSegmentation(scene, labels, volumeNode, model=model).segmentationNode


def drawn(segmentationNode, organ="liver", name="Liver", terminology=False):
    """Make a segment somebody's own: no tags of Med3D, another name."""
    segment = segmentationNode.GetSegmentation().GetSegment(organ)
    import slicer

    for tag in ("Med3D.label", "Med3D.fingerprint", "Med3D.model"):
        segment.RemoveTag(tag)
    if not terminology:
        segment.RemoveTag(slicer.vtkSegment.GetTerminologyEntryTagName())
    segment.SetName(name)
    return segment


def meanings(segmentationNode, modelLabels=LIVER_AND_LUNGS):
    from Med3DSegmentationLib.training.labels import labelsOfSegmentation

    return {key: label.name for key, label in labelsOfSegmentation(segmentationNode, modelLabels).items()}


def fieldsOf(case, folder, name="CT"):
    """What the engine gets of a case."""
    pieces = case.fields(name, folder, LIVER_AND_LUNGS)
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize(
    ("name", "terminology", "meaning"),
    [
        ("whatever", True, "liver"),
        ("Liver", False, "liver"),
        ("Lung", False, "lungs"),
        ("liver (edited 2)", False, "liver"),
        ("Kidney right", False, "right_kidney"),
        ("Segment_1", False, None),
        ("Liver tumour", False, None),
    ],
)
def test_terminology_then_name_say_what_a_segment_means(scene, name, terminology, meaning):
    _, node = addPair(scene, organs=("liver",))
    drawn(node, name=name, terminology=terminology)
    assert meanings(node).get("liver") == meaning


def test_the_user_has_the_last_word(scene):
    from Med3DSegmentationLib.training.labels import chooseLabel, labelChoices

    _, node = addPair(scene)
    segment = drawn(node, name="My bowel")
    segment.SetColor(1.0, 0.5, 0.0)
    own = next(label for label in labelChoices(segment, LIVER_AND_LUNGS) if label.name == "my_bowel")
    assert (own.title, own.colour) == ("My bowel", (255, 128, 0))
    chooseLabel(segment, own)
    assert meanings(node) == {"liver": "my_bowel", "lungs": "lungs"}
    segment.SetName("Renamed")  # what was chosen stays
    assert meanings(node)["liver"] == "my_bowel"
    chooseLabel(segment, None)
    assert meanings(node) == {"lungs": "lungs"}


def test_a_label_of_the_model_is_known_by_its_name(scene):
    from Med3DSegmentationLib.training.labels import labelChoices, ownLabel

    _, node = addPair(scene, organs=("liver",))
    tumour = ownLabel(drawn(node, name="Liver tumour"))
    assert meanings(node, {"liver_tumour": tumour}) == {"liver": "liver_tumour"}
    names = [label.name for label in labelChoices(drawn(node, name="Cyst"), {"liver_tumour": tumour})]
    assert names[:2] == ["liver_tumour", "cyst"]
    assert len(names) == len(set(names)) == len(LABELS) + 2


def test_what_a_person_drew_beats_an_untouched_result(scene):
    _, node = addPair(scene, organs=("liver",))
    import slicer

    segmentation = node.GetSegmentation()
    mine = slicer.vtkSegment()
    mine.DeepCopy(segmentation.GetSegment("liver"))
    for tag in ("Med3D.label", "Med3D.fingerprint"):
        mine.RemoveTag(tag)
    segmentation.AddSegment(mine, "mine")
    assert meanings(node) == {"mine": "liver"}
    segmentation.RemoveSegment("mine")
    assert meanings(node) == {"liver": "liver"}


def test_no_new_organ_is_learned_by_accident(scene):
    from Med3DSegmentationLib.training.labels import chooseLabel

    _, node = addPair(scene, organs=("liver", "spleen", "heart"))
    assert meanings(node) == {"liver": "liver"}
    chooseLabel(node.GetSegmentation().GetSegment("spleen"), LABELS["spleen"])
    assert meanings(node) == {"liver": "liver", "spleen": "spleen"}
    _, node = addPair(scene, organs=("spleen",))
    assert meanings(node) == {"spleen": "spleen"}  # what else could be meant
    assert set(meanings(addPair(scene, organs=("liver", "heart"))[1], {})) == {"liver", "heart"}  # an encoder


def test_what_is_drawn_but_not_learned_is_told(scene):
    from Med3DSegmentationLib.training.cases import addCase
    from Med3DSegmentationLib.training.labels import chooseLabel, labelChoices
    from Med3DSegmentationLib.training.logic import adviceOn

    volumeNode, node = addPair(scene)
    cases = [addCase(volumeNode, node)] * 3
    assert adviceOn(cases, LIVER_AND_LUNGS) == ""
    segment = drawn(node, name="Abscess")
    assert adviceOn(cases, LIVER_AND_LUNGS).startswith("Not learned: Abscess. Select a case")
    assert '; "Nothing" leaves them out.' in adviceOn(cases, LIVER_AND_LUNGS)
    abscess = next(label for label in labelChoices(segment, LIVER_AND_LUNGS) if label.name == "abscess")
    for choice in (abscess, None):  # to be learned, or on purpose not
        chooseLabel(segment, choice)
        assert adviceOn(cases, LIVER_AND_LUNGS) == ""
    assert "fewer than three" in adviceOn(cases[:2], LIVER_AND_LUNGS)


def test_two_lungs_teach_a_model_that_knows_lungs(scene):
    _, node = addPair(scene, organs=("left_lung", "right_lung"))
    assert meanings(node) == {"left_lung": "lungs", "right_lung": "lungs"}
    assert meanings(node, {"left_lung": LABELS["left_lung"]}) == {"left_lung": "left_lung"}
    node.GetSegmentation().GetSegment("left_lung").SetTag("Med3D.fingerprint", "as if edited")
    assert meanings(node) == {"left_lung": "lungs", "right_lung": "lungs"}
    node.GetSegmentation().RemoveSegment("right_lung")
    assert meanings(node) == {"left_lung": "left_lung"}  # half of the lungs is not the lungs


def test_all_pairs(scene):
    from Med3DSegmentationLib.training.cases import casesOfScene, removeCase, uniqueNames
    from Med3DSegmentationLib.training.pairs import addAllPairs

    first, ofFirst = addPair(scene, "CT")
    addPair(scene, "other", geometry=GEOMETRIES["oblique"])[0].SetName("CT")
    _, nothing = addPair(scene, "bones", ("liver",))
    drawn(nothing, name="Segment_1")
    lone, _ = addPair(scene, "removed")
    scene.RemoveNode(lone)
    added = addAllPairs(scene, LIVER_AND_LUNGS)
    assert [case.segmentationNode.GetName() for case in added] == ["CT segmentation", "other segmentation"]
    assert uniqueNames(added) == ["CT", "CT (2)"]
    assert addAllPairs(scene, LIVER_AND_LUNGS) == []
    removeCase(added[1])
    assert casesOfScene(scene) == added[:1]
    scene.RemoveNode(first)
    assert casesOfScene(scene) == []
    assert ofFirst.GetScene() is scene


def test_a_segmentation_from_a_file_finds_the_volume_of_its_grid(scene):
    from Med3DSegmentationLib.training.pairs import volumeOfSegmentation

    volumeNode, node = addPair(scene, geometry=GEOMETRIES["left-handed oblique"])
    addVolume(scene, GEOMETRIES["oblique"], "another")
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), None)
    assert volumeOfSegmentation(scene, node) is volumeNode
    addVolume(scene, GEOMETRIES["left-handed oblique"], "the same again")
    assert volumeOfSegmentation(scene, node) is None


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_what_the_engine_gets(scene, geometry):
    from Med3DSegmentationLib.training.cases import Use, addCase

    volumeNode, node = addPair(scene, geometry=GEOMETRIES[geometry])
    transform = addTransform(scene)
    volumeNode.SetAndObserveTransformNodeID(transform.GetID())
    node.SetAndObserveTransformNodeID(transform.GetID())
    case = addCase(volumeNode, node)
    case.setUse(Use.CHECK)
    with new_exchange_folder() as folder:
        fields = fieldsOf(case, folder)
        scan, labels = read_volume_array(fields["volume"]), read_volume_array(fields["labels"])
        assert labels.geometry.is_close(scan.geometry, 1e-6)
        assert np.array_equal(labels.array == 1, scan.array > 60)
        assert np.array_equal(labels.array == 2, scan.array < -400)
        del scan, labels
    assert (fields["annotated"], fields["patient"], fields["held_out"]) == (["liver", "lungs"], "CT", True)


def test_the_engine_is_told_which_labels_are_results_that_nobody_changed(scene, tmp_path):
    from test_segmentation_nodes import edit

    from Med3DSegmentationLib.training.cases import addCase

    case = addCase(*addPair(scene, "made up"))
    assert not fieldsOf(case, tmp_path)["untouched"]
    volumeNode, node = addPair(scene, model="known-1.0.0")
    case = addCase(volumeNode, node)
    assert fieldsOf(case, tmp_path)["untouched"]
    edit(node, "lungs", volumeNode)  # who corrects one organ has seen the other
    assert not fieldsOf(case, tmp_path)["untouched"]
    drawn(node)
    assert not fieldsOf(case, tmp_path)["untouched"]


@pytest.mark.parametrize("shift", [(0, 0, 0), (3, -2, 5), (-7, 0, 0), (100, 0, 0), (0.4, 0, 0)])
def test_a_segmentation_beside_its_volume(scene, shift):
    """Whole voxels are copied, all else is resampled: both give the nearest voxel."""
    from Med3DSegmentationLib.scene.label_maps import labelMapFromSegmentation

    volumeNode, node = addPair(scene, geometry=GEOMETRIES["straight"])
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    for axis, millimetres in enumerate(shift):
        matrix.SetElement(axis, 3, millimetres)
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())
    found = labelMapFromSegmentation(node, volumeNode, {"liver": LABELS["liver"]}).array
    expected = np.zeros(found.shape, np.uint8)
    x, y, z = (round(millimetres) for millimetres in (-shift[0], -shift[1], shift[2]))  # RAS to LPS
    for index in np.argwhere(makeVolume(GEOMETRIES["straight"]).array > 60) + np.array((z, y, x)):
        if (index >= 0).all() and (index < found.shape).all():
            expected[tuple(index)] = 1
    assert np.array_equal(found, expected)


def test_patients_of_the_subject_hierarchy(slicer_scene):
    import slicer

    from Med3DSegmentationLib.training.cases import addCase

    scene = slicer_scene.scene
    case = addCase(*addPair(scene))
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Doe^Jane")
    study = hierarchy.CreateStudyItem(patient, "Follow-up")
    hierarchy.CreateItem(study, case.volumeNode)
    with new_exchange_folder() as folder:
        assert fieldsOf(case, folder)["patient"] == "Doe^Jane"
        hierarchy.SetItemUID(patient, "DICOM", "4711")
        assert fieldsOf(case, folder)["patient"] == "4711"


def test_problems_are_told_before_the_start(scene):
    import slicer

    from Med3DSegmentationLib.training.cases import Use, addCase
    from Med3DSegmentationLib.training.logic import problemOf

    assert "Add at least one case" in problemOf([], {})
    case = addCase(*addPair(scene, organs=("liver",)))
    assert problemOf([case], LIVER_AND_LUNGS) == ""
    case.setUse(Use.CHECK)
    assert "at least one for training" in problemOf([case], LIVER_AND_LUNGS)
    case.setUse(Use.TRAINING)
    drawn(case.segmentationNode, name="Segment_1")
    assert "means an organ" in problemOf([case], LIVER_AND_LUNGS)

    far = addCase(*addPair(scene, "far"))
    far.segmentationNode.SetAndObserveTransformNodeID(addTransform(scene, scale=1.0).GetID())
    far.segmentationNode.GetParentTransformNode().GetTransformToParent().Translate(5000, 0, 0)
    assert "does not lie on far" in far.problem(LIVER_AND_LUNGS)

    warped = addCase(*addPair(scene, "warped"))
    grid = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "Warp")
    warped.volumeNode.SetAndObserveTransformNodeID(grid.GetID())
    assert "harden it first" in warped.problem(LIVER_AND_LUNGS)

    surface = addCase(*addPair(scene, "surface"))
    segmentation = surface.segmentationNode.GetSegmentation()
    segmentation.SetSourceRepresentationName(slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName())
    segmentation.RemoveRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName())
    assert "surfaces but no voxels" in surface.problem(LIVER_AND_LUNGS)

    scene.RemoveNode(case.volumeNode)
    with new_exchange_folder() as folder, pytest.raises(DataError, match="removed from the scene"):
        fieldsOf(case, folder)


def test_of_a_sequence_the_frame_that_was_added_is_learned_from(scene, tmp_path):
    from test_segmentation_batches import makeSequence, shownFrame

    from Med3DSegmentationLib.scene.pieces import atOnce
    from Med3DSegmentationLib.scene.sequence_nodes import SegmentationSequence
    from Med3DSegmentationLib.training.cases import addCase

    browser, volumeNode = makeSequence(scene, GEOMETRIES["anisotropic"])
    made = SegmentationSequence(browser, browser.GetSequenceNode(volumeNode), volumeNode)
    for frame in range(3):
        made.add(str(frame), addPair(scene)[1])
    segmentationNode = made.toScene(scene)
    shownFrame(browser, 0)
    case = addCase(volumeNode, segmentationNode)
    assert case.problem(LIVER_AND_LUNGS) == ""
    work = case.fields("CT", str(tmp_path), LIVER_AND_LUNGS)
    next(work), next(work)
    shownFrame(browser, 1)
    with pytest.raises(DataError, match="another frame"):
        atOnce(work)
    assert "another frame" in case.problem(LIVER_AND_LUNGS)
    shownFrame(browser, 0)
    assert case.problem(LIVER_AND_LUNGS) == "" and fieldsOf(case, str(tmp_path))
    shownFrame(browser, 2)
    assert addCase(volumeNode, segmentationNode).problem(LIVER_AND_LUNGS) == ""


def test_cases_are_saved_with_the_scene(scene, tmp_path):
    from Med3DSegmentationLib.training.cases import Use, addCase, casesOfScene

    addCase(*addPair(scene)).setUse(Use.CHECK)
    path = str(tmp_path / "scene.mrb")
    assert scene.WriteToMRB(path)
    scene.Clear(0)
    assert casesOfScene(scene) == []
    addVolume(scene, name="takes the ID")
    assert scene.ReadFromMRB(path)
    (case,) = casesOfScene(scene)
    assert (case.name, case.use, case.titles(LIVER_AND_LUNGS)) == ("CT", Use.CHECK, ["Liver", "Lungs"])
    assert case.problem(LIVER_AND_LUNGS) == ""


def test_cases_in_files():
    from Med3DSegmentationLib.training.cases import FileCase, Use

    values = {"name": "a", "image": "/a.nii", "label": "/b.nii", "values": {"liver": 1}, "annotated": ["liver"]}
    case = FileCase.fromText(FileCase(values, Use.CHECK).toText())
    assert case == FileCase(values, Use.CHECK)
    assert case.titles(LIVER_AND_LUNGS) == ["Liver"]
    assert fieldsOf(case, "", "a (2)") == {**values, "name": "a (2)", "held_out": True}

"""Label maps to segmentations: named, coded, in place, replaced, kept, undone, saved and loaded."""

import numpy as np
import pytest
from mrml_helpers import (
    GEOMETRIES,
    addTransform,
    addVolume,
    edit,
    makeLabels,
    makeVolume,
    segmentArray,
    segmentsOf,
    worldPositions,
    write,
)

from Med3DCore.labels import LABELS, find_labels
from Med3DCore.volume import LabelMap


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("moved", [False, True])
def test_segments_lie_on_the_organs(scene, name, moved):
    node = addVolume(scene, GEOMETRIES[name])
    if moved:
        node.SetAndObserveTransformNodeID(addTransform(scene).GetID())
    written = write(scene, node)
    expected = makeLabels(makeVolume(GEOMETRIES[name]))
    for label in ("liver", "lungs"):
        found = segmentArray(written.segmentationNode, written.segmentIds[label], node)
        assert np.array_equal(found > 0, expected.mask(label)) and found.any()
    assert written.segmentationNode.GetParentTransformNode() is node.GetParentTransformNode()


def test_positions_do_not_depend_on_the_transform_of_the_segmentation(scene):
    """Each voxel of the organ, carried to the segment by MRML's transforms alone, meets it in a voxel's centre."""
    import slicer
    import vtk

    volume = addVolume(scene, GEOMETRIES["oblique"])
    volume.SetAndObserveTransformNodeID(addTransform(scene, 7).GetID())
    mine = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    mine.SetAndObserveTransformNodeID(addTransform(scene, 8).GetID())
    assert write(scene, volume, segmentationNode=mine).segmentationNode is mine
    image = mine.GetSegmentation().GetSegment("liver").GetRepresentation("Binary labelmap")
    toImage, toNode = vtk.vtkMatrix4x4(), vtk.vtkGeneralTransform()
    image.GetWorldToImageMatrix(toImage)
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(None, mine.GetParentTransformNode(), toNode)
    liver = np.argwhere(makeVolume(GEOMETRIES["oblique"]).array > 60)[:, ::-1]
    for point in worldPositions(volume, liver):
        index = np.array(toImage.MultiplyPoint([*toNode.TransformPoint(point), 1.0])[:3])
        assert np.allclose(index, np.round(index), atol=1e-3)
        assert image.GetScalarComponentAsDouble(*(int(i) for i in np.round(index)), 0) == 1
    values = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    assert values.sum() == len(liver)
    reference = slicer.vtkOrientedImageData()
    parameter = mine.GetSegmentation().GetConversionParameter("Reference image geometry")
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(parameter, reference, False)
    assert reference.GetDimensions() == volume.GetImageData().GetDimensions()


def test_names_colours_and_codes_are_those_slicer_knows(scene):
    import slicer

    from Med3DSegmentationLib.scene.terminology import CONTEXT, labelOfSegment, serializeLabel, tagOfSegment

    logic = slicer.modules.terminologies.logic()
    category, entry = slicer.vtkSlicerTerminologyCategory(), slicer.vtkSlicerTerminologyEntry()
    known = set()
    for i in range(logic.GetNumberOfCategoriesInTerminology(CONTEXT)):
        logic.GetNthCategoryInTerminology(CONTEXT, i, category)
        for j in range(logic.GetNumberOfTypesInTerminologyCategory(CONTEXT, category)):
            type = slicer.vtkSlicerTerminologyType()
            logic.GetNthTypeInTerminologyCategory(CONTEXT, category, j, type)
            known.add((category.GetCodeValue(), type.GetCodeValue(), type.GetCodeMeaning()))
    for label in LABELS.values():
        assert logic.DeserializeTerminologyEntry(serializeLabel(label), entry)
        assert entry.GetTypeObject().GetCodeValue() == label.type[1]
        assert (entry.GetTypeModifierObject().GetCodeValue() or None) == (label.modifier and label.modifier[1])
        if label.name in ("liver", "lungs", "left_lung", "right_lung"):  # the host's list is a part of Slicer's
            assert (label.category[1], *label.type[1:]) in known
    from Med3DSegmentationLib.scene.segmentation_nodes import labelMapToSegmentation
    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    volume = addVolume(scene)
    masks = makeLabels(volumeFromNode(volume))
    labels = LabelMap(masks.array, masks.geometry, "renamed", find_labels(["liver", "left_lung"]))
    written = labelMapToSegmentation(scene, labels, volume)
    liver, lung = segmentsOf(written.segmentationNode).values()
    assert (liver.GetName(), lung.GetName()) == ("Liver", "Left lung")
    assert np.allclose(np.multiply(liver.GetColor(), 255), LABELS["liver"].colour)
    tag = tagOfSegment(liver, slicer.vtkSegment.GetTerminologyEntryTagName())
    assert "~SCT^123037004^Anatomical Structure~SCT^10200004^Liver~^^~" in tag
    assert (labelOfSegment(liver).name, labelOfSegment(lung).name) == ("liver", "left_lung")
    lung.RemoveTag("Med3D.label")  # somebody else's segment is found by its codes
    assert labelOfSegment(lung).name == "left_lung"
    lung.RemoveTag(slicer.vtkSegment.GetTerminologyEntryTagName())
    assert labelOfSegment(lung) is None


def test_the_segmentation_refers_to_its_volume_and_is_shown_smoothly_in_3d(scene, vtk_messages):
    import slicer

    from Med3DSegmentationLib.scene.pieces import atOnce
    from Med3DSegmentationLib.scene.surfaces import makeSurfaces

    volume = addVolume(scene)
    node = write(scene, volume).segmentationNode
    atOnce(makeSurfaces(node))
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert node.GetNodeReference(role) is volume and node.GetName() == "CT segmentation"
    segmentation = node.GetSegmentation()
    assert segmentation.GetConversionParameter("Reference image geometry")
    assert segmentation.GetConversionParameter("Smoothing factor") == "0.5"
    assert segmentation.ContainsRepresentation("Closed surface") and node.GetDisplayNode().GetVisibility3D()
    points = [s.GetRepresentation("Closed surface").GetNumberOfPoints() for s in segmentsOf(node).values()]
    assert min(points) > 40
    write(scene, addVolume(scene, name="other"), ("spleen",), node)  # its own source stays, and it is no copy
    assert node.GetNodeReference(role) is volume
    vtk_messages.expect_clean()


@pytest.mark.parametrize("items", [False, True])
def test_it_is_placed_beside_the_volume_in_the_subject_hierarchy(scene, items):
    import slicer

    volume = addVolume(scene)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if not items:
        assert write(scene, volume).segmentationNode
        return
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
    hierarchy.CreateItem(study, volume)
    node = write(scene, volume).segmentationNode
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study


def test_the_second_organ_joins_and_a_second_run_replaces_only_its_own(scene):
    import slicer.util

    volume = addVolume(scene)
    node = write(scene, volume, ("liver",)).segmentationNode
    mine = node.GetSegmentation().AddEmptySegment("mine", "Mine")
    edit(node, mine, volume)
    liver = segmentsOf(node)["Liver"]
    liver.SetName("My liver")
    liver.SetColor(0, 0, 1)
    node.GetDisplayNode().SetSegmentVisibility("liver", False)
    written = write(scene, volume, ("lungs",), node)
    assert list(segmentsOf(node)) == ["My liver", "Mine", "Lungs"] and written.kept == ()

    slicer.util.arrayFromVolume(volume)[...] = np.roll(slicer.util.arrayFromVolume(volume), 2, axis=1)
    before = segmentArray(node, mine, volume), segmentArray(node, "lungs", volume)
    written = write(scene, volume, ("liver",), node)
    assert written.segmentIds == {"liver": "liver"} and list(segmentsOf(node)) == ["My liver", "Mine", "Lungs"]
    assert np.array_equal(segmentArray(node, "liver", volume) > 0, slicer.util.arrayFromVolume(volume) > 60)
    assert np.array_equal(before[0], segmentArray(node, mine, volume))
    assert np.array_equal(before[1], segmentArray(node, "lungs", volume))
    assert segmentsOf(node)["My liver"].GetColor() == (0, 0, 1)
    assert not node.GetDisplayNode().GetSegmentVisibility("liver")


def test_segments_that_share_an_image_are_replaced_one_by_one(scene):
    volume = addVolume(scene)
    node = write(scene, volume).segmentationNode
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    lungs = segmentArray(node, "lungs", volume)
    from Med3DSegmentationLib.scene.own_segments import wasEdited
    from Med3DSegmentationLib.scene.segmentation_nodes import labelMapToSegmentation
    from Med3DSegmentationLib.scene.volume_nodes import geometryFromNode

    assert not any(wasEdited(segment) for segment in segmentsOf(node).values())
    array = np.ones_like(lungs, dtype=np.uint8)  # lies on the lungs too
    labelMap = LabelMap(array, geometryFromNode(volume), "all", find_labels(["liver"]))
    labelMapToSegmentation(scene, labelMap, volume, node)
    assert segmentArray(node, "liver", volume).all()
    assert np.array_equal(segmentArray(node, "lungs", volume), lungs)


def test_a_segment_that_was_moved_is_edited(scene):
    import slicer.util

    from Med3DSegmentationLib.scene.own_segments import wasEdited

    volume = addVolume(scene)
    node = write(scene, volume).segmentationNode
    for shift, edited in ((1, True), (-1, False)):
        array = np.roll(segmentArray(node, "liver", volume), shift, axis=0)
        slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, "liver", volume)
        assert wasEdited(segmentsOf(node)["Liver"]) is edited


@pytest.mark.parametrize("keep", [True, False])
def test_edits_are_kept_under_another_name_if_wanted(scene, keep):
    from Med3DSegmentationLib.scene.own_segments import wasEdited

    volume = addVolume(scene)
    node = write(scene, volume).segmentationNode
    assert not wasEdited(segmentsOf(node)["Liver"])
    for _ in range(2):
        edit(node, "liver" if keep is False else write(scene, volume, ("liver",), node).segmentIds["liver"], volume)
        edited = next(segment for segment in segmentsOf(node).values() if wasEdited(segment))
        assert edited.GetName() == "Liver"
        written = write(scene, volume, ("liver",), node, keepEdits=keep)
    if keep:
        assert written.kept == ("Liver (edited 2)",)
        assert list(segmentsOf(node)) == ["Liver (edited)", "Lungs", "Liver (edited 2)", "Liver"]
    else:
        assert written.kept == () and list(segmentsOf(node)) == ["Liver", "Lungs"]
    fresh = segmentArray(node, written.segmentIds["liver"], volume)
    assert np.array_equal(fresh > 0, makeVolume(GEOMETRIES["anisotropic"]).array > 60)
    assert write(scene, volume, ("liver",), node).kept == ()  # what was kept is the user's own now


def test_a_label_without_voxels_has_no_segment_and_can_get_one_later(scene, vtk_messages):
    volume = addVolume(scene)
    first = write(scene, volume, ("spleen", "liver"))
    node = first.segmentationNode
    assert list(segmentsOf(node)) == ["Liver"] and first.segmentIds == {"liver": "liver"}
    assert first.voxels["spleen"] == 0
    from Med3DSegmentationLib.scene.segmentation_nodes import labelMapToSegmentation
    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    masks = makeLabels(volumeFromNode(volume), ("liver",))
    swapped = LabelMap(masks.array, masks.geometry, "swapped", find_labels(["spleen", "liver"]))
    written = labelMapToSegmentation(scene, swapped, volume, node)
    assert written.kept == () and written.removed == ("liver",) and list(segmentsOf(node)) == ["Spleen"]
    assert segmentArray(node, "spleen", volume).any()
    edit(node, "spleen", volume)
    assert write(scene, volume, ("spleen", "liver"), node).kept == ("Spleen (edited)",)
    assert list(segmentsOf(node)) == ["Spleen (edited)", "Liver"]
    vtk_messages.expect_clean()


def test_dicom_export_is_told_what_was_automatic(scene):
    """Slicer's exporter takes these tags, and says MANUAL without them."""
    from Med3DSegmentationLib.scene.own_segments import noteEdits
    from Med3DSegmentationLib.scene.segmentation_nodes import labelMapToSegmentation
    from Med3DSegmentationLib.scene.terminology import tagOfSegment
    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    volume = addVolume(scene)
    labels = makeLabels(volumeFromNode(volume))
    node = labelMapToSegmentation(scene, labels, volume, model="known-1.0.0").segmentationNode

    def told():
        segmentation = node.GetSegmentation()
        segments = [segmentation.GetNthSegment(i) for i in range(segmentation.GetNumberOfSegments())]
        return {
            s.GetName(): [tagOfSegment(s, f"DICOM.SegmentAlgorithm{x}") for x in ("Type", "Name")] for s in segments
        }

    ours = "Med3D known-1.0.0"
    assert told() == {"Liver": ["AUTOMATIC", ours], "Lungs": ["AUTOMATIC", ours]}
    edit(node, "liver", volume)
    for _piece in noteEdits(node.GetSegmentation()):
        pass
    assert told() == {"Liver": ["SEMIAUTOMATIC", ours], "Lungs": ["AUTOMATIC", ours]}
    labelMapToSegmentation(scene, labels, volume, node, model="known-2.0.0")
    assert told()["Liver (edited)"] == ["SEMIAUTOMATIC", ours]
    assert told()["Liver"] == ["AUTOMATIC", "Med3D known-2.0.0"]


def test_two_volumes_get_two_segmentations(scene):
    first, second = addVolume(scene, name="A"), addVolume(scene, GEOMETRIES["oblique"], "B")
    nodes = [write(scene, volume).segmentationNode for volume in (first, second)]
    assert [node.GetName() for node in nodes] == ["A segmentation", "B segmentation"]
    assert write(scene, first).segmentationNode.GetName() != "A segmentation"


def test_one_step_back_and_no_further(scene):
    from Med3DSegmentationLib.scene.pieces import atOnce
    from Med3DSegmentationLib.scene.segmentation_history import SegmentationHistory
    from Med3DSegmentationLib.scene.segmentation_nodes import labelMapInPieces

    volume = addVolume(scene)
    history = SegmentationHistory()
    node = write(scene, volume, ("liver",)).segmentationNode
    assert not history.canRestore(None) and not history.canRestore(node)
    edit(node, "liver", volume)
    edited = segmentArray(node, "liver", volume)
    labels = makeLabels(makeVolume(GEOMETRIES["anisotropic"]))
    with history.noting(node, madeNode=False) as changes:
        atOnce(labelMapInPieces(changes, labels, volume, keepEdits=False))
    assert not history.losesEdits(node)
    assert history.canRestore(node) and history.restore(node)
    assert list(segmentsOf(node)) == ["Liver"] and np.array_equal(segmentArray(node, "liver", volume), edited)
    assert write(scene, volume, ("liver",), node).kept == ("Liver (edited)",)  # it is known as edited, as before
    assert not history.canRestore(node) and not history.restore(node)
    with history.noting(node, madeNode=False):
        pass
    assert history.canRestore(node)
    history.forget(node)
    assert not history.canRestore(node)

"""The real engine behind the logic: a tiny two-stage model, a volume under a transform, segment and preview."""

import numpy as np
import pytest
from mrml_helpers import addTransform, segmentArray

from Med3DCore.errors import Med3DError
from Med3DCore.geometry import Geometry


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from tiny_model import saveModel

    return saveModel(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def realEngine(qt):
    from Med3DSegmentationLib.engine.process import EngineProcess

    engine = EngineProcess(qt=qt)
    yield engine
    engine.close()


@pytest.fixture
def logic(scene, realEngine):
    from Med3DSegmentationLib.segmentation_logic import SegmentationLogic

    made = SegmentationLogic(scene, realEngine)
    yield made
    made.close()


@pytest.fixture
def volumeNode(scene):
    """The engine's test volume, of which the transform knows where it lies."""
    from tiny_model import makeScan

    from Med3DCore.volume import Volume
    from Med3DSegmentationLib.scene.volume_nodes import LPS_RAS, toArray, volumeToNode

    volume, transform = makeScan(), addTransform(scene)
    matrix = vtkMatrix(transform)
    local = LPS_RAS @ np.linalg.inv(toArray(matrix)) @ LPS_RAS @ volume.geometry.index_to_physical
    direction = local[:3, :3] / volume.spacing
    geometry = Geometry(volume.geometry.size, volume.spacing, tuple(local[:3, 3]), tuple(direction.ravel()))
    node = volumeToNode(scene, Volume(volume.array, geometry), "CT")
    node.SetAndObserveTransformNodeID(transform.GetID())
    return node


def vtkMatrix(transform):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return matrix


def test_the_logic_finds_what_the_engine_finds(logic, model, volumeNode):
    from tiny_model import makeScan

    from Med3DCore.inference.segment import segment

    steps = []
    result = logic.segment(
        volumeNode,
        ["liver", "lungs"],
        model=str(model),
        device="cpu",
        wait=True,
        onProgress=lambda *step: steps.append(step),
    )
    expected = segment(makeScan(), ["liver", "lungs"], str(model), "cpu")
    for organ in result.organs:
        found = segmentArray(result.segmentationNode, organ.segmentId, volumeNode) > 0
        assert found.any() and np.mean(found == expected.labels.mask(organ.name)) > 0.999
        assert organ.volumeMl == pytest.approx(expected.labels.volume_ml(organ.name), rel=0.01)
    assert result.model == expected.model and result.warnings == expected.warnings and "fine: network" in result.seconds
    assert {"Running the network (coarse)", "Running the network (fine)"} <= {stage for stage, _, _ in steps}


def test_the_dicom_series_is_named(scene, logic, model, volumeNode):
    import slicer

    from Med3DSegmentationLib.panels.segment.notes import Notes

    def asked(**more):
        return logic.segment(volumeNode, ["liver"], model=str(model), device="cpu", wait=True, **more)

    assert asked().series == ""
    volumeNode.SetName("3: Thorax")
    volumeNode.SetAttribute("DICOM.instanceUIDs", "1.2 1.3")
    slices = volumeNode.GetImageData().GetDimensions()[2]
    result = asked()
    assert result.series == f"'3: Thorax', {slices} slices" and not any("made for" in one for one in result.warnings)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), volumeNode)
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    hierarchy.SetItemAttribute(item, constants.GetDICOMSeriesModalityAttributeName(), "MR")
    hierarchy.SetItemAttribute(item, constants.GetDICOMSeriesNumberAttributeName(), "3")
    with pytest.raises(Med3DError, match="is MR, and") as caught:
        asked()
    assert caught.value.code == "not-ct"
    result = asked(notCt=True)
    assert result.series == f"MR '3: Thorax' (series number 3), {slices} slices"
    assert any("is MR, and" in one for one in result.warnings)
    notes = Notes()
    notes.add(volumeNode, [result])
    assert f"Of {result.series}" in notes.lines([volumeNode])


def test_the_preview_is_what_the_network_sees(scene, logic, model, volumeNode):
    from tiny_model import INTENSITY, makeScan

    from Med3DCore.preprocessing import Preprocessing
    from Med3DSegmentationLib.scene.regions import Region
    from Med3DSegmentationLib.scene.volume_nodes import volumeFromNode

    result = logic.preview(volumeNode, ["liver"], model=str(model), device="cpu", wait=True)
    assert (result.stage, result.stages, result.boxFrom) == ("fine", ("coarse", "fine"), "coarse")
    seen, box = volumeFromNode(result.volumeNode), Region.fromNode(result.roiNode).bounds
    expected = Preprocessing.from_dict({"spacing": [2.0] * 3, "intensity": INTENSITY}).apply(
        makeScan(), tuple(np.array(side) for side in box)
    )
    assert seen.geometry.is_close(expected.geometry, 1e-3) and np.allclose(seen.array, expected.array, atol=1e-3)
    display = result.volumeNode.GetDisplayNode()
    assert display.GetWindowLevelMin() == pytest.approx(seen.array.min(), abs=1e-6)
    assert display.GetWindowLevelMax() == pytest.approx(seen.array.max(), abs=1e-6)
    rows = {row.title: (row.before, row.after) for row in result.rows}
    assert rows["Spacing (mm)"] == ("1.50 × 1.50 × 2.00", "2.00 × 2.00 × 2.00")
    assert rows["Size (voxels)"] == ("48 × 44 × 40", " × ".join(map(str, seen.geometry.size)))
    assert result.roiNode.GetLocked() and result.volumeNode.GetParentTransformNode() is None

    names = [node.GetName() for node in (result.volumeNode, result.roiNode)]
    assert names == ["CT preview", "CT preview box"]
    again = logic.preview(
        volumeNode,
        ["liver"],
        model=str(model),
        stage="coarse",
        device="cpu",
        outputVolumeNode=result.volumeNode,
        outputRoiNode=result.roiNode,
        wait=True,
    )
    assert again.volumeNode is result.volumeNode and again.roiNode is result.roiNode and again.stage == "coarse"
    assert volumeFromNode(again.volumeNode).spacing == pytest.approx((4.0, 4.0, 4.0))
    scene.RemoveNode(again.roiNode)
    inRoi = _roi(scene, volumeFromNode(volumeNode).geometry)
    third = logic.preview(volumeNode, ["liver"], model=str(model), device="cpu", roiNode=inRoi, wait=True)
    assert third.boxFrom == "region" and third.volumeNode is not again.volumeNode
    assert np.allclose(Region.fromNode(third.roiNode).bounds, Region.fromNode(inRoi).bounds)


def _roi(scene, geometry):
    from Med3DSegmentationLib.scene.regions import boxToRoiNode

    low, high = geometry.bounds_of_box((10, 12, 14), (30, 30, 30))
    return boxToRoiNode(scene, [low.tolist(), high.tolist()], "mine")

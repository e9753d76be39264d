"""A training from the scene to a new model, by the real engine and tiny networks."""

import numpy as np
import pytest
from tiny_model import makeScan, saveModel

from Med3DCore.labels import find_labels
from Med3DCore.models.catalogue import Catalogue
from Med3DCore.volume import LabelMap, Volume


@pytest.fixture
def engine(qt, tmp_path, monkeypatch):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    saveModel(tmp_path / "models")
    from Med3DSegmentationLib.engine.process import EngineProcess

    made = EngineProcess(qt=qt)
    yield made
    made.close()


def addCases(scene, count):
    """The bright box of tiny_model.makeScan as the liver, in several places."""
    from Med3DSegmentationLib.scene.segmentation_nodes import labelMapToSegmentation
    from Med3DSegmentationLib.scene.volume_nodes import volumeToNode
    from Med3DSegmentationLib.training.cases import addCase

    cases = []
    for number in range(count):
        scan = makeScan()
        array = np.roll(scan.array, 2 * number, axis=2)
        mask = np.zeros(array.shape, np.uint8)
        mask[12:28, 12:30, 14 + 2 * number : 34 + 2 * number] = 1
        volumeNode = volumeToNode(scene, Volume(array, scan.geometry, "CT"), f"CT {number + 1}")
        labels = LabelMap(mask, scan.geometry, "box", find_labels(["liver"]))
        cases.append(addCase(volumeNode, labelMapToSegmentation(scene, labels, volumeNode).segmentationNode))
    return cases


def test_from_the_scene_to_a_new_model(scene, engine, vtk_messages):
    from Med3DSegmentationLib.segmentation_logic import SegmentationLogic
    from Med3DSegmentationLib.training.logic import TrainingLogic
    from Med3DSegmentationLib.training.step import TrainingChoices

    logic, metrics, stages = TrainingLogic(scene, engine), [], []
    cases = addCases(scene, 3)
    labels = {label.name: label for label in find_labels(["liver", "lungs"])}
    choices = TrainingChoices("Boxes of ours", "tiny-1.0.0", minutes=0.1, quality="fast", device="cpu")
    told = {"onMetric": metrics.append, "onProgress": lambda stage, fraction, left: stages.append(stage)}
    result = logic.train(cases, choices, labels, wait=True, **told)
    assert result.title == "Boxes of ours"
    assert Catalogue().find(result.model).title == "Boxes of ours"
    assert result.steps > 0
    assert any(metric.loss is not None for metric in metrics)
    assert {"Reading CT 1", "Copying the cases", "Training the network (coarse)"} <= set(stages)
    (row,) = result.rows
    assert (row.organ, row.after >= 0) == ("Liver", True)
    (comparison,) = result.comparisons
    assert comparison.case == row.case
    assert comparison.after.GetName() == f"{row.case} after"
    (found,) = (
        SegmentationLogic(scene, engine).segment(comparison.volumeNode, ["liver"], model=result.model, wait=True).organs
    )
    assert found.name == "liver"
    vtk_messages.expect_clean()


def test_an_imported_model_learns_a_segment_that_it_does_not_know(scene, engine, tmp_path):
    """As an annotator does it: three cases with the liver, one of them with something new; then it is used."""
    from nnunet_folders import write_results

    from Med3DCore.models.nnunet.importing import import_nnunet
    from Med3DCore.models.package_file import save_package
    from Med3DSegmentationLib.segmentation_logic import SegmentationLogic
    from Med3DSegmentationLib.training.labels import chooseLabel, ownLabel
    from Med3DSegmentationLib.training.logic import TrainingLogic, adviceOn
    from Med3DSegmentationLib.training.step import TrainingChoices

    named = {"background": 0, "Liver": 1, "bowel loop": 2, "ball": 3}
    package, weights = import_nnunet(write_results(tmp_path / "results", labels=named))
    save_package(package, weights, tmp_path / "models", half=False)
    labels, cases = {label.name: label for label in package.labels}, addCases(scene, 3)
    segmentation = cases[0].segmentationNode.GetSegmentation()
    segment = segmentation.GetSegment(segmentation.AddEmptySegment("", "Liver abscess", (0.2, 0.8, 0.4)))
    draw(cases[0], segment)
    assert adviceOn(cases, labels).startswith("Not learned: Liver abscess.")
    chooseLabel(segment, ownLabel(segment))
    assert adviceOn(cases, labels) == ""

    settings = {"steps": 2, "batch": 1, "patch": [16, 16, 16]}
    choices = TrainingChoices("Abscesses", package.reference, 60, "fast", device="cpu", settings=settings)
    result = TrainingLogic(scene, engine).train(cases, choices, labels, wait=True)
    made = Catalogue().find(result.model)
    assert [label.title for label in made.labels] == ["Liver", "bowel loop", "ball", "Liver abscess"]
    assert made.labels[-1].colour == (51, 204, 102) and made.parent == package.reference
    assert [each.case for each in result.comparisons] != ["CT 1"]  # the only one that shows it is learned from
    logic = SegmentationLogic(scene, engine)
    found = logic.segment(cases[0].volumeNode, made.label_names, model=result.model, device="cpu", wait=True)
    assert [(organ.name, organ.title) for organ in found.organs][-1] == ("liver_abscess", "Liver abscess")
    assert sum(organ.volumeMl for organ in found.organs[:3]) > 0
    segments = found.segmentationNode.GetSegmentation()
    ours = [label for label in made.labels if segments.GetSegment(label.name)]
    assert ours and all(
        np.allclose(segments.GetSegment(label.name).GetColor(), np.array(label.colour) / 255) for label in ours
    )


def draw(case, segment):
    """A small box in a corner, as by the Segment Editor."""
    import slicer.util

    segmentation = case.segmentationNode.GetSegmentation()
    mask = np.zeros(slicer.util.arrayFromVolume(case.volumeNode).shape, np.uint8)
    mask[2:10, 2:12, 2:12] = 1
    name = segmentation.GetSegmentIdBySegment(segment)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, case.segmentationNode, name, case.volumeNode)


def test_pause_and_use_it_as_it_is(scene, engine):
    from Med3DCore.errors import Cancelled
    from Med3DSegmentationLib.engine.process import processEventsUntil
    from Med3DSegmentationLib.training.logic import TrainingLogic
    from Med3DSegmentationLib.training.step import TrainingChoices

    logic, lists = TrainingLogic(scene, engine), []
    choices = TrainingChoices("Paused", "tiny-1.0.0", minutes=5, quality="thorough", device="cpu")
    labels = {label.name: label for label in find_labels(["liver", "lungs"])}
    with pytest.raises(Cancelled, match="Continue it whenever you like"):
        logic.train(addCases(scene, 2), choices, labels, wait=True, onMetric=lambda metric: logic.pause())
    logic.listEarlier(lists.append, lists.append)
    processEventsUntil(lambda: lists)
    ((training,),) = lists
    assert (training.title, training.state, training.cases) == ("Paused", "unfinished", ("CT 1", "CT 2"))
    result = logic.resume(training.folder, finish=True, wait=True)
    assert result.title == "Paused"
    assert result.steps >= training.step

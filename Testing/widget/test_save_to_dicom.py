"""From a click on Save to DICOM database to the segmentation loaded again, over the real engine."""

import numpy as np
import pytest
from module_helpers import openModule

from Med3DCore.geometry import Geometry

pytest.importorskip("highdicom")
pydicom = pytest.importorskip("pydicom")

SHAPE = (8, 20, 24)


@pytest.fixture
def module(make_slicer_gui, monkeypatch, tmp_path):
    """The module's widget on an empty scene with an open, empty DICOM database."""
    from slicer_host.dicom import open_database

    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    gui = make_slicer_gui(subject_hierarchy=True)
    widget = openModule(gui)
    widget.host, widget.database = gui, open_database(tmp_path / "database")
    return widget


@pytest.fixture
def panel(module):
    return module.panels["SegmentPanel"]


def scanInDatabase(module, folder, downwards=False, aside=(0.0, 0.0), without=None):
    """A CT that Slicer's DICOM module has loaded: its files in the database, its instances noted on the node.

    Slices may lie aside of each other, or one may be missing: Slicer stacks them in even steps all the same.
    """
    import slicer
    from ct_series import write_ct_series

    from Med3DCore.volume import Volume
    from Med3DSegmentationLib.scene.volume_nodes import volumeToNode

    direction = np.diag([1.0, -1.0, -1.0]) if downwards else np.eye(3)
    geometry = Geometry(SHAPE[::-1], (0.8, 0.9, 2.5), (-20.0, 13.0, 101.0), tuple(direction.ravel().tolist()))
    values = np.random.default_rng(0).integers(-30, 30, SHAPE).astype(np.int16)
    values[2:6, 4:12, 5:15] = 120  # to the known worker, the liver
    values[3:5, 2:4, 17:22] = -800  # and the lungs
    write_ct_series(folder, values, geometry, aside=aside)
    if without is not None:
        (folder / f"im{without + 1:03d}.dcm").unlink()
        values = np.delete(values, without, axis=0)
        geometry = Geometry((*SHAPE[:0:-1], len(values)), (0.8, 0.9, 2.5 * 7 / 6), geometry.origin, geometry.direction)
    for path in sorted(folder.iterdir()):
        module.database.insert(str(path), False)
    node = volumeToNode(slicer.mrmlScene, Volume(values, geometry), "3: Abdomen")
    (series,) = module.database.seriesForStudy(study(module))
    node.SetAttribute("DICOM.instanceUIDs", " ".join(module.database.instancesForSeries(series)))
    return node


def study(module):
    (patient,) = module.database.patients()
    (uid,) = module.database.studiesForPatient(patient)
    return uid


def segmented(module, panel, volume):
    panel.parameterNode.inputVolume = volume
    press(module, panel.ui.bothButton)
    return panel.parameterNode.segmentation


def press(module, button):
    module.host.process_events(0.3)
    assert button.enabled, button.toolTip
    button.click()
    services = module.services
    assert module.host.process_events(60, until=lambda: not services.activity.isRunning)
    module.host.process_events(0.1)


def saved(module):
    """The one SEG in the database, as pydicom reads it."""
    series = module.database.seriesForStudy(study(module))
    files = [file for uid in series for file in module.database.filesForSeries(uid)]
    found = [pydicom.dcmread(file) for file in files]
    (made,) = [each for each in found if each.Modality == "SEG"]
    return made


@pytest.mark.parametrize("downwards", [False, True])
def test_one_click_and_it_is_beside_its_scan_and_can_be_loaded_again(module, panel, tmp_path, downwards):
    from Med3DCore.io import read_label_map

    volume = scanInDatabase(module, tmp_path / "ct", downwards)
    assert panel.ui.dicomButton.toolTip == "There is no result."
    segmented(module, panel, volume)
    press(module, panel.ui.dicomButton)
    assert not module.ui.messageFrame.visible
    assert "Saved as DICOM SEG" in panel.ui.resultLabel.text
    made = saved(module)
    assert made.StudyInstanceUID == study(module) and made.PatientID == "P7"
    assert [segment.SegmentAlgorithmType for segment in made.SegmentSequence] == ["AUTOMATIC"] * 2
    (algorithm,) = made.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert algorithm.AlgorithmName == "known" and f"sha256={'0f' * 32}" in algorithm.AlgorithmParameters
    (path,) = module.database.filesForSeries(made.SeriesInstanceUID)
    read = read_label_map(path)
    assert [(label.name, label.title) for label in read.labels] == [("liver", "Liver"), ("lungs", "Lungs")]
    assert loaded(read, volume) == {"liver": 4 * 8 * 10, "lungs": 2 * 2 * 5}


def loaded(read, volume):
    """Voxels of each label of a file that lie where the scan says that they are; all of them, else it fails."""
    import slicer

    from Med3DSegmentationLib.scene.segmentation_nodes import labelMapToSegmentation
    from Med3DSegmentationLib.scene.volume_nodes import arrayFromVolumeNode, geometryFromNode

    grid = geometryFromNode(volume)
    whole = type(read)(read.sampled(grid, 0, nearest=True), grid, "read", read.labels)
    assert (whole.array > 0).sum() == (read.array > 0).sum()
    written = labelMapToSegmentation(slicer.mrmlScene, whole, volume)
    values, counts = arrayFromVolumeNode(volume), {}
    for name, segmentId in written.segmentIds.items():
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(written.segmentationNode, segmentId, volume) > 0
        assert (np.abs(values[mask]) >= 100).all()
        counts[name] = int(mask.sum())
    return counts


def test_edited_and_drawn_segments_say_so_and_overlap(module, panel, tmp_path):
    import slicer.util

    from Med3DCore.io import read_label_map

    volume = scanInDatabase(module, tmp_path / "ct")
    node = segmented(module, panel, volume)
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, "liver", volume).copy()
    mask[2] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "liver", volume)
    lesion = node.GetSegmentation().AddEmptySegment("lesion", "Lesion 1", [1.0, 0.0, 0.0])
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[4, 5:8, 6:9] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(drawn, node, lesion, volume)
    node.GetSegmentation().AddEmptySegment("nothing", "Nothing")
    press(module, panel.ui.dicomButton)
    made = saved(module)
    kinds = {segment.SegmentLabel: segment.SegmentAlgorithmType for segment in made.SegmentSequence}
    assert kinds == {"Liver": "SEMIAUTOMATIC", "Lungs": "AUTOMATIC", "Lesion 1": "MANUAL"}
    (path,) = module.database.filesForSeries(made.SeriesInstanceUID)
    read = read_label_map(path)
    assert read.mask("liver").sum() == 3 * 8 * 10 and read.mask("lesion_1").sum() == 9
    assert (read.mask("liver") & read.mask("lesion_1")).sum() == 9
    assert read.labels[2].colour == (255, 0, 0)


def test_a_volume_that_was_moved_is_saved_where_its_slices_are(module, panel, tmp_path):
    from mrml_helpers import addTransform

    from Med3DCore.io import read_label_map

    volume = scanInDatabase(module, tmp_path / "ct")
    volume.SetAndObserveTransformNodeID(addTransform(module.services.scene).GetID())
    segmented(module, panel, volume)
    press(module, panel.ui.dicomButton)
    read = read_label_map(module.database.filesForSeries(saved(module).SeriesInstanceUID)[0])
    volume.SetAndObserveTransformNodeID(None)
    assert loaded(read, volume) == {"liver": 4 * 8 * 10, "lungs": 2 * 2 * 5}


def test_a_button_that_cannot_says_why(module, panel, tmp_path, monkeypatch):
    import slicer
    from mrml_helpers import addVolume

    from Med3DSegmentationLib.scene import dicom_database

    def reason():
        panel.refresh()
        assert not panel.ui.dicomButton.enabled
        return panel.ui.dicomButton.toolTip

    segmented(module, panel, addVolume(module.services.scene))
    assert "CT was not loaded from DICOM" in reason()
    volume = scanInDatabase(module, tmp_path / "ct")
    segmented(module, panel, volume)
    panel.refresh()
    assert panel.ui.dicomButton.enabled
    monkeypatch.setattr(dicom_database, "canWrite", lambda: False)
    assert "need the Python package highdicom" in reason()
    monkeypatch.undo()
    module.database.closeDatabase()
    assert "database is not open" in reason()
    del slicer.dicomDatabase
    assert "database is not open" in reason()
    from slicer_host.dicom import open_database

    open_database(tmp_path / "another")
    assert "not in Slicer's DICOM database any more" in reason()


def test_slices_that_are_gone_are_a_sentence(module, panel, tmp_path):
    volume = scanInDatabase(module, tmp_path / "ct")
    segmented(module, panel, volume)
    for path in sorted((tmp_path / "ct").iterdir())[3:5]:
        path.unlink()
    press(module, panel.ui.dicomButton)
    assert "not in Slicer's DICOM database any more" in module.ui.messageLabel.text
    assert len(module.database.seriesForStudy(study(module))) == 1


def test_cancelling_saves_nothing(module, panel, tmp_path):
    volume = scanInDatabase(module, tmp_path / "ct")
    segmented(module, panel, volume)
    panel.refresh()
    panel.ui.dicomButton.click()
    assert panel.ui.progressRow.visible and not panel.ui.bothButton.enabled
    panel.ui.cancelButton.click()
    assert module.host.process_events(20, until=lambda: not module.services.activity.isRunning)
    assert len(module.database.seriesForStudy(study(module))) == 1
    assert "Cancelled" in module.ui.messageLabel.text and panel.ui.dicomButton.enabled


def test_two_clicks_are_one_series_and_a_changed_result_is_the_next(module, panel, tmp_path):
    import slicer.util

    volume = scanInDatabase(module, tmp_path / "ct")
    node = segmented(module, panel, volume)
    press(module, panel.ui.dicomButton)
    press(module, panel.ui.dicomButton)
    assert "in Slicer's DICOM database already" in panel.ui.resultLabel.text and not module.ui.messageFrame.visible
    assert numbered(module) == [("300", "Segmentation by known-1.0.0")]
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, "liver", volume).copy()
    mask[2] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "liver", volume)
    press(module, panel.ui.dicomButton)
    second = ("301", "Segmentation by known-1.0.0 (2)")
    assert numbered(module) == [("300", "Segmentation by known-1.0.0"), second]
    del module.database._headers[next(uid for uid in list(module.database._headers) if isSecond(module, uid))]
    press(module, panel.ui.dicomButton)  # it was deleted there
    assert numbered(module)[-1] == second


def numbered(module):
    """Series number and description of each SEG in the database."""
    found = []
    for series in module.database.seriesForStudy(study(module)):
        (instance, *_rest) = module.database.instancesForSeries(series)
        value = module.database.instanceValue
        if value(instance, "0008,0060") == "SEG":
            found.append((value(instance, "0020,0011"), value(instance, "0008,103E")))
    return found


def isSecond(module, uid):
    return module.database.instanceValue(uid, "0020,0011") == "301"


@pytest.mark.parametrize(("unusual", "downwards"), [("a tilted gantry", False), ("a missing slice", True)])
def test_a_scan_that_slicer_stacks_as_its_slices_come(module, panel, tmp_path, unusual, downwards):
    """Slicer's volume has slice upon slice in even steps; the SEG has them where they were taken."""
    import highdicom

    tilted = unusual == "a tilted gantry"
    changes = {"aside": (0.0, 0.7)} if tilted else {"without": 5}
    volume = scanInDatabase(module, tmp_path / "ct", downwards, **changes)
    segmented(module, panel, volume)
    press(module, panel.ui.dicomButton)
    assert "Saved as DICOM SEG" in panel.ui.resultLabel.text, module.ui.messageLabel.text
    (path,) = module.database.filesForSeries(saved(module).SeriesInstanceUID)
    made = highdicom.seg.segread(path)
    images = [pydicom.dcmread(file) for file in sorted((tmp_path / "ct").iterdir())]
    uids = [image.SOPInstanceUID for image in images]
    how = {"ignore_spatial_locations": True, "assert_missing_frames_are_empty": True}
    liver = made.get_pixels_by_source_instance(uids, segment_numbers=[1], **how)
    assert np.array_equal(liver[..., 0] > 0, [image.pixel_array == 120 for image in images])


@pytest.mark.parametrize("downwards", [False, True])
def test_a_tilted_scan_as_slicers_reader_shears_it(module, panel, tmp_path, downwards):
    """Segmented where its slices were shifted back, and saved on the slices as they were taken."""
    import highdicom
    import slicer
    import vtk

    stacked = scanInDatabase(module, tmp_path / "ct", downwards, aside=(0.0, 0.7))
    files = vtk.vtkStringArray()
    for path in sorted((tmp_path / "ct").iterdir()):
        files.InsertNextValue(str(path))
    volume = slicer.modules.volumes.logic().AddArchetypeVolume(files.GetValue(0), "tilted", 0, files)
    volume.SetAttribute("DICOM.instanceUIDs", stacked.GetAttribute("DICOM.instanceUIDs"))
    slicer.mrmlScene.RemoveNode(stacked)
    segmented(module, panel, volume)
    press(module, panel.ui.dicomButton)
    assert "Saved as DICOM SEG" in panel.ui.resultLabel.text, module.ui.messageLabel.text
    (path,) = module.database.filesForSeries(saved(module).SeriesInstanceUID)
    images = [pydicom.dcmread(file) for file in sorted((tmp_path / "ct").iterdir())]
    how = {"ignore_spatial_locations": True, "assert_missing_frames_are_empty": True}
    uids = [image.SOPInstanceUID for image in images]
    found = highdicom.seg.segread(path).get_pixels_by_source_instance(uids, segment_numbers=[1], **how)[..., 0] > 0
    true = np.stack([image.pixel_array == 120 for image in images])
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.9

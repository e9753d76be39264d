"""CT series that Slicer's own reader lays otherwise than they were taken: what the Segment panel makes of them."""

import numpy as np
import pytest
from ct_series import write_ct_series
from mrml_helpers import segmentArray, worldPositions
from segment_panel_helpers import press, reason, rows, settle, wait

from Med3DCore.geometry import Geometry

SHAPE = (12, 40, 44)
GEOMETRY = Geometry(SHAPE[::-1], (0.8, 0.9, 2.5), (-20.0, 13.0, 101.0), tuple(np.eye(3).ravel().tolist()))


def loaded(folder, aside=(0.0, 0.0), left_out=(), twice=()):
    """A CT as Slicer's reader loads it, with a block that is liver to known_worker.py."""
    import slicer
    import vtk

    values = np.random.default_rng(0).integers(-30, 30, SHAPE).astype(np.int16)
    values[3:9, 8:24, 10:30] = 120
    values[:, :, 36:] = -1000  # air
    write_ct_series(folder, values, GEOMETRY, aside=aside)
    for number in twice:  # the same image once more, under a UID of its own
        pydicom = pytest.importorskip("pydicom")
        image = pydicom.dcmread(sorted(folder.iterdir())[number])
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        image.save_as(folder / f"zz{number}.dcm")
    files = vtk.vtkStringArray()
    for number, path in enumerate(sorted(folder.iterdir())):
        if number not in left_out:
            files.InsertNextValue(str(path))
    return slicer.modules.volumes.logic().AddArchetypeVolume(files.GetValue(0), "CT", 0, files)


@pytest.mark.parametrize("aside", [(0.0, 0.6), (0.0, -1.1), (0.45, 0.3)])
def test_a_tilted_gantry_is_shifted_back_and_told(module, panel, tmp_path, aside):
    from Med3DSegmentationLib.scene.segment_arrays import maskOfSegment

    volume = loaded(tmp_path / "ct", aside)
    settle(panel)
    assert reason(panel) == ""
    press(panel, "liverButton")
    wait(panel)
    assert module.ui.messageFrame.isHidden(), (module.ui.messageLabel.text, module.ui.messageDetails.plainText)
    degrees = np.degrees(np.arctan(np.linalg.norm(aside) / 2.5))
    assert f"CT was taken with a gantry tilt of {degrees:.1f} degrees" in panel.ui.resultLabel.text
    liver = np.argwhere(np.isin(_array(volume), 120))[:, ::-1]
    (row,) = rows(panel, 4)
    voxelMl = 0.8 * 0.9 * 2.5 / 1000
    assert float(row[2]) == pytest.approx(len(liver) * voxelMl, rel=0.08)  # shifts are of whole voxels at the edges
    assert float(row[3]) == pytest.approx(120, abs=6)
    mask, image = maskOfSegment(panel.parameterNode.segmentation.GetSegmentation().GetSegment("liver"))
    inside = _toIndex(image) @ np.c_[worldPositions(volume, liver), np.ones(len(liver))].T
    x, y, z = (np.rint(axis).astype(int) - image.GetExtent()[2 * n] for n, axis in enumerate(inside[:3]))
    fits = (x >= 0) & (y >= 0) & (z >= 0) & (x < mask.shape[2]) & (y < mask.shape[1]) & (z < mask.shape[0])
    assert fits.mean() > 0.9 and mask[z[fits], y[fits], x[fits]].sum() / len(liver) > 0.9
    assert segmentArray(panel.parameterNode.segmentation, "liver", volume).any()  # as Slicer lays it on the scan


@pytest.mark.parametrize(
    ("left_out", "twice", "told"),
    [
        ((5,), (), "are 2.5 mm apart (1 is missing), but it was loaded as if they were 2.75 mm apart"),
        ((), (4,), "are 2.5 mm apart (1 is there twice), but it was loaded as if they were 0.833 mm apart"),
        ((4, 6, 7), (), "CT has uneven slices (2.5 to 7.5 mm apart), but it was loaded as if all were 3.44 mm apart"),
        ((), (), ""),
    ],
)
def test_slices_that_slicer_spreads_evenly_are_told(module, panel, tmp_path, left_out, twice, told):
    from slicer_host.dicom import open_database

    pydicom = pytest.importorskip("pydicom")
    database, folder = open_database(tmp_path / "database"), tmp_path / "ct"
    volume = loaded(folder, left_out=left_out, twice=twice)
    uids = []
    for number, path in enumerate(sorted(folder.iterdir())):
        database.insert(str(path), False)
        if number not in left_out:
            uids.append(str(pydicom.dcmread(path).SOPInstanceUID))
    volume.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    settle(panel)
    press(panel, "liverButton")
    wait(panel)
    assert rows(panel)
    if told:
        assert told in panel.ui.resultLabel.text and "volumes in mL are wrong" in panel.ui.resultLabel.text
    else:
        assert "apart" not in panel.ui.resultLabel.text


def _array(volume):
    import slicer.util

    return slicer.util.arrayFromVolume(volume)


def _toIndex(image):
    import vtk

    from Med3DSegmentationLib.scene.volume_nodes import toArray

    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return np.linalg.inv(toArray(matrix))

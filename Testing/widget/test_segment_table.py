"""The Segment panel's table: volumes and means of the organs, after an edit and an undo, too."""

import numpy as np
from module_helpers import organMask
from mrml_helpers import GEOMETRIES, addTransform, addVolume
from segment_panel_helpers import array, press, rows, settle, wait


def test_after_undo_no_number_of_the_undone_result_is_shown(panel, ct):
    settle(panel)
    for _run in range(2):
        press(panel, "bothButton")
        wait(panel)
    press(panel, "lungsButton")
    wait(panel)
    press(panel, "undoButton")
    settle(panel)
    found = (array(ct) < -400).sum() * np.prod(ct.GetSpacing()) / 1000  # what the undone result had replaced
    assert [row[1:] for row in rows(panel)][1] == ["Lungs", f"{found:.1f}"] and "undone" in panel.ui.resultLabel.text
    assert organMask(panel.parameterNode.segmentation, "lungs", ct).any()


def test_the_table_follows_what_is_edited(panel, ct):
    settle(panel)
    press(panel, "bothButton")
    wait(panel)
    node, voxelMl = panel.parameterNode.segmentation, np.prod(ct.GetSpacing()) / 1000
    values, liver = array(ct), array(ct) > 60
    assert rows(panel, 4)[0][1:] == ["Liver", f"{liver.sum() * voxelMl:.1f}", f"{values[liver].mean():.0f}"]
    half = liver.copy()
    half[5:] = False
    import slicer.util

    slicer.util.updateSegmentBinaryLabelmapFromArray(half.astype(np.uint8), node, "liver", ct)
    assert rows(panel, 4)[0][1:] == ["Liver (edited)", f"{half.sum() * voxelMl:.1f}", f"{values[half].mean():.0f}"]
    assert kindOf(node, "liver") == "SEMIAUTOMATIC" and kindOf(node, "lungs") == "AUTOMATIC"
    press(panel, "liverButton")
    wait(panel)
    assert [row[1] for row in rows(panel)] == ["Liver (edited)", "Lungs", "Liver"]
    node.GetSegmentation().RemoveSegment("lungs")
    assert [row[1] for row in rows(panel)] == ["Liver (edited)", "Liver"]


def kindOf(node, segmentId):
    from Med3DSegmentationLib.scene.terminology import tagOfSegment

    return tagOfSegment(node.GetSegmentation().GetSegment(segmentId), "DICOM.SegmentAlgorithmType")


def test_mean_and_volume_are_those_of_the_world(module, panel):
    """Volume and segmentation under different transforms, oblique and left-handed."""
    ct = addVolume(module.services.scene, GEOMETRIES["left-handed oblique"])
    ct.SetAndObserveTransformNodeID(addTransform(module.services.scene, 3).GetID())
    settle(panel)
    press(panel, "liverButton")
    wait(panel)
    liver, voxelMl = array(ct) > 60, np.prod(ct.GetSpacing()) / 1000
    assert rows(panel, 4)[0][1:] == ["Liver", f"{liver.sum() * voxelMl:.1f}", f"{array(ct)[liver].mean():.0f}"]
    panel.parameterNode.segmentation.SetAndObserveTransformNodeID(None)  # it lies elsewhere now, as large as before
    assert rows(panel, 4)[0][1:3] == ["Liver", f"{liver.sum() * voxelMl:.1f}"]


def test_the_table_is_copied_and_saved(module, panel, ct, tmp_path, monkeypatch):
    settle(panel)
    assert not panel.ui.copyButton.enabled and panel.ui.copyButton.toolTip == "There is no result."
    press(panel, "liverButton")
    wait(panel)
    assert rows(panel)
    press(panel, "copyButton")
    qt = module.host.qt
    copied = qt.QApplication.clipboard().text().splitlines()
    ml = (array(ct) > 60).sum() * np.prod(ct.GetSpacing()) / 1000
    expected = ["CT", "Liver", f"{ml:.3f}", f"{array(ct)[array(ct) > 60].mean():.2f}"]
    assert [line.split("\t") for line in copied] == [["Volume", "Segment", "mL", "Mean"], expected]
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: str(tmp_path / "table"))
    press(panel, "csvButton")
    assert (tmp_path / "table.csv").read_text("utf-8-sig").splitlines() == [line.replace("\t", ",") for line in copied]
    dated = tmp_path / "table 2026.11.30"
    monkeypatch.setattr(qt.QFileDialog, "getSaveFileName", lambda *_: str(dated))
    press(panel, "csvButton")
    assert sorted(path.name for path in tmp_path.glob("table*")) == ["table 2026.11.30.csv", "table.csv"]
    dated.with_name("table 2026.11.30.csv").write_text("another's")
    press(panel, "csvButton")  # of which the dialogue has not asked whether it may go
    assert dated.with_name("table 2026.11.30.csv").read_text() == "another's"
    assert "exists already" in module.ui.messageLabel.text

"""The labels of drafted livers: what is surely liver, what teaches nothing, and that a heart is none."""

import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import liver_labels

LIVER_HU, HEART_HU, FAT_HU = 60, 45, -100
HEART_LINE = ((20, 20), (60, 20))


@pytest.fixture
def scan():
    """Liver below slice 20, heart above it on the left; the draft holds both, and the liver's left end is missing."""
    hu = np.full((40, 40, 60), FAT_HU, np.int16)
    hu[5:20, 10:30, 5:50] = LIVER_HU
    hu[20:35, 10:30, 25:50] = HEART_HU
    draft = np.zeros(hu.shape, np.uint8)
    draft[5:20, 10:30, 5:42] = 1
    draft[20:30, 10:30, 25:42] = 1
    return hu, draft


def labelled(monkeypatch, hu, draft, line=HEART_LINE, direction=(1, 0, 0, 0, 1, 0, 0, 0, 1)):
    """The label on the images' own grid; ``direction`` is how they are stored."""
    monkeypatch.setitem(liver_labels.HEART_LINES, "case", line)
    images = [sitk.GetImageFromArray(array) for array in (hu, draft)]
    for image in images:
        image.SetDirection(direction)
    return liver_labels.label_liver(*images, "case")


def test_sure_and_unsure(scan, monkeypatch):
    label = labelled(monkeypatch, *scan)
    assert (label[8:16, 15:25, 10:38] == 1).all()
    assert (label[24:, 10:30, 25:50] == 0).all()  # the heart, drafted or not
    assert (label[8:16, 15:25, 44:47] == liver_labels.UNSURE).all()  # the lobe that the draft missed
    assert (label[:, 35:] == 0).all()


def test_without_a_line_the_heart_stays(scan, monkeypatch):
    assert (labelled(monkeypatch, *scan, line=None)[24, 15:25, 30:38] == 1).all()


def test_lines_are_along_the_patient(scan, monkeypatch):
    expected = labelled(monkeypatch, *scan)
    turned = [np.ascontiguousarray(array[::-1, ::-1]) for array in scan]
    result = labelled(monkeypatch, *turned, direction=(1, 0, 0, 0, -1, 0, 0, 0, -1))
    np.testing.assert_array_equal(result[::-1, ::-1], expected)


def test_of_an_ill_liver_only_what_both_drafts_found_is_sure(scan):
    hu, _ = scan
    hu[10:14, 16:22, 20:26] = 10  # a lesion that both took for liver
    drafts = np.zeros((2, *hu.shape), np.uint8)
    drafts[0, 5:20, 10:30, 5:42] = drafts[1, 5:20, 10:30, 5:34] = 1
    label = liver_labels.label_where_both_agree(*(sitk.GetImageFromArray(array) for array in (hu, *drafts)))
    assert (label[8:16, 15:25, 8:32] == 1).all()
    for where in (slice(34, 42), slice(43, 49)):  # found by one; by none, but as bright
        assert (label[8:16, 15:25, where] == liver_labels.UNSURE).all()
    assert (label[:, 32:] == 0).all() and (label[5:19, 10, 5:34] == liver_labels.UNSURE).all()  # fat; the border


@pytest.mark.parametrize("ill", [False, True])
def test_of_two_drafts_only_the_border_and_what_one_found_alone_is_unsure(scan, monkeypatch, ill):
    hu, newer = scan
    monkeypatch.setitem(liver_labels.HEART_LINES, "case", HEART_LINE)
    hu[10:14, 16:22, 20:26] = 0  # a lesion, or a vessel
    older = newer.copy()
    older[5:20, 10:30, 36:42] = 0
    label = liver_labels.label_both(*map(sitk.GetImageFromArray, (hu, older, newer)), "case", ill)
    unsure = liver_labels.UNSURE
    assert (label[8:9, 15:25, 10:34] == 1).all()
    assert (label[8:17, 15:25, 37:41] == unsure).all()  # one alone found it
    assert (label[8:17, 15:25, 44:50] == 0).all()  # neither did, however bright it is
    assert (label[24:, 10:30, 25:50] == 0).all()  # the heart
    assert (label[11:13, 18:20, 22:24] == (1 if ill else unsure)).all()


def test_near_a_lobe_that_both_missed_what_is_as_bright_is_unsure(scan, monkeypatch):
    hu, draft = scan
    draft[20:] = 0
    images = [*map(sitk.GetImageFromArray, (hu, draft, draft))]
    assert (liver_labels.label_both(*images, "case", False)[8:17, 15:25, 44:47] == 0).all()
    monkeypatch.setattr(liver_labels, "BOTH_SHORT", ("case",))
    assert (liver_labels.label_both(*images, "case", False)[8:17, 15:25, 44:47] == liver_labels.UNSURE).all()

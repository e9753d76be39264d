"""tools/organ_labels.py and organ_data.py: drawn spleens and kidneys, and drafts of which the border is unsure."""

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from Med3DCore.phantom.data_set import write_phantom_cases

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from organ_data import ORGANS, UNSURE, VALUES, _sure_label
from organ_labels import draw

SHAPE = (30, 40, 50)


def ball(centre: tuple[int, int, int], radius: float) -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    return (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= radius**2


def test_a_drawn_organ_is_what_hangs_together_with_its_seed():
    spleen, other = ball((15, 20, 12), 8), ball((15, 20, 38), 8)
    hu = np.where(spleen | other, 120, -100)
    drawing = {"hu": (90, 150), "rim": (40, 150), "box": (0, 49, 0, 39, 0, 29), "seeds": [(12, 20, 15)]}
    found = draw(hu, {"spleen": drawing})
    assert found[spleen].mean() > 0.95 and not found[other].any()
    cut = {**drawing, "cuts": [(0, 29, [(-1, -1), (12.5, -1), (12.5, 41), (-1, 41)])], "seeds": [(16, 20, 15)]}
    assert not draw(hu, {"spleen": cut})[:, :, :12].any()
    assert draw(hu, {"spleen": cut})[spleen & (np.indices(SHAPE)[2] > 14)].mean() > 0.9


def test_a_draft_is_sure_inside_and_unsure_at_its_border():
    organ, speck = ball((15, 20, 20), 9), ball((15, 20, 42), 2)
    hu = np.where(organ | speck, 60, -30)
    label = _sure_label(hu, np.where(organ | speck, 2, 0).astype(np.uint8), None)
    assert set(np.unique(label)) == {0, 2, UNSURE}
    assert (label[ball((15, 20, 20), 7)] == 2).all(), "the inside"
    assert (label[organ & ~ball((15, 20, 20), 8.5)] == UNSURE).all(), "the border"
    assert (label[speck] == UNSURE).all(), "a second piece is not taught"
    assert label[0, 0, 0] == 0


def test_a_draft_counts_below_a_slice_only_and_fat_is_no_organ():
    organ = ball((15, 20, 20), 9)
    hu = np.where(organ, 60, -200)
    label = _sure_label(hu, organ.astype(np.uint8), 16)
    assert not label[18:].any() and (label[10, 20, 15:25] == 1).all()
    assert not label[~organ].any(), "fat beside it is surely none"


def test_phantoms_have_the_organs_that_are_asked_for(tmp_path):
    (entry,) = write_phantom_cases(tmp_path, 1, region="abdomen", organs=ORGANS)
    assert entry["values"] == VALUES
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / entry["label"])))
    volumes = np.bincount(label.ravel(), minlength=4)[1:]
    assert len(volumes) == 3 and (volumes > 500).all()  # voxels of 2.5 mm: 8 mL and more

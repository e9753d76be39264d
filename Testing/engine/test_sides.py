"""Left and right lung from both as one: however the scan is stored, joined, alone, cut; together the same voxels."""

import numpy as np
import pytest
import SimpleITK as sitk

from Med3DCore.geometry import Geometry
from Med3DCore.inference.sides import SIDES, split_lungs
from Med3DCore.labels import find_labels
from Med3DCore.phantom import PhantomSettings, make_phantom, merge_lungs
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap, Volume


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(3, PhantomSettings(spacing=(4.0, 4.0, 5.0), region="chest"))


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def split(scan, labels, names=SIDES, least=0.99):
    """Split the union of a phantom's lungs, or of one of them; every lung must be found, and no voxel lost."""
    union = np.isin(labels.array, [labels.value(name) for name in names])
    merged = LabelMap(union.astype(np.uint8), labels.geometry, "scan", find_labels(["lungs"]))
    progress = Progress()
    result = split_lungs(merged, scan, progress)
    assert [label.name for label in result.labels] == list(SIDES)
    assert np.array_equal(result.array > 0, union) and merged.array.max() == 1
    for name in names:
        assert dice(result.mask(name), labels.mask(name)) > least
    assert [flag["label"] for flag in progress.flags] == [name for name in SIDES if name not in names]
    return progress


def test_both_lungs_of_a_phantom(phantom):
    split(phantom.ct, phantom.labels)


@pytest.mark.parametrize("name", SIDES)
def test_after_one_lung_was_removed_the_other_keeps_its_side(phantom, name):
    missing = SIDES[1 - SIDES.index(name)].replace("_", " ")
    assert split(phantom.ct, phantom.labels, (name,)).warnings == [f"No {missing} found in scan."]


@pytest.mark.parametrize("order,flips", [((0, 1, 2), (True, False, True)), ((2, 0, 1), (False, True, False))])
def test_sides_are_the_patients_however_the_scan_is_stored(phantom, order, flips):
    ct, array = (sitk.Flip(sitk.PermuteAxes(v.to_sitk(), order), flips) for v in (phantom.ct, phantom.labels))
    labels = Volume.from_sitk(array)
    split(Volume.from_sitk(ct), LabelMap(labels.array, labels.geometry, "scan", phantom.labels.labels))


def test_an_oblique_scan():
    phantom = make_phantom(4, PhantomSettings(spacing=(4.0, 4.0, 5.0), region="chest", oblique=(8.0, 5.0, 20.0)))
    split(phantom.ct, phantom.labels)


def test_the_lungs_of_half_a_body(phantom):
    """A field of view that ends in the patient's middle shows one lung, and more tissue on its outer side."""
    x = phantom.ct.geometry.origin[0] + phantom.ct.spacing[0] * np.arange(phantom.ct.geometry.size[0])
    middle = int(np.argmin(np.abs(x)))
    for name, part in (("right_lung", slice(0, middle - 3)), ("left_lung", slice(middle + 4, None))):
        start = (part.start, 0, 0)
        stop = (part.indices(len(x))[1], *phantom.ct.geometry.size[1:])
        grid = phantom.ct.geometry.crop(start, stop)
        array = np.where(phantom.labels.mask(name), phantom.labels.array, 0)[:, :, part]
        labels = LabelMap(array, grid, "scan", phantom.labels.labels)
        split(Volume(phantom.ct.array[:, :, part], grid), labels, (name,))


def chest(membrane_hu):
    """Two boxes of lung in a body of water; in front they touch, with a membrane a little left of the middle."""
    geometry = Geometry((100, 70, 60), (3.0, 3.0, 3.0), (-150.0, -105.0, 0.0))
    ct, labels = np.full(geometry.shape, -1000, np.int16), np.zeros(geometry.shape, np.uint8)
    ct[:, 5:65, 5:95] = 30
    labels[5:55, 10:60, 10:45], labels[5:55, 10:60, 58:90] = 2, 1
    labels[20:50, 10:16, 45:53], labels[20:50, 10:16, 53:58] = 2, 1  # the tongues in front
    ct[labels > 0] = -850
    ct[20:50, 10:16, 53] = membrane_hu
    ct += np.random.default_rng(0).normal(0, 20, ct.shape).astype(np.int16)
    return Volume(ct, geometry), LabelMap(labels, geometry, "chest", find_labels(SIDES))


def test_lungs_that_touch_are_parted_at_the_membrane():
    scan, labels = chest(-600)
    assert sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray((labels.array > 0) * 1))).max() == 1
    split(scan, labels, least=0.998)


def test_lungs_that_touch_without_a_visible_membrane_are_parted_in_the_bridge():
    split(*chest(-850), least=0.98)


def test_other_labels_keep_their_voxels_and_their_order(phantom):
    whole = merge_lungs(phantom.labels)
    result = split_lungs(whole, phantom.ct)
    names = [label.name for label in whole.labels]
    assert [label.name for label in result.labels] == [
        n for name in names for n in (SIDES if name == "lungs" else [name])
    ]
    for name in set(names) - {"lungs"}:
        assert np.array_equal(result.mask(name), whole.mask(name))
    assert dice(result.mask("left_lung"), phantom.labels.mask("left_lung")) > 0.99


def test_without_lungs_nothing_happens(phantom):
    liver = LabelMap(phantom.labels.mask("liver").astype(np.uint8), phantom.ct.geometry, "scan", find_labels(["liver"]))
    assert split_lungs(liver, phantom.ct) is liver
    none = LabelMap(np.zeros_like(liver.array), liver.geometry, "scan", find_labels(["lungs"]))
    progress = Progress()
    assert not split_lungs(none, phantom.ct, progress).array.any() and progress.warnings == []


def test_a_single_voxel_of_lung():
    scan, labels = chest(-850)
    array = np.zeros_like(labels.array)
    array[30, 30, 20] = 1
    result = split_lungs(LabelMap(array, labels.geometry, "dot", find_labels(["lungs"])), scan)
    assert result.mask("right_lung").sum() == 1 and not result.mask("left_lung").any()

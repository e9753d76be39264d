"""What training paints into patches: another brightness of an organ, lesions, fluid and bowel around it, grains."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from Med3DCore.errors import SettingError
from Med3DCore.preprocessing.intensity import Window
from Med3DCore.training.cases.case import UNKNOWN
from Med3DCore.training.patches.augmentation import Augmentation
from Med3DCore.training.patches.bowel import end_organ, paint_bowel
from Med3DCore.training.patches.disease import paint_lesions, shift_organ, surround_with_fluid
from Med3DCore.training.patches.smoothing import grains

SPACING = (2.5, 2.5, 2.5)
STATISTICS = Window(-160, 240).measure(None)


@pytest.fixture
def organ():
    """A ball of 100 HU in fat, and where it is."""
    z, y, x = np.indices((40, 44, 48)) - np.array([20, 22, 24])[:, None, None, None]
    inside = z**2 + y**2 + x**2 < 15**2
    return np.where(inside, 100.0, -100.0).astype(np.float32), inside


def rng(seed=0):
    return np.random.default_rng(seed)


def patch(image, label):
    return torch.from_numpy(image.copy())[None, None], torch.from_numpy(label.astype(np.uint8))[None, None]


def test_an_organ_is_shifted_inside_and_nothing_far_outside(organ):
    image, inside = organ
    before = image.copy()
    shift_organ(image, inside, -40)
    assert np.allclose(image[ndimage.binary_erosion(inside, iterations=6)], 60, atol=1e-3)
    far = ~ndimage.binary_dilation(inside, iterations=6)
    assert np.array_equal(image[far], before[far])


def test_lesions_stay_in_the_organ_differ_and_are_repeatable(organ):
    image, inside = organ
    painted = []
    for seed in range(12):
        ill = image.copy()
        paint_lesions(ill, inside, SPACING, 80, rng(seed))
        assert np.array_equal(ill[~inside], image[~inside])
        painted.append(ill - image)
        again = image.copy()
        paint_lesions(again, inside, SPACING, 80, rng(seed))
        assert np.array_equal(ill, again)
    shares = [float((np.abs(change[inside]) > 10).mean()) for change in painted]
    assert min(shares) < 0.1 < 0.4 < max(shares)  # small and large ones
    assert min(change.min() for change in painted) < -40 and max(change.max() for change in painted) > 10
    assert np.mean([change[inside].sum() < 0 for change in painted]) > 0.5  # most are dark


def test_lesions_have_their_size_in_mm(organ):
    image, inside = organ
    wide = np.repeat(image, 2, axis=0), np.repeat(inside, 2, axis=0)
    for seed in range(6):
        cubes, slices = image.copy(), wide[0].copy()
        paint_lesions(cubes, inside, SPACING, 80, rng(seed))
        paint_lesions(slices, wide[1], (2.5, 2.5, 1.25), 80, rng(seed))
        sizes = [np.count_nonzero(np.abs(a - b) > 10) for a, b in ((cubes, image), (slices, wide[0]))]
        assert 0.2 < (sizes[1] + 50) / (2 * sizes[0] + 50) < 5


def test_nothing_is_painted_where_there_is_no_organ(organ):
    image, inside = organ
    before = image.copy()
    paint_lesions(image, np.zeros_like(inside), SPACING, 80, rng())
    assert np.array_equal(image, before)


def test_fluid_takes_the_outside_of_the_organ(organ):
    image, inside = organ
    shares = []
    for seed in range(8):
        ill = image.copy()
        left = surround_with_fluid(ill, inside, SPACING, 10.0, rng(seed))
        lost = inside & ~left
        shares.append(lost.sum() / inside.sum())
        assert not (left & ~inside).any() and lost.any()
        deep = ndimage.binary_erosion(lost, iterations=2)
        assert not deep.any() or (abs(np.mean(ill[deep]) - 10) < 4 and np.std(ill[deep]) < 12)
        assert np.allclose(ill[ndimage.binary_erosion(left, iterations=6)], 100)
    assert max(shares) > 1.5 * min(shares)


def test_fluid_floods_the_fat_around_but_not_behind_a_wall(organ):
    image, inside = organ
    image[:, :, :6], image[:, :, 6:8] = -100.0, 55.0  # fat under the skin, muscle
    flooded = []
    for seed in range(12):
        ill = image.copy()
        surround_with_fluid(ill, inside, SPACING, 10.0, rng(seed))
        assert np.allclose(ill[:, :, :5], -100)
        flooded.append(int(np.count_nonzero((ill > 0) & (image < 0))))
    assert min(flooded) < 6000 and max(flooded) > 15000


def test_fluid_without_an_organ_is_none_of_it(organ):
    image, inside = organ
    image[inside] = -100.0
    values, label = patch(image, np.zeros_like(inside))
    Augmentation(fluid=1.0).paint_disease(values, label, STATISTICS, rng(3), SPACING)
    shown = float((values > -10).float().mean())
    assert 0.1 < shown < 0.9 and not label.any()


def test_no_organ_gets_as_dark_as_the_fluid_around_it(organ):
    image, inside = organ
    ill = Augmentation(fluid=1.0, organ_shift=0.4)
    kept = []
    for seed in range(20):
        values, label = patch(image, inside)
        ill.paint_disease(values, label, STATISTICS, rng(seed), SPACING)
        left = label[0, 0].numpy() == 1
        within = [ndimage.binary_erosion(part, iterations=3) for part in (left, inside & ~left)]
        if all(part.any() for part in within):
            organ_hu, fluid_hu = (float(np.median(values[0, 0].numpy()[part])) for part in within)
            kept.append(organ_hu)
            assert fluid_hu < organ_hu - 15
    assert len(kept) > 4 and 28 < min(kept) < 60


def test_a_patch_falls_ill_only_if_it_is_asked_for(organ):
    image, label = patch(*organ)
    before, source = image.clone(), rng()
    Augmentation().paint_disease(image, label, STATISTICS, source, SPACING)
    assert torch.equal(image, before) and source.bit_generator.state == rng().bit_generator.state


def test_lesions_leave_the_label_and_fluid_takes_some(organ):
    for settings, changes in (({"organ_shift": 0.2, "lesions": 1.0}, False), ({"fluid": 1.0}, True)):
        image, label = patch(*organ)
        before = image.clone(), label.clone()
        Augmentation(**settings).paint_disease(image, label, STATISTICS, rng(1), SPACING)
        assert not torch.equal(image, before[0]) and torch.equal(label, before[1]) != changes


def test_an_organ_that_is_known_in_part_is_not_shifted_but_shrinks_with_what_may_be_organ(organ):
    image, inside = organ
    target = inside.astype(np.uint8)
    border = ndimage.binary_dilation(inside) & ~inside
    target[border] = UNKNOWN
    image[border], image[0] = 90.0, -1000.0
    target[0] = UNKNOWN  # beyond the scan
    for seed in range(6):
        values, label = patch(image, target)
        Augmentation(organ_shift=0.2).paint_disease(values, label, STATISTICS, rng(seed), SPACING)
        assert np.array_equal(values[0, 0], image) and np.array_equal(label[0, 0], target)
        Augmentation(fluid=1.0).paint_disease(values, label, STATISTICS, rng(seed), SPACING)
        ill, left = values[0, 0].numpy(), label[0, 0].numpy()
        assert (left[0] == UNKNOWN).all() and (ill[0] < 0).all()
        drowned = (target != 0) & (left == 0)
        assert drowned[border].any() and np.array_equal(left[~drowned], target[~drowned])
        assert np.median(ill[drowned]) < 40


def test_bowel_full_of_contrast_medium_touches_the_organ_and_takes_nothing_of_it(organ):
    image, inside = organ
    bright, touching = [], 0
    for seed in range(20):
        painted, again = image.copy(), image.copy()
        paint_bowel(painted, inside, inside, SPACING, rng(seed))
        paint_bowel(again, inside, inside, SPACING, rng(seed))
        assert np.array_equal(painted[inside], image[inside]) and np.array_equal(painted, again)
        bowel = (painted != image) & (painted > 50)
        bright += [float(np.percentile(painted[bowel], 80))] if bowel.any() else []
        touching += bool((bowel & ndimage.binary_dilation(inside, iterations=2)).any())
    assert min(bright) < 150 and max(bright) > 350  # as bright as an organ, and much brighter
    assert touching >= 10


def test_an_organ_ends_higher_up_with_fat_below(organ):
    image, inside = organ
    lost = []
    for seed in range(20):
        painted = image.copy()
        left = end_organ(painted, inside, SPACING, rng(seed))
        gone = inside & ~left
        assert not (left & ~inside).any() and np.array_equal(painted[left], image[left])
        lost.append(gone.sum() / inside.sum())
        if gone.any():
            assert np.median(painted[gone]) < -60
            assert np.argwhere(gone)[:, 0].mean() < np.argwhere(inside)[:, 0].mean(), "from below"
    assert min(lost) < 0.3 and max(lost) > 0.7


def test_bowel_is_no_label_and_spares_bone_and_lung(organ):
    image, inside = organ
    image[:, :4], image[:, -4:] = 600, -850
    values, label = patch(image, inside)
    for seed in range(5):
        Augmentation(bowel=1.0).paint_disease(values, label, STATISTICS, rng(seed), SPACING)
    after = values[0, 0].numpy()
    assert np.array_equal(after[:, :4], image[:, :4]) and np.array_equal(after[:, -4:], image[:, -4:])
    left = label[0, 0].numpy() == 1
    assert (after > image + 50).any() and not (left & ~inside).any() and left.sum() < inside.sum()
    assert np.array_equal(after[left], image[left])


def test_nothing_is_painted_where_nobody_says_where_the_organ_is(organ):
    image, inside = organ
    values, label = patch(image, np.full(inside.shape, UNKNOWN, np.uint8))
    Augmentation(organ_shift=0.2, lesions=1.0, fluid=1.0).paint_disease(values, label, STATISTICS, rng(1), SPACING)
    assert np.array_equal(values[0, 0], image) and (label == UNKNOWN).all()


def test_grains_keep_the_strength_of_noise_and_join_neighbours():
    white = torch.randn(1, 1, 40, 40, 40, generator=torch.Generator().manual_seed(0))
    coarse = grains(white, 1.0)
    assert abs(float(coarse[..., 5:-5, 5:-5, 5:-5].std()) - 1) < 0.05
    joined = [float((n[..., 1:] * n[..., :-1]).mean() / n.var()) for n in (white, coarse)]
    assert abs(joined[0]) < 0.02 and 0.7 < joined[1] < 0.85  # exp(-1/4)
    assert grains(white, 0.1) is white


@pytest.mark.parametrize(
    "setting", [{"lesions": 2}, {"fluid": -0.1}, {"bowel": 1.5}, {"organ_shift": -1}, {"grain": "1"}]
)
def test_settings_that_make_no_sense(setting):
    with pytest.raises(SettingError, match=next(iter(setting))):
        Augmentation(**setting)

"""Loss and patches: what is unknown teaches nothing, batches depend on seed and step alone."""

import numpy as np
import pytest
import torch
from training_boxes import SPACING, write_boxes, write_case, write_data

from Med3DCore.errors import SettingError
from Med3DCore.preprocessing import Preprocessing, Window
from Med3DCore.training.cases.case import UNKNOWN
from Med3DCore.training.cases.description import read_cases
from Med3DCore.training.cases.prepared import prepare_case
from Med3DCore.training.learning.losses import exclusive_label_loss, partial_label_loss, supervised_loss
from Med3DCore.training.patches.augmentation import Augmentation
from Med3DCore.training.patches.cut import cut_patch
from Med3DCore.training.patches.sampling import PatchSampler
from Med3DCore.training.patches.smoothing import blur, thick_slices


@pytest.fixture
def data(tmp_path):
    return write_boxes(tmp_path)


def test_unknown_voxels_teach_nothing():
    logits = torch.randn(2, 2, 4, 4, 4, requires_grad=True)
    target = torch.randint(0, 2, (2, 2, 4, 4, 4), dtype=torch.uint8)
    target[:, 1, :2] = UNKNOWN
    partial_label_loss(logits, target).backward()
    assert torch.all(logits.grad[:, 1, :2] == 0) and torch.all(logits.grad[:, 0] != 0)


def test_the_loss_is_that_of_known_voxels_alone():
    logits = torch.randn(1, 1, 4, 4, 4)
    target = torch.randint(0, 2, (1, 1, 4, 4, 4), dtype=torch.uint8)
    half = target.clone()
    half[..., 2:] = UNKNOWN
    assert torch.isclose(partial_label_loss(logits, half), partial_label_loss(logits[..., :2], target[..., :2]))


def test_deep_supervision_asks_the_same_question_at_each_level():
    target = torch.zeros(1, 1, 8, 8, 8, dtype=torch.uint8)
    target[..., :4] = 1
    target[:, :, 4:] = UNKNOWN
    levels = [torch.where(target[..., ::n, ::n, ::n] == 1, 20.0, -20.0) for n in (1, 2, 4)]
    assert supervised_loss(levels, target) < 1e-3
    wrong = supervised_loss([levels[0], -levels[1], levels[2]], target)
    assert wrong == pytest.approx(float(supervised_loss(-levels[0], target)) * 2 / 7, rel=0.05)


def test_loss_of_perfect_wrong_and_wholly_unknown():
    target = torch.zeros(1, 1, 4, 4, 4, dtype=torch.uint8)
    target[..., :2] = 1
    sure = torch.where(target == 1, 20.0, -20.0)
    assert partial_label_loss(sure, target) < 1e-3 and partial_label_loss(-sure, target) > 15
    unknown = torch.full_like(target, UNKNOWN)
    logits = sure.requires_grad_()
    loss = partial_label_loss(logits, unknown)
    loss.backward()
    assert loss == 0 and not logits.grad.any()


def sampler(cases, seed=0, augmentation=None, foreground=0.6, window=Window(-160, 160)):  # noqa: B008 - frozen
    preprocessing = Preprocessing(SPACING, window)
    prepared = [prepare_case(case, preprocessing, ("liver", "lungs")) for case in cases]
    return PatchSampler(
        prepared, preprocessing.intensity, (16, 16, 16), 4, foreground, augmentation or Augmentation(), seed, 0.15
    )


def test_a_batch_depends_on_seed_and_step_alone(data):
    first, again, other = sampler(read_cases(data)), sampler(read_cases(data)), sampler(read_cases(data), seed=1)
    first.draw(0)
    image, target = first.draw(3)
    assert image.shape == (4, 1, 16, 16, 16) and image.dtype == torch.float32 and image.abs().max() <= 1
    assert target.shape == (4, 2, 16, 16, 16) and target.dtype == torch.uint8
    assert torch.equal(image, again.draw(3)[0]) and torch.equal(target, again.draw(3)[1])
    assert not torch.equal(image, other.draw(3)[0])


def test_image_and_target_move_together(data):
    # Without intensity changes the liver is bright: wherever the target says so, the image must agree.
    still = Augmentation(rotation=25, scale=1.3, stretch=1.2, bend=3, shift=0, contrast=1, noise=0, probability=1e-9)
    image, target = sampler([read_cases(data)[0]], augmentation=still).draw(0)
    liver, lungs = target[:, 0] == 1, target[:, 1] == 1
    assert liver.sum() > 200 and image[:, 0][liver].median() > 0.5
    assert lungs.sum() > 200 and image[:, 0][lungs].median() < -0.3


def test_half_of_the_patches_are_mirrored_along_the_axes_that_allow_it(data):
    # Nothing else varies, so a patch is the plain one or its mirror image, and its labels with it.
    still = {"rotation": 0, "scale": 1, "stretch": 1, "shift": 0, "contrast": 1, "noise": 0, "probability": 0}
    case = read_cases(data)[0]
    flips = []
    for step in range(8):
        plain, mirrored = (sampler([case], augmentation=Augmentation(**still, mirror=mirror)) for mirror in ((), (2,)))
        for first, second in zip(*(one_patch(each, step) for each in (plain, mirrored)), strict=True):
            kept, flipped = torch.allclose(first, second, atol=1e-2), torch.allclose(first.flip(-1), second, atol=1e-2)
            assert kept or flipped
            flips.append(flipped and not kept)
    assert 2 <= sum(flips) <= 14


def one_patch(sampler, step):
    """Image and labels of one patch whose place does not depend on what else is drawn."""
    rng = np.random.default_rng(step)
    case = sampler.cases[0]
    positions = sampler.augmentation.positions(
        np.array([20.5, 15.5, 18.5]), sampler.patch, rng
    )  # no voxel is halfway between two
    image, target = cut_patch(case.image, case.target, positions, case.statistics.floor)
    return image, target.float()


def test_the_elastic_deformation_is_trilinear_between_few_displacements():
    still = {"rotation": 0, "scale": 1, "stretch": 1}
    centre, patch = np.array([20.0, 15.0, 18.0]), (9, 12, 7)
    bent, straight = (
        Augmentation(probability=chance, bend=4.0, **still).positions(centre, patch, np.random.default_rng(3))
        for chance in (1, 0)
    )
    assert straight[0, 0, 0].tolist() == [15.0, 9.5, 16.0]  # x, y, z
    moved = (bent - straight).permute(3, 0, 1, 2)[None]
    assert moved.abs().max() <= 4 and moved.std() > 0.5
    along = moved[0, :, ::2, 0, 0]  # 9 voxels over 5 displacements: each second one is a displacement
    assert torch.allclose(moved[0, :, 1::2, 0, 0], (along[:, 1:] + along[:, :-1]) / 2, atol=1e-5)


def test_gamma_bends_the_models_range_and_leaves_its_ends():
    statistics = Window(-160, 240).measure(None)
    ramp = torch.linspace(-1000, 1000, 101)[None, None, None, None]
    bend = Augmentation(shift=0, contrast=1, noise=0, probability=0, gamma=2.0)
    bent = [bend.vary_intensity(ramp, statistics, np.random.default_rng(seed)) for seed in range(6)]
    outside = (ramp <= -160) | (ramp >= 240)
    for image in bent:
        assert torch.allclose(image[outside], ramp[outside]) and (image.diff() > 0).all()
        assert (image - ramp).abs().max() < 0.26 * 400
    assert max((image - ramp).abs().max() for image in bent) > 20
    assert len({(image - ramp).sum().sign().item() for image in bent}) == 2  # darker and brighter


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("mirror", (3,)),
        ("gamma", 0.5),
        ("scale", 0),
        ("contrast", -1),
        ("rotation", "15"),
        ("probability", 30),
        ("cut", 7),
    ],
)
def test_augmentations_that_make_no_sense_are_named(setting, value):
    with pytest.raises(SettingError, match=setting):
        Augmentation(**{setting: value})


def test_a_scan_that_ends_in_the_patch_shows_air_and_no_organ(data):
    case, window = read_cases(data)[0], Window(-900, 160)  # in which lungs are brighter than air
    whole = sampler([case], augmentation=Augmentation(noise=0), window=window).draw(0)
    image, target = sampler([case], augmentation=Augmentation(noise=0, cut=1.0), window=window).draw(0)
    air = image[:, 0] == -1
    assert 0.1 < air.float().mean() < 0.6 and (whole[0][:, 0] == -1).float().mean() < air.float().mean()
    assert not target.permute(0, 2, 3, 4, 1)[air].any() and target.any()


def test_patients_are_drawn_equally_however_many_scans_they_have(tmp_path, monkeypatch):
    entries = [write_case(tmp_path, f"p{i}", i, patient="many") for i in range(6)]
    entries.append(write_case(tmp_path, "alone", 9, patient="one"))
    names = drawn_names(sampler(read_cases(write_data(tmp_path, entries))), monkeypatch)
    assert 30 <= names.count("alone") <= 70


def test_patches_come_from_patients_who_show_the_label(tmp_path, monkeypatch):
    # With one liver among nine patients without, a liver would otherwise be seen in a tenth of the patches.
    entries = [write_case(tmp_path, f"lungs{i}", i, ("lungs",), unknown=True) for i in range(9)]
    entries.append(write_case(tmp_path, "liver", 9, ("liver",), unknown=True))
    names = drawn_names(sampler(read_cases(write_data(tmp_path, entries))), monkeypatch)
    assert 30 <= names.count("liver") <= 60
    assert len(set(names)) == 10


def test_a_patient_is_drawn_as_the_largest_weight_says_and_each_scan_as_its_own(tmp_path, monkeypatch):
    entries = [write_case(tmp_path, f"liver{i}", i, ("liver",)) for i in range(3)]
    for entry, patient, weight in zip(entries, ("one", "two", "two"), (1.0, 0.5, 4.0), strict=True):
        entry.update(patient=patient, weight=weight)
    names = drawn_names(sampler(read_cases(write_data(tmp_path, entries))), monkeypatch)
    assert 10 <= names.count("liver0") <= 32, "20 of 100"
    assert 2 <= names.count("liver1") <= 18, "a ninth of 80"


def drawn_names(sampler, monkeypatch):
    """Names of the cases of 100 patches."""
    names = []
    original = PatchSampler._centre
    monkeypatch.setattr(
        PatchSampler,
        "_centre",
        lambda self, case, *rest: (names.append(case.case.name), original(self, case, *rest))[1],
    )
    for step in range(25):
        sampler.draw(step)
    return names


def slowly_cut(case, positions, outside):
    """What a patch is, written plainly: eight neighbours each, what lies outside counted as so."""
    z, y, x = (positions[..., axis].double().numpy() for axis in (2, 1, 0))
    image, shape = np.pad(case.image.astype(float), 1, constant_values=outside), np.array(case.image.shape)
    places = [np.clip(along + 1, 0, n + 1) for along, n in zip((z, y, x), shape, strict=True)]
    seen = 0
    for corner in np.ndindex(2, 2, 2):
        low = [np.minimum(np.floor(along), n) for along, n in zip(places, shape, strict=True)]
        parts = [(along - a) if c else (1 - along + a) for along, a, c in zip(places, low, corner, strict=True)]
        seen += np.prod(parts, axis=0) * image[tuple((a + c).astype(int) for a, c in zip(low, corner, strict=True))]
    taught = np.pad(case.target, ((0, 0), (1, 1), (1, 1), (1, 1)))
    return seen, taught[(slice(None), *(np.rint(along).astype(int) for along in places))]


@pytest.mark.parametrize("centre", [(12, 14, 15), (2, 6, 5), (-30, 14, 15)])  # within, at an edge, beyond the scan
def test_a_patch_is_cut_as_if_written_plainly(data, centre):
    case = prepare_case(read_cases(data)[0], Preprocessing(SPACING, Window(-160, 160)), ("liver", "lungs"))
    change, rng = Augmentation(rotation=40, probability=1), np.random.default_rng(2)
    positions = change.positions(np.array(centre, float), (12, 17, 10), rng)
    image, target = cut_patch(case.image, case.target, positions, -160.0)
    seen, taught = slowly_cut(case, positions, -160.0)
    assert np.abs(image[0, 0].numpy() - seen).max() < 0.5 and image.isfinite().all()
    assert (target[0].numpy() != taught).mean() < 1e-3 and (centre[0] < 0 or taught.any())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_loss_and_gradient_are_those_of_the_formula(layout):
    target = torch.randint(0, 2, (2, 3, 5, 6, 7), dtype=torch.uint8)
    target[0, 1], target[:, 2] = UNKNOWN, 0
    logits = (5 * torch.randn(target.shape)).to(memory_format=layout).requires_grad_()
    plain = logits.detach().double().requires_grad_()
    known, truth, sums = (target != UNKNOWN).double(), (target == 1).double(), (0, 2, 3, 4)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(plain, truth, known, reduction="sum") / known.sum()
    inside = plain.sigmoid() * known
    dice = (2 * (inside * truth).sum(sums) + 1) / (inside.sum(sums) + truth.sum(sums) + 1)
    (3 * (entropy + 1 - dice[:2].mean())).backward()  # the third label is nowhere
    loss = partial_label_loss(logits, target)
    (3 * loss).backward()
    assert float(loss.detach()) == pytest.approx(float((entropy + 1 - dice[:2].mean()).detach()), rel=1e-6)
    assert torch.allclose(logits.grad.double(), plain.grad, rtol=1e-5, atol=1e-8) and logits.grad.abs().max() > 1e-4


def test_blur_and_thick_slices_are_those_of_torch():
    image = torch.randn(1, 1, 13, 12, 11)
    kernel = torch.exp(-0.5 * (torch.arange(-3, 4) / 0.9) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, -1, 1, 1)
    padded = torch.nn.functional.pad(image, (0, 0, 0, 0, 3, 3), mode="replicate")
    blurred = torch.einsum("ab,nbyx->nayx", blur(13, 0.9), image[0])
    assert torch.allclose(blurred, torch.nn.functional.conv3d(padded, kernel)[0], atol=1e-5)
    coarse = torch.nn.functional.interpolate(image, (13, 6, 11), mode="area")
    thick = torch.nn.functional.interpolate(coarse, (13, 12, 11), mode="trilinear")
    assert torch.allclose(torch.einsum("ab,nzbx->nzax", thick_slices(12, 2.0), image[0]), thick[0], atol=1e-5)


def test_labels_that_exclude_each_other_teach_where_it_is_known_which_one_it_is():
    target = torch.zeros(2, 2, 4, 4, 4, dtype=torch.uint8)
    target[:, 0, :2] = 1
    target[:, 1] = UNKNOWN  # below the first label it is surely not the second; above it may be
    logits = torch.randn(2, 3, 4, 4, 4, requires_grad=True)
    exclusive_label_loss(logits, target).backward()
    assert (logits.grad[:, :, :2] != 0).all() and not logits.grad[:, :, 2:].any()
    target[:, 1] = 0
    sure = 40 * torch.cat([(target.amax(1, keepdim=True) == 0), target == 1], dim=1).float()
    assert exclusive_label_loss(sure, target) < 1e-3 and exclusive_label_loss(-sure, target) > 15
    assert exclusive_label_loss(sure, torch.full_like(target, UNKNOWN)) == 0

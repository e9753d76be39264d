"""Preprocessing: the right extent, the same patient however stored, statistics as defined, and back again."""

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk

from Med3DCore.errors import SettingError, VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.preprocessing import MedicalNet, Percentile, Preprocessing, Window, domain_spacing, resample, world_grid
from Med3DCore.preprocessing.hounsfield import looks_like_ct, missing_offset, require_modality
from Med3DCore.preprocessing.preprocessing import blocks_inside
from Med3DCore.preprocessing.resample import axis_weights
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

STORED = list(product(permutations(range(3)), product((False, True), repeat=3)))


def smooth_volume(seed=0, size=(50, 60, 40), spacing=(0.8, 0.9, 2.0)):
    """A volume of a few smooth blobs, different along each axis."""
    rng = np.random.default_rng(seed)
    geometry = Geometry(size, spacing, (-30.0, 12.0, 55.0))
    z, y, x = np.meshgrid(*(np.linspace(0, 1, n) for n in size[::-1]), indexing="ij")
    array = sum(
        rng.uniform(200, 800) * np.exp(-40 * ((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2))
        for a, b, c in rng.uniform(0.2, 0.8, (4, 3))
    )
    return Volume((array - 200).astype(np.int16), geometry)


def ramp(geometry):
    """float32 values that rise linearly along every patient axis, -900 to 900 around LPS (0, 50, 100)."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in geometry.size), indexing="ij"), axis=-1)
    points = index @ geometry.index_to_physical[:3, :3].T + geometry.origin
    return (points @ (3.0, -2.0, 1.5) - 50.0).transpose(2, 1, 0).astype(np.float32)


@pytest.mark.parametrize("rule,expected", [("median", (1.0, 1.0, 5.0)), ("average", (1.5, 1.0, 4.0))])
def test_domain_spacing_follows_the_rule(rule, expected):
    spacings = [(1.0, 1.0, 2.0), (1.0, 1.0, 5.0), (2.5, 1.0, 5.0)]
    assert domain_spacing(spacings, rule) == pytest.approx(expected)


def test_isotropic_spacing_keeps_the_voxel_volume_of_the_median():
    assert domain_spacing([(0.5, 0.5, 4.0)], "isotropic") == pytest.approx((1.0, 1.0, 1.0))


def test_domain_spacing_refuses_no_volumes_and_unknown_rules():
    with pytest.raises(SettingError, match="at least one volume"):
        domain_spacing([])
    with pytest.raises(SettingError, match="Unknown spacing rule 'mode'"):
        domain_spacing([(1, 1, 1)], "mode")


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 2.5, 2.5), (0.7, 3.1, 6.0)])
def test_extent_is_kept_within_half_a_voxel(spacing):
    # Eq. 2 as printed would multiply by the inverse ratio; the extent in mm is what must not change.
    geometry = Geometry((101, 57, 33), (0.8, 1.3, 5.0), (3.0, 4.0, 5.0))
    grid = world_grid(geometry, spacing)
    before, after = np.multiply(geometry.size, geometry.spacing), np.multiply(grid.size, grid.spacing)
    assert np.all(np.abs(before - after) <= np.asarray(spacing) / 2 + 1e-9)
    assert np.mean(grid.bounds(), axis=0) == pytest.approx(np.mean(geometry.bounds(), axis=0))


def test_beyond_the_scan_its_edge_goes_on_and_then_is_air():
    volume = Volume(np.full((10, 20, 20), 40, np.int16), Geometry((20, 20, 10), (2.0, 2.0, 2.0)))
    low, high = volume.geometry.bounds()
    seen = Preprocessing((2.0, 2.0, 2.0), Window(0, 80)).apply(volume, (low - 40, high + 40)).array
    inside = np.zeros(seen.shape, bool)
    inside[10:-10, 10:-10, 10:-10] = True
    assert seen.shape == (50, 60, 60)
    assert np.allclose(seen[inside], 0) and np.allclose(seen[~inside], -1)


def test_weights_of_a_row_sum_to_one_and_average_over_the_target_voxel():
    weights = axis_weights(40, 1.0, 10, 4.0, offset=1.5)
    assert weights.sum(axis=1) == pytest.approx(np.ones(10))
    assert np.count_nonzero(weights[5]) == 8  # a triangle of half-width 4


def brought_back(prepared, native):
    """Values on a scan's own grid."""
    back = np.zeros(native.shape, np.float32)
    for place, target in blocks_inside(native, prepared.geometry):
        back[place] = resample(prepared.array, prepared.geometry, target)
    return back


def test_linear_ramps_survive_resampling():
    array = np.broadcast_to(np.arange(30, dtype=np.float32), (20, 25, 30))
    source = Geometry((30, 25, 20), (2.0, 2.0, 2.0))
    target = Geometry((20, 5, 5), (1.5, 3.0, 3.0), (10.0, 8.0, 8.0))
    expected = (10.0 + 1.5 * np.arange(20)) / 2
    assert np.allclose(resample(array, source, target), expected, atol=1e-4)


@pytest.mark.parametrize("order,flips", STORED)
def test_flips_and_permutations_change_nothing(order, flips):
    volume = smooth_volume()
    preprocessing = Preprocessing((2.0, 2.0, 2.0), Window(-100, 300))
    expected = preprocessing.apply(volume)
    stored = Volume.from_sitk(sitk.Flip(sitk.PermuteAxes(volume.to_sitk(), order), flips))
    result = preprocessing.apply(stored)
    assert result.geometry.is_close(expected.geometry, 1e-6)
    assert np.allclose(result.array, expected.array, atol=1e-5)
    back, forward = brought_back(result, stored.geometry), brought_back(expected, volume.geometry)
    image = sitk.Flip(sitk.PermuteAxes(volume.with_array(forward).to_sitk(), order), flips)
    assert np.allclose(back, sitk.GetArrayFromImage(image), atol=1e-5)


def test_an_oblique_scan_lands_on_the_same_patient_grid():
    # A ramp in patient space looks the same after any symmetric blur, so every deviation is a shift or a turn.
    turn = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.1, 0.0, np.deg2rad(17)).GetMatrix()
    geometry = Geometry((80, 80, 60), (0.8, 0.9, 1.6), (-31.0, 12.0, 55.0), turn)
    oblique = Volume(ramp(geometry), geometry)
    preprocessing = Preprocessing((2.0, 2.5, 3.0), Window(-1000, 1000))
    prepared = preprocessing.apply(oblique)
    assert prepared.geometry.is_axis_aligned()
    inner = tuple(slice(n // 3, -(n // 3)) for n in prepared.array.shape)
    assert np.abs(prepared.array * 1000 - ramp(prepared.geometry))[inner].max() < 0.4
    back = brought_back(prepared, geometry)
    middle = (slice(20, -20), slice(25, -25), slice(25, -25))
    assert np.abs(back * 1000 - oblique.array)[middle].max() < 0.4


def test_blocks_cover_every_native_voxel_inside_the_crop_and_no_other():
    volume = smooth_volume(size=(30, 28, 26), spacing=(1.0, 1.0, 1.0))
    low = np.asarray(volume.geometry.origin) + 5.5
    preprocessing = Preprocessing((2.0, 2.0, 2.0))
    crop = preprocessing.apply(volume, (low, low + 10.0))
    count = np.zeros(volume.array.shape, int)
    for place, _ in blocks_inside(volume.geometry, crop.geometry):
        count[place] += 1
    assert count.max() == 1 and count.sum() == 1000 and count[6:16, 6:16, 6:16].all()


def test_a_single_thick_slice_is_resampled():
    volume = Volume(np.full((1, 8, 8), 40, np.int16), Geometry((8, 8, 1), (1.0, 1.0, 5.0)))
    prepared = Preprocessing((2.0, 2.0, 2.0), Window(0, 80)).apply(volume)
    assert prepared.array.shape == (2, 4, 4) and np.allclose(prepared.array, 0)


def test_percentiles_equal_numpys_and_z_score_is_standard():
    volume = Volume(np.random.default_rng(3).integers(-1000, 2000, (20, 30, 40), np.int16), Geometry((40, 30, 20)))
    statistics = Percentile(0.5, 99.5).measure(volume)
    low, high = np.percentile(volume.array, [0.5, 99.5])
    clipped = np.clip(volume.array.astype(float), low, high)
    assert (statistics.low, statistics.high) == pytest.approx((low, high))
    assert (statistics.mean, statistics.sd) == pytest.approx((clipped.mean(), clipped.std()))
    normalised = statistics.normalise(volume.array.astype(np.float32))
    assert normalised.mean() == pytest.approx(0, abs=1e-4) and normalised.std() == pytest.approx(1, abs=1e-4)


def test_a_constant_volume_cannot_be_normalised_by_percentiles():
    volume = Volume(np.full((4, 4, 4), 7, np.int16), Geometry((4, 4, 4)), "flat.nii.gz")
    with pytest.raises(VolumeError, match=r"flat.nii.gz has the same value everywhere"):
        Percentile().measure(volume)


def test_a_crop_is_normalised_like_the_whole():
    volume = smooth_volume()
    preprocessing = Preprocessing((2.0, 2.0, 2.0), Percentile())
    whole = preprocessing.apply(volume)
    low, high = whole.geometry.bounds_of_box((4, 6, 8), (14, 20, 30))
    crop = preprocessing.apply(volume, (low, high))
    assert np.allclose(crop.array, whole.array[8:30, 6:20, 4:14], atol=1e-4)


def test_medicalnet_statistics_ignore_what_is_not_positive_and_noise_has_a_seed():
    array = np.zeros((6, 6, 6), np.float32)
    array[2:4] = np.random.default_rng(0).uniform(1, 5, (2, 6, 6))
    volume = Volume(array, Geometry((6, 6, 6)))
    method = MedicalNet()
    statistics = method.measure(volume)
    assert statistics.mean == pytest.approx(array[2:4].mean()) and statistics.sd == pytest.approx(array[2:4].std())
    plain = method.apply(array.copy(), statistics)
    assert np.all(plain[array == 0] == 0) and plain[2:4].std() == pytest.approx(1, abs=1e-3)
    noisy = [MedicalNet(noise=True, seed=s).apply(array.copy(), statistics) for s in (1, 1, 2)]
    assert np.array_equal(noisy[0], noisy[1]) and not np.array_equal(noisy[0], noisy[2])
    assert noisy[0][array == 0].std() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("intensity", [Window(-160, 240), Percentile(1, 99), MedicalNet(noise=True, seed=4)])
def test_description_round_trip(intensity):
    preprocessing = Preprocessing((1.0, 2.0, 3.0), intensity)
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing


@pytest.mark.parametrize(
    "spec,sentence",
    [
        ({"spacing": [0, 1, 1], "intensity": {"name": "window"}}, "three positive numbers"),
        ({"spacing": [1, 1, 1], "intensity": {"name": "magic"}}, "Unknown intensity method 'magic'"),
        ({"spacing": [1, 1, 1], "intensity": {"name": "window", "lo": 3}}, "does not take these arguments"),
        ({"spacing": [1, 1, 1], "intensity": {"name": "window", "low": 9, "high": 3}}, "must lie below"),
        ({"intensity": {"name": "window"}}, "not a description"),
    ],
)
def test_bad_descriptions_are_refused(spec, sentence):
    with pytest.raises(SettingError, match=sentence):
        Preprocessing.from_dict(spec)


# -- Hounsfield units ------------------------------------------------------------------------------------------------


def body(shape=(20, 40, 40)):
    """Air, fat, soft tissue and some bone with noise; float64 HU."""
    hu = np.full(shape, -1000.0)
    for border, level in ((4, -100), (6, 40), (15, 900)):
        hu[:, border:-border, border:-border] = level
    return hu + np.random.default_rng(0).normal(0, 15, shape)


@pytest.mark.parametrize(
    ("name", "array", "expected"),
    [
        ("as it is", body(), True),
        ("cropped to soft tissue", body()[:, 5:12, 5:30], True),
        ("clipped to a window", np.clip(body(), -200, 250), True),
        ("with padding", np.where(body() < -900, -3024, body()), True),
        ("offset of 1024", body() + 1024, False),
        ("offset of 1024 and padding", np.where(body() < -950, -2000, body() + 1024), False),
        ("picture", np.clip(body() + 160, 0, 255).astype(np.uint8), False),
        ("thousandths", body() / 1000, False),
        ("MR", np.abs(body() + 1000) / 3, False),
        ("z-score", (body() - body().mean()) / body().std(), False),
        ("labels", (body() > 0).astype(np.uint8), False),
    ],
)
def test_hounsfield_units_are_known_by_their_values(name, array, expected):
    assert looks_like_ct(array) == expected, name


@pytest.mark.parametrize(
    ("name", "array", "offset"),
    [
        ("0..4095", np.clip(body() + 1024, 0, 4095).astype(np.uint16), -1024),
        ("with padding", np.where(body() < -950, -2000, np.clip(body() + 1024, 0, 4095)).astype(np.int16), -1024),
        ("right already", body(), None),
        ("picture", np.clip(body() + 160, 0, 255).astype(np.uint8), None),
        ("MR", np.abs(body() + 1000) / 3, None),
        ("labels", (body() > 0).astype(np.uint8), None),
        ("one value", np.zeros((4, 4, 4), np.uint8), None),
    ],
)
def test_a_missing_offset_is_recognised(name, array, offset):
    assert missing_offset(array) == offset, name


@pytest.mark.parametrize(
    ("name", "array", "modality", "sentence", "offset"),
    [
        ("MR whose values pass", body(), "MR", "scan is MR, and m-1 was made for CT", None),
        ("MR", np.abs(body() + 1000) / 3, "MR", "scan is MR", None),
        ("picture", np.clip(body() + 160, 0, 255), None, "do not look like a CT", None),
        ("0..4095 said to be CT", np.clip(body() + 1024, 0, 4095), "CT", "without its offset of -1024", -1024),
    ],
)
def test_a_scan_of_another_kind_is_refused_unless_the_user_wants_it(name, array, modality, sentence, offset):
    scan, progress = Volume(array, Geometry(array.shape[::-1]), "scan", modality=modality), Progress()
    with pytest.raises(VolumeError, match=sentence) as caught:
        require_modality(scan, "CT", "m-1", progress)
    assert caught.value.code == "not-ct" and caught.value.facts == {"offset": offset}, name
    assert not progress.warnings
    require_modality(scan, "CT", "m-1", progress, not_ct=True)
    assert sentence in progress.warnings[0] and progress.warnings[0].endswith("do not trust the result.")


@pytest.mark.parametrize(
    ("modality", "model"), [("CT", "CT"), (None, "CT"), ("OT", "CT"), ("MR", "CT/MR"), ("MR", "MR")]
)
def test_a_scan_of_the_models_kind_is_taken(modality, model):
    progress = Progress()
    require_modality(Volume(body(), Geometry((40, 40, 20)), "scan", modality=modality), model, "m-1", progress)
    assert not progress.warnings


@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_a_scans_edge_goes_on_for_so_many_mm_and_no_further(angle):
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    direction = (c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0)
    source = Geometry((20, 20, 10), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), direction)
    array = np.zeros(source.shape, np.float32)
    array[-1] = 7.0
    middle = source.index_to_physical @ (9.5, 9.5, 0.0, 1.0)
    target = Geometry((1, 1, 30), (2.0, 2.0, 2.0), tuple(middle[:3] - (0.0, 0.0, 10.0)))
    column = resample(array, source, target, fill=-1.0, beyond_mm=6.0)[:, 0, 0]
    expected = [-1.0] * 2 + [0.0] * (3 + 9) + [7.0] * (1 + 3) + [-1.0] * 12
    np.testing.assert_allclose(column, expected, atol=1e-4)
    assert resample(array, source, target, fill=-1.0)[15, 0, 0] == -1.0

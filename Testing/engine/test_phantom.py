"""Phantoms: anatomy in human ranges, labels that are exact on every grid, values of a CT."""

from __future__ import annotations

import argparse
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest

from Med3DCore.cli import phantom as command
from Med3DCore.cli.main import main
from Med3DCore.errors import Cancelled, OutputError, SettingError
from Med3DCore.io import read_label_map, read_volume
from Med3DCore.phantom import CONTRASTS, Contrast, PhantomSettings, make_phantom, merge_lungs, write_phantom
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap

COARSE = {"spacing": (5.0, 5.0, 5.0), "table": False, "noise_hu": 0.0}
CHEST_BOX = {"region": (60.0, 120.0), "in_plane": (-192.0, 192.0, -160.0, 160.0), "table": False, "noise_hu": 0.0}
ML = {  # Adults' ranges, a little widened for the bodies of all sizes that seeds give.
    "liver": (1000, 2200),
    "spleen": (80, 380),
    "left_kidney": (90, 260),
    "right_kidney": (90, 260),
    "heart": (420, 1000),
    "spine": (400, 900),
    "ribs": (300, 750),
}


@pytest.fixture(scope="module")
def patients():
    """Ten torsos without noise."""
    return [make_phantom(seed, PhantomSettings(**COARSE)) for seed in range(10)]


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def centre(labels: LabelMap, name: str) -> np.ndarray:
    """Centre of mass (x, y, z) in LPS mm."""
    index = np.argwhere(labels.mask(name)).mean(axis=0)[::-1]
    return (labels.geometry.index_to_physical @ [*index, 1.0])[:3]


def test_same_seed_same_scan_other_seed_other_patient(patients):
    again = make_phantom(3, PhantomSettings(**COARSE))
    assert np.array_equal(again.ct.array, patients[3].ct.array)
    assert np.array_equal(again.labels.array, patients[3].labels.array)
    noisy = [make_phantom(3, PhantomSettings(spacing=(6, 6, 6), region=(60, 100))).ct.array for _ in range(2)]
    assert np.array_equal(*noisy)
    volumes = np.array([[p.labels.volume_ml(name) for name in ML] for p in patients])
    for a, b in combinations(volumes, 2):
        assert np.abs(a / b - 1).max() > 0.03


def test_organs_have_human_volumes(patients):
    for patient in patients:
        for name, (low, high) in ML.items():
            assert low < patient.labels.volume_ml(name) < high, name
        assert 2600 < merge_lungs(patient.labels).volume_ml("lungs") < 6200
    livers = [p.labels.volume_ml("liver") for p in patients]
    lungs = [merge_lungs(p.labels).volume_ml("lungs") for p in patients]
    assert 1200 < np.mean(livers) < 1800
    assert 4000 < np.mean(lungs) < 5000
    assert np.std(livers) > 80
    assert np.std(lungs) > 200


def test_organs_lie_where_they_should(patients):
    for patient in patients:
        at = {label.name: centre(patient.labels, label.name) for label in patient.labels.labels}
        for name in ("liver", "right_lung", "right_kidney"):
            assert at[name][0] < -10, name
        for name in ("spleen", "left_lung", "left_kidney", "heart"):
            assert at[name][0] > 10, name
        assert at["left_lung"][2] > at["heart"][2] - 60 > at["liver"][2] - 60 > at["left_kidney"][2] - 60
        assert at["heart"][1] < at["spine"][1] - 30
        assert abs(at["spine"][0]) < 15


def test_every_organ_is_one_piece(patients):
    from scipy import ndimage

    for patient in patients[:4]:
        for name in ("liver", "left_lung", "right_lung", "spleen", "left_kidney", "heart"):
            pieces, _ = ndimage.label(patient.labels.mask(name), np.ones((3, 3, 3)))
            sizes = np.bincount(pieces.ravel())[1:]
            assert sizes.max() > 0.985 * sizes.sum(), name


def test_tissues_have_the_values_of_a_ct(patients):
    for patient in patients[:5]:
        values, labels = patient.ct.array, patient.labels
        medians = {label.name: np.median(values[labels.mask(label.name)]) for label in labels.labels}
        assert 60 < medians["liver"] < 150
        assert 70 < medians["spleen"] < 160
        assert -940 < medians["left_lung"] < -720
        assert 120 < medians["left_kidney"] < 240
        assert 90 < medians["heart"] < 220
        assert np.percentile(values[labels.mask("ribs")], 90) > 250
        unlabelled = values[(labels.array == 0) & (values > -140) & (values < -60)]
        assert abs(np.median(unlabelled) + 103) < 16
        assert values[0, 0, 0] == -1000


def test_air_of_trachea_and_main_bronchi_is_not_lung():
    from scipy import ndimage

    scan = make_phantom(2, PhantomSettings(spacing=(2, 2, 2), region=(200, 250), table=False, noise_hu=0))
    x, y = (np.arange(scan.ct.geometry.size[i]) * 2 + scan.ct.geometry.origin[i] for i in (0, 1))
    pieces, _ = ndimage.label((scan.ct.array < -940) & (np.abs(x) < 40))
    top = pieces[-1][np.abs(y) < 40][:, np.abs(x) < 15]
    airway = pieces == np.bincount(top[top > 0]).argmax()
    lungs = merge_lungs(scan.labels).mask("lungs")
    assert 10 < airway.sum() * scan.ct.geometry.voxel_volume_ml < 60
    assert np.ptp(x[airway[4].any(axis=0)]) > 24
    assert not np.any(airway & lungs)
    assert lungs[-1].sum() * 4 > 8000


def test_label_of_a_voxel_is_that_of_its_centre_on_every_grid():
    """Centres of 6 mm slices coincide with every third of 2 mm, whatever blocks and boxes the renderer makes."""
    fine = make_phantom(1, PhantomSettings(spacing=(2, 2, 2), **CHEST_BOX))
    thick = make_phantom(1, PhantomSettings(spacing=(2, 2, 6), **CHEST_BOX))
    shifted = make_phantom(1, PhantomSettings(spacing=(2, 2, 2), **CHEST_BOX | {"in_plane": (-92, 100, -60, 132)}))
    assert (fine.labels.array[1::3] == thick.labels.array).mean() > 0.99999
    assert (fine.labels.array[:, 50:146, 50:146] == shifted.labels.array).mean() > 0.99999
    assert len(np.unique(fine.labels.array)) > 6
    nz, ny, nx = thick.ct.array.shape
    means = fine.ct.array.reshape(nz, 3, ny, nx).mean(axis=1)
    assert np.abs(means - thick.ct.array).max() < 2


def test_flipped_and_permuted_grids_hold_the_same_voxels():
    import SimpleITK as sitk

    settings = {"spacing": (5.0, 4.0, 6.0), "region": (0.0, 120.0), "noise_hu": 10.0}
    straight = make_phantom(4, PhantomSettings(**settings))
    for orientation in ("RAI", "SLA", "ASR"):
        other = make_phantom(4, PhantomSettings(orientation=orientation, **settings))
        image = sitk.DICOMOrient(other.ct.to_sitk(), "LPS")
        assert np.array_equal(sitk.GetArrayFromImage(image), straight.ct.array)
        assert np.allclose(image.GetOrigin(), straight.ct.geometry.origin, atol=1e-9)
        assert np.allclose(image.GetSpacing(), straight.ct.spacing)
        labels = sitk.GetArrayFromImage(sitk.DICOMOrient(other.labels.to_sitk(), "LPS"))
        assert np.array_equal(labels, straight.labels.array)


def test_oblique_anisotropic_grid_samples_the_same_patient():
    import SimpleITK as sitk

    box = {"region": (50.0, 150.0), "in_plane": (-150.0, 150.0, -110.0, 110.0), "table": False, "noise_hu": 0.0}
    straight = make_phantom(5, PhantomSettings(spacing=(3, 3, 3), **box))
    oblique = make_phantom(5, PhantomSettings(spacing=(2.5, 2.5, 5), oblique=(12, -8, 20), orientation="RSA", **box))
    assert not oblique.ct.geometry.is_axis_aligned()
    leftward = make_phantom(5, PhantomSettings(spacing=(9, 9, 9), oblique=(0, 0, 20))).ct.geometry.direction_matrix[
        :, 0
    ]
    assert np.allclose(leftward, [np.cos(np.deg2rad(20)), np.sin(np.deg2rad(20)), 0])
    resampled = sitk.Resample(
        oblique.labels.to_sitk(), straight.labels.to_sitk(), sitk.Transform(), sitk.sitkNearestNeighbor, 255
    )
    resampled = sitk.GetArrayFromImage(resampled)
    for name in ("liver", "left_lung", "heart", "spleen"):
        value = straight.labels.value(name)
        inside = resampled != 255
        assert dice((straight.labels.array == value) & inside, resampled == value) > 0.93, name


def test_regions_show_their_organs():
    chest = make_phantom(6, PhantomSettings(**COARSE | {"region": "chest"}))
    pelvis = make_phantom(6, PhantomSettings(**COARSE | {"region": "pelvis"}))
    assert chest.labels.volume_ml("left_lung") > 900
    assert pelvis.labels.volume_ml("left_lung") == pelvis.labels.volume_ml("liver") == 0
    assert pelvis.labels.volume_ml("spine") > 100
    low, high = make_phantom(6, PhantomSettings(**COARSE | {"region": (50, 90)})).ct.geometry.bounds()
    assert (low[2], high[2]) == (50, 90)
    wide = make_phantom(6, PhantomSettings(**COARSE | {"region": (50, 90), "size": "large"})).ct.geometry
    assert wide.bounds()[1][0] > high[0] + 10


def test_pathology_changes_its_organ_alone():
    scan = {"spacing": (5.0, 5.0, 5.0), "region": (0.0, 200.0), "table": False, "noise_hu": 0.0}
    healthy = make_phantom(7, PhantomSettings(**scan))
    lesions = make_phantom(7, PhantomSettings(pathology=("liver_lesions",), **scan))
    changed = lesions.ct.array != healthy.ct.array
    assert np.array_equal(lesions.labels.array, healthy.labels.array)
    assert changed.any()
    assert healthy.labels.mask("liver")[changed].all()
    assert lesions.ct.array[changed].mean() < healthy.ct.array[changed].mean() - 15

    nodules = make_phantom(7, PhantomSettings(pathology=("lung_nodules",), **scan))
    changed = np.abs(nodules.ct.array - healthy.ct.array.astype(int)) > 300
    assert changed.any()
    assert merge_lungs(healthy.labels).mask("lungs")[changed].all()

    effusion = make_phantom(7, PhantomSettings(pathology=("effusion",), **scan))
    lost = merge_lungs(healthy.labels).mask("lungs") & ~merge_lungs(effusion.labels).mask("lungs")
    assert lost.sum() * healthy.labels.geometry.voxel_volume_ml > 50
    assert -60 < np.median(effusion.ct.array[lost]) < 60
    assert np.array_equal(effusion.labels.array[~lost], healthy.labels.array[~lost])


def test_contrast_is_a_table():
    slice_ = {"spacing": (4.0, 4.0, 4.0), "region": (60.0, 80.0), "table": False, "noise_hu": 0.0}
    livers = {}
    for name in CONTRASTS:
        scan = make_phantom(8, PhantomSettings(contrast=name, **slice_))
        livers[name] = np.median(scan.ct.array[scan.labels.mask("liver")])
    assert livers["native"] < livers["arterial"] + 20 < livers["portal"] + 20
    assert livers["mr_t1"] > 1.5 * livers["mr_t2"] > 100
    own = dict(CONTRASTS["native"].tissues)
    del own["liver"]
    with pytest.raises(SettingError, match="liver"):
        PhantomSettings(contrast=Contrast(own))


def test_noise_has_the_asked_deviation_and_the_table_shows():
    scan = {"spacing": (2.0, 2.0, 2.0), "region": (60.0, 64.0)}
    plain = make_phantom(0, PhantomSettings(noise_hu=0, **scan))
    noisy = make_phantom(0, PhantomSettings(noise_hu=20, **scan))
    noise = noisy.ct.array.astype(float) - plain.ct.array
    assert 17 < noise[plain.labels.mask("liver")].std() < 24
    assert noise[plain.labels.mask("liver")].std() > 1.4 * noise[plain.ct.array == -1000].std()
    soft = plain.labels.mask("liver")[0] & plain.labels.mask("liver")[1]
    assert 0.15 < np.corrcoef(noise[0][soft], noise[1][soft])[0, 1] < 0.45
    bare = make_phantom(0, PhantomSettings(noise_hu=0, table=False, **scan))
    assert plain.ct.geometry.size[1] > bare.ct.geometry.size[1]
    assert plain.ct.array[:, bare.ct.geometry.size[1] :].max() > -900
    streaks = make_phantom(0, PhantomSettings(noise_hu=20, streaks=True, arms="down", **scan)).ct.array
    calm = make_phantom(0, PhantomSettings(noise_hu=20, arms="down", **scan)).ct.array
    assert np.abs(streaks - calm).max() > 20
    round_field = make_phantom(0, PhantomSettings(circle=True, **scan)).ct.array
    assert round_field[0, 0, 0] == -1024
    assert round_field[0, round_field.shape[1] // 2, round_field.shape[2] // 2] > -900


def test_lungs_can_be_one_label():
    scan = {"spacing": (5.0, 5.0, 5.0), "region": (100.0, 140.0), "table": False}
    both = make_phantom(9, PhantomSettings(**scan)).labels
    one = make_phantom(9, PhantomSettings(labels=("liver", "lungs"), **scan)).labels
    merged = merge_lungs(both)
    assert [label.name for label in one.labels] == ["liver", "lungs"]
    assert [label.name for label in merged.labels][:3] == ["liver", "lungs", "spleen"]
    assert np.array_equal(one.mask("lungs"), both.mask("left_lung") | both.mask("right_lung"))
    for name in ("lungs", "liver", "ribs"):
        assert merged.volume_ml(name) > 0 or name == "liver"
    assert np.array_equal(merged.mask("lungs"), one.mask("lungs"))
    assert np.array_equal(merged.mask("ribs"), both.mask("ribs"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"region": "head"},
        {"region": (10, 10)},
        {"in_plane": (10, -10, 0, 50)},
        {"spacing": (0, 1, 1)},
        {"contrast": "delayed"},
        {"labels": ("liver", "brain")},
        {"labels": ("lungs", "left_lung")},
        {"pathology": ("fracture",)},
        {"orientation": "LPP"},
        {"oblique": (0, float("nan"), 0)},
        {"noise_hu": -1},
        {"arms": "crossed"},
    ],
)
def test_wrong_settings_are_told_in_a_sentence(wrong):
    with pytest.raises(SettingError) as error:
        PhantomSettings(**wrong)
    assert str(error.value).endswith(".")


def test_too_large_a_grid_and_a_negative_seed_are_refused():
    with pytest.raises(SettingError, match="voxels"):
        make_phantom(0, PhantomSettings(spacing=(0.2, 0.2, 0.2)))
    with pytest.raises(SettingError, match="seed"):
        make_phantom(-1)


def test_can_be_cancelled():
    with pytest.raises(Cancelled):
        make_phantom(0, PhantomSettings(spacing=(5, 5, 5)), Progress(is_cancelled=lambda: True))


def test_command_writes_scan_and_labels(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    options = {"--seed": "3", "--spacing": "4,4,6", "--region": "abdomen", "--phase": "native", "--size": "large"}
    words = [word for option in options.items() for word in option]
    args = parser.parse_args(["phantom", str(tmp_path / "new"), "--noise", "5", "--quiet", *words])
    assert args.run(args) == 0
    printed = capsys.readouterr().out.split()
    ct, labels = read_volume(printed[0]), read_label_map(printed[1])
    assert ct.array.dtype == np.int16
    assert ct.geometry.is_close(labels.geometry)
    settings = PhantomSettings(spacing=(4, 4, 6), region="abdomen", contrast="native", noise_hu=5, size="large")
    expected = make_phantom(3, settings)
    assert np.array_equal(ct.array, expected.ct.array)
    assert np.array_equal(labels.array, expected.labels.array)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_phantom(tmp_path / "file", settings=PhantomSettings(spacing=(8, 8, 8)))


def test_a_scan_of_the_same_name_is_not_replaced_unasked(tmp_path):
    (tmp_path / "ct.nii.gz").write_bytes(b"precious")
    assert main(["phantom", str(tmp_path), "--spacing", "8", "--quiet"]) == 2
    assert (tmp_path / "ct.nii.gz").read_bytes() == b"precious" and not (tmp_path / "labels.nii.gz").exists()
    assert main(["phantom", str(tmp_path), "--spacing", "8", "--quiet", "--replace"]) == 0
    assert read_volume(tmp_path / "ct.nii.gz").array.any()


def test_scan_and_labels_are_replaced_together(tmp_path, monkeypatch):
    settings = PhantomSettings(spacing=(10, 10, 10))
    files = write_phantom(tmp_path, 1, settings)
    before = [file.read_bytes() for file in files]

    def full(*_):
        raise OutputError("The disk is full.")

    monkeypatch.setattr("Med3DCore.io.write_label_map", full)
    with pytest.raises(OutputError):
        write_phantom(tmp_path, 2, settings)
    assert [file.read_bytes() for file in files] == before and len(list(tmp_path.iterdir())) == 2


def test_import_is_light():
    code = "import Med3DCore.cli.phantom, sys; print([m for m in ('torch', 'scipy', 'SimpleITK') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

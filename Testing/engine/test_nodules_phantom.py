"""Phantoms' nodules: exactly where and what the table says, on any grid."""

import csv

import numpy as np
import pytest
from scipy import ndimage

from Med3DCore.cli.main import main
from Med3DCore.errors import SettingError
from Med3DCore.io import read_volume
from Med3DCore.phantom import PhantomSettings, make_phantom
from Med3DCore.phantom import nodule_data_set as data_set
from Med3DCore.phantom.nodules import PhantomNodule, draw_diameter
from Med3DCore.phantom.shapes import Points
from Med3DCore.preprocessing.cube import cut_block
from Med3DCore.preprocessing.intensity import Statistics
from Med3DCore.training.cases.description import read_cases
from Med3DCore.training.cases.label import read_label
from Med3DCore.training.classification.nodules import read_nodules

CENTRE = (70.0, 20.0, 160.0)  # in the left lung of patient 0
BOX = {"region": (135.0, 185.0), "in_plane": (45.0, 95.0, -5.0, 45.0), "table": False, "noise_hu": 0.0}
EVERYTHING = Statistics(-1100, 3000, 0, 1)


def scan(*nodules, **settings):
    return make_phantom(0, PhantomSettings(**{"spacing": (1.0, 1.0, 1.0), **BOX, **settings}, nodules=nodules)).ct


@pytest.mark.parametrize("grid", [{}, {"orientation": "SAR"}, {"oblique": (15.0, -10.0, 20.0)}])
def test_a_nodule_lies_where_it_was_put(grid):
    nodule = PhantomNodule(CENTRE, 14.0, malignant=False, seed=4)
    with_it = scan(nodule, **grid)
    change, geometry = with_it.array.astype(float) - scan(**grid).array, with_it.geometry
    index = np.average(np.argwhere(change > 300)[:, ::-1], axis=0)
    found = (geometry.index_to_physical @ [*index, 1.0])[:3]
    assert np.linalg.norm(found - CENTRE) < 1.0
    assert (change > 300).sum() == pytest.approx(np.pi / 6 * 14**3, rel=0.35)


def test_nothing_else_of_the_patient_changes():
    without, among = scan().array, scan(PhantomNodule(CENTRE, 8.0, malignant=True, seed=1)).array
    changed = np.argwhere(without != among)[:, ::-1]
    distance = np.linalg.norm(changed + np.array([45.5, -4.5, 135.5]) - CENTRE, axis=1)
    assert len(changed) and distance.max() < 8.0 / 2 * 2.6 + 2


def surface_of(nodule):
    """Surface per volume, as a multiple of a ball's: 1 is round, more is lobed or spiky."""
    axes = np.arange(-20, 20, 1.0)
    z, y, x = (a.astype(np.float32) for a in np.meshgrid(axes, axes, axes, indexing="ij"))
    shapes = [s.shape for s in nodule.structures(np.array([1.0, 0, 0]), 1.0) if s.tissue == "nodule"]
    inside = np.any([s.distance(Points(x, y, z, {})) < 0 for s in shapes], axis=0)
    faces = sum(np.count_nonzero(np.diff(inside, axis=axis)) for axis in range(3))
    volume = np.count_nonzero(inside)
    return faces / (1.5 * np.pi ** (1 / 3) * (6 * volume) ** (2 / 3))


def test_malignant_ones_are_lobed_or_spiky_but_for_a_few():
    surfaces = {
        kind: np.array([surface_of(PhantomNodule((0, 0, 0), 14.0, kind, seed)) for seed in range(24)])
        for kind in (False, True)
    }
    assert np.median(surfaces[False]) < 1.04 and np.median(surfaces[True]) > 1.12
    assert 0.7 < (surfaces[False] < 1.06).mean() < 1  # some of each look like the other, so nobody can be always right
    assert 0.6 < (surfaces[True] > 1.06).mean() < 1


def test_some_benign_ones_are_calcified_and_no_malignant_one():
    for kind in (False, True):
        nodules = [PhantomNodule((0, 0, 0), 10.0, kind, seed) for seed in range(60)]
        calcified = [any(s.tissue == "cortical_bone" for s in n.structures(np.zeros(3), 1.0)) for n in nodules]
        assert (0.25 < np.mean(calcified) < 0.55) if not kind else not any(calcified)


def test_sizes_overlap():
    rng = np.random.default_rng(0)
    benign, malignant = (np.array([draw_diameter(kind, rng) for _ in range(500)]) for kind in (False, True))
    assert 0.65 < np.mean(malignant[:, None] > benign) < 0.8
    with pytest.raises(SettingError, match=r"nodule of 0.5 mm cannot be made"):
        PhantomNodule((0, 0, 0), 0.5, malignant=True)


def test_the_data_set_is_what_its_table_says(tmp_path, monkeypatch):
    monkeypatch.setattr(data_set, "_SPACINGS", ((2.5, 2.5, 2.5),))
    assert main(["phantom", str(tmp_path), "--nodules", "1", "--quiet"]) == 0
    nodules = read_nodules(tmp_path / "nodules.csv")
    assert {nodule.patient for nodule in nodules} == {"patient000"} and len(nodules) == 2
    for nodule in nodules:
        volume = read_volume(nodule.image)
        block, _ = cut_block(volume, nodule.centre, (1.0,) * 3, (3, 3, 3), EVERYTHING)
        assert block.mean() > -400, f"{nodule.name} is not at its centre"
    cases = read_cases(tmp_path / "dataset.json")
    assert [(case.name, case.patient, case.split) for case in cases] == [
        (nodule.name, "patient000", "training") for nodule in nodules
    ]
    for case, nodule in zip(cases, nodules, strict=True):
        volume = read_volume(case.image)
        inside = case.inside(read_label(case, volume.geometry), "nodule")
        outside = ndimage.binary_dilation(inside, iterations=2) & ~ndimage.binary_dilation(inside)
        assert np.median(volume.array[inside]) > np.median(volume.array[outside]) + 300
        index = [*np.argwhere(inside)[:, ::-1].mean(axis=0), 1.0]
        assert np.linalg.norm((volume.geometry.index_to_physical @ index)[:3] - nodule.centre) < 2.5
    before = (tmp_path / "nodules.csv").read_bytes(), nodules[0].image.stat().st_mtime_ns
    data_set.write_nodule_data_set(tmp_path, 1)
    assert before == ((tmp_path / "nodules.csv").read_bytes(), nodules[0].image.stat().st_mtime_ns)
    rows = list(csv.DictReader((tmp_path / "nodules.csv").open()))
    for one in rows:
        for other in rows:
            if one["patient"] == other["patient"] and one is not other:
                assert np.linalg.norm([float(one[a]) - float(other[a]) for a in "xyz"]) > 50
    with pytest.raises(SettingError, match="at least one"):
        data_set.write_nodule_data_set(tmp_path / "none", 0)

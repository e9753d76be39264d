"""Activation maps of a classifier of whole scans, and the picture of one: every axis at its place, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scan_classifier import CLASSES, save_scan_classifier
from training_boxes import CPU

from Med3DCore.drawing.class_map import peak_of, write_class_map
from Med3DCore.geometry import Geometry
from Med3DCore.inference.classify_scan import ScanAnswer, ScanClassifier, coarser, thinned
from Med3DCore.models.package_file import load_package
from Med3DCore.volume import Volume

GRID = Geometry((26, 22, 18), (2.0, 2.5, 3.0), (-7.0, 5.0, 11.0))


def classifier(folder, **how):
    """Its window, 24 x 20 x 16 voxels (x, y, z) of 2 x 2.5 x 3 mm, has no equal axes."""
    return ScanClassifier(load_package(save_scan_classifier(folder, **how)), CPU)


@pytest.fixture
def scan():
    return Volume(np.random.default_rng(0).uniform(0, 100, GRID.shape).astype(np.float32), GRID, "scan")


def answered(values, exclusive=False):
    return ScanAnswer(dict(zip(CLASSES, values, strict=True)), {}, GRID, exclusive)


def test_the_grid_of_a_map_has_the_strides_of_its_own_axes():
    own = coarser(GRID, (9, 11, 7), (2, 2, 4))
    assert own.size == (7, 11, 9) and own.spacing == (8.0, 5.0, 6.0) and own.origin == GRID.origin


@pytest.mark.parametrize("members", [1, 2])
def test_differences_of_maps_are_those_of_the_logits_of_all_members(tmp_path, scan, members):
    model = classifier(tmp_path, members=members)
    answer = model.classify(scan)
    maps = np.stack([answer.maps[name] for name in CLASSES])
    assert np.abs(maps.sum(axis=0)).max() < 1e-5, "of classes that exclude each other only differences count"
    each = model.network.members if members > 1 else [model.network]
    bias = np.mean([network.decoder.logits.bias.detach().numpy() for network in each], axis=0)
    logits = maps.mean(axis=(1, 2, 3)) + bias
    found = np.exp(logits) / np.exp(logits).sum()
    assert list(answer.probabilities.values()) == pytest.approx(found.tolist(), abs=1e-5)


def test_how_much_of_a_scan_is_not_seen(tmp_path):
    model = classifier(tmp_path)
    inside = Volume(np.zeros((16, 20, 24), np.float32), Geometry((24, 20, 16), (2.0, 2.5, 3.0)), "small")
    assert model.unseen(inside) == pytest.approx(0.0)
    double = Volume(np.zeros((32, 20, 24), np.float32), Geometry((24, 20, 32), (2.0, 2.5, 3.0)), "long")
    assert model.unseen(double) == pytest.approx(0.5)


def test_what_is_said_to_be_shown():
    assert answered((0.5, 0.49, 0.9)).called == ["a", "c"]
    assert answered((0.3, 0.4, 0.3), exclusive=True).called == ["b"]


def test_a_map_covers_all_that_the_network_saw_and_no_more():
    """Of eight voxels of 2 mm a map of stride four has two, the last of them 6 mm before the end."""
    answer = ScanAnswer({"a": 1.0}, {"a": np.ones((2, 2, 2), np.float32)}, Geometry((2, 2, 2), (8.0,) * 3), False)
    assert (answer.map_on("a", Geometry((8, 8, 8), (2.0,) * 3)) == 1).all()
    assert not answer.map_on("a", Geometry((8, 8, 8), (2.0,) * 3, (24.0, 0.0, 0.0))).any()


def test_a_map_to_look_at_has_the_box_of_the_scan_and_no_finer_voxels_than_it_needs():
    turned = (0.0, -0.6, 0.8, 1.0, 0.0, 0.0, 0.0, 0.8, 0.6)
    scan = Geometry((300, 200, 7), (0.5, 0.7, 9.0), (-7.0, 5.0, 11.0), turned)
    grid = thinned(scan, Geometry((7, 7, 7), (12.0, 15.0, 18.0)))
    assert grid.size == (38, 35, 7) and grid.direction == turned
    for ours, its in zip(grid.bounds(), scan.bounds(), strict=True):
        assert ours == pytest.approx(its)


def test_in_every_slice_the_map_lies_over_what_it_is_of_and_the_cross_marks_it(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn, crosses = [], []
    real = Axes.imshow
    monkeypatch.setattr(Axes, "imshow", lambda self, array, **more: drawn.append(array) or real(self, array, **more))
    monkeypatch.setattr(Axes, "plot", lambda self, x, y, *style, **more: crosses.append((x, y)))
    spot = np.zeros(GRID.shape, np.float32)
    spot[12:15, 3:6, 19:22], spot[13, 4, 20] = 90.0, 99.0  # z, y, x: in no view in the middle
    evidence = Volume(spot / 45, GRID, "spot")
    assert peak_of(evidence) == pytest.approx([-7.0 + 20 * 2.0, 5.0 + 4 * 2.5, 11.0 + 13 * 3.0])
    write_class_map(Volume(spot, GRID, "scan"), evidence, (0.0, 100.0), "title", tmp_path / "map.png")
    assert len(drawn) == 9 and len(crosses) == 3, "of each view the scan twice and its map once"
    for column, cross in enumerate(crosses):
        image, heat = drawn[3 * column], drawn[3 * column + 2]
        seen, marked = (np.argwhere(each > 0.5 * each.max()).mean(axis=0) for each in (image, heat))
        assert np.abs(seen - marked).max() < 1 and np.abs(seen - cross[::-1]).max() < 1
        assert np.abs(seen - (np.array(image.shape) - 1) / 2).min() > 4, "so a flip would be seen"

"""Livers of unusual brightness, about which coarse and close look disagree, are looked at again."""

import sys
from pathlib import Path

import numpy as np
import pytest

from Med3DCore.geometry import Geometry
from Med3DCore.inference.second_look import is_better, unusual_by, with_window_moved
from Med3DCore.inference.segment import segment
from Med3DCore.inference.stage_result import StageResult
from Med3DCore.io import read_label_map, read_volume
from Med3DCore.models import Catalogue
from Med3DCore.volume import Volume

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from hard_scans import Scan, dice
from sickness import SICK

GRID = Geometry((60, 60, 60), (2.5, 2.5, 2.5))
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def looks(size=40, shift=20, name="liver"):
    """What a close look found, a cube, and a coarse one, the same so many voxels further on."""
    score, seen = np.zeros(GRID.shape, np.float32), np.zeros(GRID.shape, np.float32)
    score[:size, :size, :size] = seen[shift : shift + size, :size, :size] = 1.0
    return tuple(StageResult({name: array}, GRID, {name: size**3}) for array in (score, seen))


def scan(hu):
    return Volume(np.full(GRID.shape, hu, np.int16), GRID)


@pytest.mark.parametrize(("hu", "difference"), [(30, -70.0), (170, 70.0), (75, None), (120, None)])
def test_how_unusual_a_doubted_liver_is(hu, difference):
    assert unusual_by("liver", *looks(), scan(hu)) == difference


def test_what_is_not_doubted_not_known_or_not_there_is_not_looked_at_again():
    assert unusual_by("liver", *looks(shift=2), scan(30)) is None
    assert unusual_by("spleen", *looks(name="spleen"), scan(30)) is None
    assert unusual_by("liver", *looks(size=20, shift=10), scan(30)) is None, "so small a find is another organ"
    thin = Volume(np.full((10, 60, 60), 30, np.int16), GRID.crop((0, 0, 0), (60, 60, 10)))
    assert unusual_by("liver", *looks(), thin) is None, "most of it lies beyond the scan"
    assert unusual_by("liver", None, looks()[1], scan(30)) is unusual_by("liver", looks()[0], None, scan(30)) is None


def test_the_better_look_is_the_one_whose_stages_agree_more():
    assert is_better("liver", looks(shift=2), looks()) and not is_better("liver", looks(), looks(shift=2))


def test_a_window_moves_and_nothing_else_does():
    stage = Catalogue().default_for(["liver"]).stages[0]
    moved = with_window_moved(stage, -40.0)
    assert moved.preprocessing["intensity"] == {"name": "window", "low": -200.0, "high": 200.0}
    assert moved.preprocessing["spacing"] == stage.preprocessing["spacing"] and moved.network is stage.network
    assert stage.preprocessing["intensity"]["low"] == -160


def test_only_windows_are_moved():
    stage = Catalogue().default_for(["liver"]).stages[0]
    other = type(stage)(
        **{**vars(stage), "preprocessing": {**stage.preprocessing, "intensity": {"name": "percentile"}}}
    )
    assert with_window_moved(other, -40.0) is None


@pytest.mark.skipif(not DATA.is_dir(), reason=f"real CTs are not at {DATA}")
def test_a_fatty_liver_is_found_again():
    truth = read_label_map(DATA / "lits_04_seg.nii.gz").array == 1
    fatty = SICK["liver -60 HU"](Scan(read_volume(DATA / "lits_04_ct.nii.gz"), "liver", truth))
    found = segment(fatty.volume, ["liver"]).labels.mask("liver")
    assert dice(found, truth) > 0.85  # 0.63 at the first look

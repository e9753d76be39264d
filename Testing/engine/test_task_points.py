"""Tasks of points and boxes: LIDC-IDRI's XML files, LUNA16's tables and measures, DeepLesion's parts."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats

from Med3DCore.benchmarks.catalogue import FOLDER, find_task
from Med3DCore.benchmarks.data import read_divided
from Med3DCore.benchmarks.lidc import read_lidc
from Med3DCore.benchmarks.luna16 import fewer_negatives, read_luna16
from Med3DCore.benchmarks.task import read_task
from Med3DCore.cli.main import main
from Med3DCore.errors import DataError, SettingError
from Med3DCore.evaluation.candidates import CPM_RATES, candidate_froc, sensitivities
from Med3DCore.evaluation.classification import auc, roc_points
from Med3DCore.geometry import Geometry
from Med3DCore.io.write_series import write_series
from Med3DCore.phantom.layouts import chests
from Med3DCore.phantom.nodules import PhantomNodule
from Med3DCore.progress import Progress
from Med3DCore.training.classification.malignancy import RULES
from Med3DCore.volume import LabelMap, Volume

LIDC, LUNA16 = find_task("lidc_malignancy"), find_task("luna16")
GRID = Geometry((20, 20, 10), (0.7, 0.7, 2.0), (-50.0, 30.0, -120.0))


# -- LIDC-IDRI ---------------------------------------------------------------------------------------------------------


def outline(x, y, z, radius):
    edges = "".join(
        f"<edgeMap><xCoord>{x + dx}</xCoord><yCoord>{y + dy}</yCoord></edgeMap>"
        for dx, dy in ((radius, 0), (0, radius), (-radius, 0), (0, -radius))
    )
    return f"<roi><imageZposition>{z}</imageZposition><inclusion>TRUE</inclusion>{edges}</roi>"


def nodule(rois, malignancy):
    rated = f"<characteristics><malignancy>{malignancy}</malignancy></characteristics>" if malignancy else ""
    return f"<unblindedReadNodule><noduleID>n</noduleID>{rated}{rois}</unblindedReadNodule>"


def write_patient(folder, number, sessions):
    place = folder / "LIDC-IDRI" / f"LIDC-IDRI-{number:04}" / f"1.2.{number}" / f"1.2.{number}.3"
    hu = np.random.default_rng(number).integers(-900, 100, GRID.shape).astype(np.int16)
    write_series(Volume(hu, GRID, "ct"), place, f"LIDC-IDRI-{number:04}", f"1.2.{number}", f"1.2.{number}.3")
    body = "".join(f"<readingSession>{session}</readingSession>" for session in sessions)
    (place / "069.xml").write_text(f'<LidcReadMessage xmlns="http://www.nih.gov">{body}</LidcReadMessage>')
    return place


def test_outlines_of_several_readers_are_one_nodule(tmp_path):
    large = [outline(12, 8, z, 3) for z in (-112.0, -110.0)]
    far = nodule(outline(3, 3, -120.0, 1), 1)
    small = nodule(outline(16, 16, -104.0, 0), None)  # below 3 mm: no ratings
    excluded = outline(1, 1, -112.0, 9).replace("TRUE", "FALSE")
    sessions = [
        nodule("".join(large) + excluded, 4) + far,
        nodule("".join(outline(13, 8, z, 3) for z in (-112.0, -110.0)), 5) + small,
        nodule("".join(large), 4),
        far.replace(">1</malignancy>", ">2</malignancy>"),
    ]
    write_patient(tmp_path, 7, sessions)
    first, second = read_lidc(LIDC, tmp_path)
    assert (first.patient, first.kind, second.kind) == ("LIDC-IDRI-0007", "malignant", "benign")
    x = 12 + 1 / 3  # pixels; the mean of three readers
    assert first.centre == pytest.approx((-50 + 0.7 * x, 30 + 0.7 * 8, -111.0), abs=1e-3)
    assert first.diameter_mm == pytest.approx(6 * 0.7, abs=1e-3)
    assert second.centre == pytest.approx((-50 + 2.1, 30 + 2.1, -120.0), abs=1e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('<!DOCTYPE x [<!ENTITY a "b">]><LidcReadMessage/>', "document type of its own"),
        ("<LidcReadMessage>", "no whole XML file"),
        ('<LidcReadMessage xmlns="http://www.nih.gov"/>', "rated nodule"),
        ("<IdriReadMessage/>", "rated nodule"),
    ],
)
def test_a_strange_reading_gets_a_sentence(tmp_path, text, words):
    place = write_patient(tmp_path, 1, [])
    (place / "069.xml").write_text(text)
    with pytest.raises(DataError, match=words):
        read_lidc(LIDC, tmp_path)


def test_a_reading_without_number_gets_a_sentence(tmp_path):
    write_patient(tmp_path, 1, [nodule(outline(3, 3, "high", 1), 3)])
    with pytest.raises(DataError, match=r"069\.xml: an outline or rating"):
        read_lidc(LIDC, tmp_path)


def test_the_phantom_of_lidc_is_read_back(tmp_path, monkeypatch):
    made, real = [], chests._scan
    monkeypatch.setattr(chests, "_scan", lambda *about: made.append(real(*about)) or made[0])
    chests.write_lidc(tmp_path, 1, 0, Progress())
    (found,) = read_lidc(LIDC, tmp_path)
    nodule = made[0].nodule
    assert np.linalg.norm(np.subtract(found.centre, nodule.centre)) < 2.0
    assert found.diameter_mm == pytest.approx(nodule.diameter_mm, rel=0.5)


def test_readers_of_phantoms_rate_what_can_be_seen(tmp_path):
    body = np.zeros(GRID.shape, np.uint8)
    body[4:6, 8:12, 8:12] = 1
    ct, outlines = Volume(body.astype(np.int16), GRID, "ct"), LabelMap(body, GRID, "outlines", ())
    centre = tuple((GRID.index_to_physical @ [10.0, 10.0, 5.0, 1.0])[:3].tolist())
    alike, likely = [], []
    for seed in range(120):
        nodule = PhantomNodule(centre, 12.0, malignant=seed % 2 == 1, seed=seed)
        file = tmp_path / f"{seed}.xml"
        chests._write_readings(file, chests._Scan(ct, nodule, outlines), "", "", [""] * 10, np.random.default_rng(seed))
        ratings = [int(rated.text) for rated in ElementTree.parse(file).iter("{http://www.nih.gov}malignancy")]
        assert 1 <= len(ratings) <= 4 and set(ratings) <= {1, 2, 3, 4, 5}
        alike.append(RULES["med3d"](ratings) == nodule.looks_malignant)
        likely.append(np.ptp(ratings) == 0)
    assert np.mean(alike) > 0.93  # some are doubtful, but a classifier of looks can be right about nearly all
    assert 0.2 < np.mean(likely) < 0.8


# -- LUNA16 ------------------------------------------------------------------------------------------------------------


def write_luna(folder, scans=8):
    """Bright balls are nodules, dim ones are not; each scan has one and three."""
    rng, candidates, annotations = np.random.default_rng(0), [], []
    steps = np.indices((32, 32, 32)) * 1.0
    for number in range(scans):
        hu = rng.normal(-800, 20, (32, 32, 32))
        grid = Geometry((32, 32, 32), (1.0, 1.0, 1.0), (10.0, -20.0, 100.0 * number))
        places = [(8, 8, 8), (8, 24, 24), (24, 8, 24), (24, 24, 8)]
        for index, (z, y, x) in enumerate(places):
            near = np.sqrt(((steps - np.reshape((z, y, x), (3, 1, 1, 1))) ** 2).sum(axis=0)) < 4
            hu[near] = -300 if index else 100
            lps = (10.0 + x, -20.0 + y, 100.0 * number + z)
            candidates.append([f"1.2.{number}", *lps, int(not index)])
            if not index:
                annotations.append([f"1.2.{number}", *lps, 8.0])
        place = folder / f"subset{number}"
        place.mkdir(parents=True)
        chests._write_metaimage(Volume(hu.astype(np.int16), grid, "ct"), place / f"1.2.{number}.mhd")
    head = "seriesuid,coordX,coordY,coordZ"
    for name, last, rows in (
        ("candidates_V2.csv", "class", candidates),
        ("annotations.csv", "diameter_mm", annotations),
    ):
        lines = [f"{head},{last}", *(",".join(map(str, row)) for row in rows)]
        (folder / name).write_text("\n".join(lines) + "\n")


def small_task(tmp_path):
    values = json.loads((FOLDER / "luna16.json").read_text(encoding="utf-8"))
    values["data"] |= {"test_subsets": ["subset6", "subset7"], "negatives_per_scan": 2}
    stage = values["stages"][0]
    stage["network"]["encoder"]["width"] = 4
    stage["window"] = stage["training"]["patch"] = [12, 12, 12]
    stage["training"]["learning_rate"] = 0.02
    file = tmp_path / "balls.json"
    file.write_text(json.dumps(values))
    return file


def test_candidates_are_learned_and_measured_by_the_challenges_rules(tmp_path, capsys):
    write_luna(tmp_path / "luna")
    task, run = small_task(tmp_path), tmp_path / "run"
    divided = read_divided(read_task(task), tmp_path / "luna")
    assert {case.patient for case in divided.test} == {"1.2.6", "1.2.7"}
    assert (len(divided.test), len(divided.teaching)) == (8, 6 * 3)
    words = ["--steps", "40", "--device", "cpu", "--no-cache", "--quiet"]
    assert main(["task", "train", str(task), str(tmp_path / "luna"), "-o", str(run), *words]) == 0
    assert main(["task", "evaluate", str(task), str(run), str(tmp_path / "luna"), "--device", "cpu", "--quiet"]) == 0
    results = json.loads((run / "evaluation" / "results.json").read_text())
    assert results["figures"]["auc"]["value"] > 0.85
    assert results["figures"]["CPM"]["value"] > 0.7
    assert {row["patient"] for row in results["rows"]} == {"1.2.6", "1.2.7"}
    capsys.readouterr()
    assert main(["task", "report", str(run)]) == 0
    assert "| auc |" in capsys.readouterr().out


def test_luna16_is_read_with_what_counts_for_nobody(tmp_path):
    write_luna(tmp_path, 3)
    (tmp_path / "annotations_excluded.csv").write_text(
        "seriesuid,coordX,coordY,coordZ,diameter_mm\n1.2.1,34,4,108,-1\n1.2.999,0,0,0,-1\n"
    )
    luna = read_luna16(LUNA16, tmp_path)
    assert (len(luna.candidates), len(luna.nodules), len(luna.excluded)) == (12, 3, 1)
    assert sum(candidate.malignant for candidate in luna.candidates) == 3
    nodule = luna.nodules[0]
    assert nodule.is_hit(nodule.centre)
    assert nodule.is_hit((nodule.centre[0] + 3.9, *nodule.centre[1:]))
    assert not nodule.is_hit((nodule.centre[0] + 4.1, *nodule.centre[1:]))
    assert luna.excluded[0].diameter_mm == 10.0
    kept = fewer_negatives(luna.candidates, 1, 0)
    assert [candidate.malignant for candidate in kept] == [True] * 3 + [False] * 3
    assert kept == fewer_negatives(luna.candidates, 1, 0)
    (tmp_path / "candidates_V2.csv").write_text("seriesuid,coordX,coordY,coordZ,class\n1.2.1,1,2,x,1\n")
    with pytest.raises(DataError, match=r"candidates_V2\.csv, line 2"):
        read_luna16(LUNA16, tmp_path)
    (tmp_path / "candidates_V2.csv").unlink()
    with pytest.raises(DataError, match=r"neither candidates_V2\.csv nor candidates\.csv"):
        read_luna16(LUNA16, tmp_path)


def test_a_strange_reader_gets_a_sentence(tmp_path):
    values = json.loads((FOLDER / "luna16.json").read_text(encoding="utf-8"))
    values["data"] = {"reader": "luna17"}
    file = tmp_path / "own.json"
    file.write_text(json.dumps(values))
    with pytest.raises(SettingError, match="'luna17'; of points there are lidc and luna16"):
        read_divided(read_task(file), tmp_path)


# -- measures ----------------------------------------------------------------------------------------------------------


def test_cpm_and_auc_are_those_of_an_independent_implementation():
    rng = np.random.default_rng(4)
    scans = [(rng.normal(1.5, 1, rng.integers(0, 4)), rng.normal(0, 1, 30)) for _ in range(12)]
    scans[0] = (np.array([-np.inf, 2.0]), scans[0][1])  # one that no candidate hits
    hits, alarms = (np.concatenate(parts) for parts in zip(*scans, strict=True))
    x, y = [0.0], [0.0]
    for threshold in sorted({*hits[np.isfinite(hits)], *alarms}, reverse=True):
        x.append(sum(score >= threshold for score in alarms) / len(scans))
        y.append(sum(score >= threshold for score in hits) / len(hits))
    expected = [np.interp(rate, x, y) for rate in CPM_RATES]
    found, cpm = sensitivities([candidate_froc(*scan) for scan in scans])
    assert [each.value for each in found.values()] == pytest.approx(expected, abs=1e-6)
    assert cpm.value == pytest.approx(np.mean(expected), abs=1e-6)
    assert cpm.low < cpm.value < cpm.high
    scores, truths = np.r_[hits, alarms].round(1), np.r_[np.ones(len(hits)), np.zeros(len(alarms))] > 0  # with ties
    statistic = stats.mannwhitneyu(scores[truths], scores[~truths]).statistic
    area = statistic / truths.sum() / (~truths).sum()
    assert float(auc(scores, truths)) == pytest.approx(area, abs=1e-6)
    assert np.trapezoid(*reversed(roc_points(scores, truths))) == pytest.approx(area, abs=1e-6)
    assert roc_points(scores[:3], np.ones(3)) == ([], [])

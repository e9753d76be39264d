"""The cache of prepared cases: equal to the last bit, never half, never stale; and batches drawn ahead."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_boxes import SPACING, write_boxes

from Med3DCore.cli.main import main
from Med3DCore.errors import DataError, OutputError
from Med3DCore.preprocessing import Preprocessing, Window
from Med3DCore.training.cases import cache as module
from Med3DCore.training.cases.cache import CaseCache, cache_folder, prepare_cases
from Med3DCore.training.cases.description import read_cases
from Med3DCore.training.cases.prepared import prepare_case
from Med3DCore.training.learning.prefetch import Prefetch
from Med3DCore.training.patches.augmentation import Augmentation
from Med3DCore.training.patches.sampling import PatchSampler

PREPROCESSING, LABELS = Preprocessing(SPACING, Window(-160, 160)), ("liver", "lungs")


@pytest.fixture
def cases(tmp_path):
    return read_cases(write_boxes(tmp_path))


@pytest.fixture
def cache(tmp_path):
    return CaseCache(tmp_path / "cache")


def same(first, second):
    return (
        np.array_equal(first.image, second.image)
        and np.array_equal(first.target, second.target)
        and (first.geometry, first.statistics, first.case) == (second.geometry, second.statistics, second.case)
    )


@pytest.fixture
def made(monkeypatch):
    """Names of the cases that are really prepared."""
    names = []
    monkeypatch.setattr(
        module, "prepare_case", lambda case, *rest: (names.append(case.name), prepare_case(case, *rest))[1]
    )
    return names


def test_a_cached_case_is_equal_to_a_prepared_one(cases, cache, made):
    plain = prepare_cases(cases, PREPROCESSING, LABELS)
    for _ in range(2):
        cached = prepare_cases(cases, PREPROCESSING, LABELS, cache)
        assert all(same(one, other) for one, other in zip(cached, plain, strict=True))
    assert made == ["a", "b", "c"] * 2, "once in memory, once for the cache"
    assert cache.usage()[0] == 3
    cached = cache.prepare(cases[0], PREPROCESSING, LABELS)
    assert isinstance(cached.image, np.memmap) and not cached.image.flags.writeable


def test_whatever_a_case_depends_on_makes_another_entry(cases, cache, made):
    case = cases[0]
    for changed in (
        case,
        replace(case, annotated=("liver",)),
        replace(case, absent=("lungs",)),
        replace(case, values={"liver": 2, "lungs": 1}),
        replace(case, ignore=2),
        replace(case, image=cases[1].image),
        replace(case, label=cases[1].label),
        replace(case, label=None),
    ):
        cache.prepare(changed, PREPROCESSING, LABELS)
    cache.prepare(case, Preprocessing((5.0, 5.0, 5.0), Window(-160, 160)), LABELS)
    cache.prepare(case, Preprocessing(SPACING, Window(-150, 160)), LABELS)
    cache.prepare(case, PREPROCESSING, LABELS[:1])
    assert len(made) == cache.usage()[0] == 11


def test_names_and_places_do_not_matter_but_content_does(cases, cache, made):
    case = cases[0]
    cache.prepare(case, PREPROCESSING, LABELS)
    moved = replace(case, name="other", patient="other", split="validation", image=case.image.with_name("m.nii.gz"))
    moved.image.write_bytes(case.image.read_bytes())
    assert cache.prepare(moved, PREPROCESSING, LABELS).case.name == "other" and made == ["a"]
    moved.image.write_bytes(cases[1].image.read_bytes())
    cache.prepare(moved, PREPROCESSING, LABELS)
    assert made == ["a", "other"]


def damages():
    def flip(file):
        data = bytearray(file.read_bytes())
        data[-100] ^= 1
        file.write_bytes(data)

    yield "image.npy", flip
    yield "target.npy", lambda file: file.write_bytes(file.read_bytes()[:-7])
    yield "image.npy", lambda file: file.unlink()
    yield "entry.json", lambda file: file.write_text("{")
    yield "entry.json", lambda file: file.write_text("[]")
    yield "entry.json", lambda file: file.unlink()


@pytest.mark.parametrize("name,damage", list(damages()))
def test_a_damaged_entry_is_made_again(cases, cache, made, name, damage):
    entry = cache.prepare(cases[0], PREPROCESSING, LABELS).entry
    damage(entry / name)
    assert same(cache.prepare(cases[0], PREPROCESSING, LABELS), prepare_case(cases[0], PREPROCESSING, LABELS))
    assert made == ["a", "a"]


KILLED = """
    import os, signal, sys
    from pathlib import Path
    import numpy as np
    from Med3DCore.preprocessing import Preprocessing, Window
    from Med3DCore.training.cases.cache import CaseCache
    from Med3DCore.training.cases.description import read_cases

    save = np.save

    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    def die_in_the_middle(file, *_, **__):
        file.write_bytes(b"{ and half of it")
        die()

    def die_at_the_target(file, array, **more):
        die_in_the_middle(file) if file.name == "target.npy" else save(file, array, **more)

    case = read_cases(Path(sys.argv[1]))[0]
    if sys.argv[3] == "image":
        np.save = die_in_the_middle
    elif sys.argv[3] == "target":
        np.save = die_at_the_target
    elif sys.argv[3] == "entry":
        Path.write_text = die_in_the_middle
    else:
        Path.rename = die
    CaseCache(Path(sys.argv[2])).prepare(case, Preprocessing((4.0, 4.0, 4.0), Window(-160, 160)), ("liver", "lungs"))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("moment", ["image", "target", "entry", "rename"])
def test_a_killed_process_leaves_no_half_entry(cases, cache, tmp_path, moment):
    arguments = [str(tmp_path / "dataset.json"), str(cache.folder), moment]
    code = [sys.executable, "-c", textwrap.dedent(KILLED), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[3])}
    result = subprocess.run(code, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == -signal.SIGKILL, result.stderr
    (unfinished,) = cache.folder.iterdir()
    assert unfinished.name.startswith(".making-")
    cache = module.CaseCache(cache.folder)  # at the next start
    assert not unfinished.exists()
    assert same(cache.prepare(cases[0], PREPROCESSING, LABELS), prepare_case(cases[0], PREPROCESSING, LABELS))
    assert cache.usage()[0] == 1 and not list(cache.folder.glob(".making-*"))


def test_another_process_may_be_faster(cases, cache, monkeypatch):
    """Two trainings prepare the same case at the same time."""
    other = CaseCache(cache.folder)

    def slow(case, *rest):
        monkeypatch.setattr(module, "prepare_case", prepare_case)
        other.prepare(case, PREPROCESSING, LABELS)
        return prepare_case(case, *rest)

    monkeypatch.setattr(module, "prepare_case", slow)
    assert same(cache.prepare(cases[0], PREPROCESSING, LABELS), prepare_case(cases[0], PREPROCESSING, LABELS))
    assert [path.name[0] != "." for path in cache.folder.iterdir()] == [True]


def test_a_full_disk_and_a_cleared_cache_get_a_sentence(cases, cache, monkeypatch):
    cached = cache.prepare(cases[0], PREPROCESSING, LABELS)

    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(OutputError, match=r"cannot be kept in .*No space left"):
            cache.prepare(cases[1], PREPROCESSING, LABELS)
    assert cache.usage()[0] == 1 and not list(cache.folder.glob(".making-*"))
    cache.clear()
    with pytest.raises(DataError, match="'a' was removed"):
        _ = cached.image


@pytest.mark.parametrize("there", [False, True])
def test_a_cache_that_cannot_be_written_says_how_to_have_another_or_none(cases, cache, there, monkeypatch):
    mkdir = Path.mkdir
    if there:
        cache.folder.mkdir()

    def read_only(self, *args, **more):
        if cache.folder in (self, *self.parents):
            raise PermissionError(13, "Permission denied")
        mkdir(self, *args, **more)

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(OutputError, match=r"Permission denied\)?; .*MED3D_CACHE.*--no-cache\.$"):
        cache.prepare(cases[0], PREPROCESSING, LABELS)


def test_clearing_takes_nothing_that_is_just_being_made_and_what_it_took_is_made_again(cases, cache, monkeypatch):
    """A training prepares a case while somebody clears the cache."""
    save, load = np.save, CaseCache._load

    def cleared_meanwhile(*args, **more):
        CaseCache(cache.folder).clear()
        save(*args, **more)
        assert cache.usage()[0] == 0

    cleared = []

    def cleared_before_it_is_loaded(self, *args):
        if (self.folder / args[1]).is_dir() and not cleared:
            cleared.append(self.clear())
        return load(self, *args)

    monkeypatch.setattr(np, "save", cleared_meanwhile)
    monkeypatch.setattr(CaseCache, "_load", cleared_before_it_is_loaded)
    assert same(cache.prepare(cases[0], PREPROCESSING, LABELS), prepare_case(cases[0], PREPROCESSING, LABELS))
    assert cleared and cache.usage()[0] == 1 and len(list(cache.folder.iterdir())) == 1


def test_where_nothing_is_found_nothing_is_deleted(cases, cache, monkeypatch):
    """Another training may store the entry right after this one saw that there is none."""
    monkeypatch.setattr(module.shutil, "rmtree", lambda *_args, **_more: pytest.fail("it deletes what it did not see"))
    assert cache._load(cases[0], "0" * 32) is None


def test_the_command_shows_and_clears_only_what_is_the_caches(cases, cache, capsys, monkeypatch):
    monkeypatch.setenv("MED3D_CACHE", str(cache.folder))
    assert cache_folder() == cache.folder
    cache.prepare(cases[0], PREPROCESSING, LABELS)
    (cache.folder / "mine").mkdir()
    (cache.folder / "mine" / "entry.json").write_text("{}")
    assert main(["dataset", "cache"]) == 0 and capsys.readouterr().out.startswith("1 prepared cases, 0.00 GB")
    assert main(["dataset", "cache", "--clear"]) == 0 and "Deleted 1" in capsys.readouterr().out
    assert [path.name for path in cache.folder.iterdir()] == ["mine"]
    assert main(["dataset", "cache", "--folder", str(cache.folder / "none")]) == 0


# -- drawing ahead ---------------------------------------------------------------------------------------------------


def test_batches_do_not_depend_on_cache_or_workers(cases, cache):
    def batches(prepared, workers):
        sampler = PatchSampler(prepared, PREPROCESSING.intensity, (16, 16, 16), 2, 0.6, Augmentation(), 4, 0.15)
        with Prefetch(sampler.draw, workers) as ahead:
            return [torch.cat([part.flatten().float() for part in ahead.get(step)]) for step in range(5)]

    plain = batches([prepare_case(case, PREPROCESSING, LABELS) for case in cases], 1)
    cached = batches([cache.prepare(case, PREPROCESSING, LABELS) for case in cases], 3)
    assert all(torch.equal(one, other) for one, other in zip(plain, cached, strict=True))


def test_batches_come_in_order_from_wherever_a_run_goes_on():
    drawn = []
    with Prefetch(lambda number: (drawn.append(number), number)[1], workers=2) as ahead:
        assert [ahead.get(number) for number in (7, 8, 9, 3)] == [7, 8, 9, 3]
    assert drawn.count(8) == drawn.count(9) == 1, "nothing is drawn twice"


def test_what_goes_wrong_in_a_worker_is_told_at_its_step():
    def draw(number):
        if number == 2:
            raise DataError("Case 'x' is gone.")
        return number

    threads = torch.get_num_threads()
    with Prefetch(draw, workers=2) as ahead:
        assert [ahead.get(0), ahead.get(1)] == [0, 1]
        with pytest.raises(DataError, match="'x' is gone"):
            ahead.get(2)
    assert torch.get_num_threads() == threads

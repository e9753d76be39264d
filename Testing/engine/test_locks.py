"""Two processes at once, and what killed ones leave: each is seen with real processes."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from test_fine_tune import SETTINGS, boxes
from test_models_package import make_package, make_weights
from training_boxes import save_parent

from Med3DCore.cli.main import main
from Med3DCore.cli.segment_places import places_of, reserved
from Med3DCore.errors import DataError, ModelError, OutputError, SettingError
from Med3DCore.io.write import remove_unfinished
from Med3DCore.models import Catalogue, load_package, save_package
from Med3DCore.system.leftovers import is_living, own_name, remove_leftovers
from Med3DCore.system.locks import InUse, locked
from Med3DCore.training.fine_tuning.fine_tune import continue_tuning, fine_tune
from Med3DCore.training.fine_tuning.run_folder import RunFolder
from Med3DCore.training.fine_tuning.run_list import remove_never_begun, remove_run
from Med3DCore.training.learning.checkpoint import load_checkpoint, read_log, save_checkpoint
from Med3DCore.worker.exchange import new_exchange_folder, remove_forgotten_folders

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
# Does what its first argument says with the folder of its second one, says so, and waits to be killed.
OTHER = """
import sys, time
from pathlib import Path
from Med3DCore.io.write import written_beside
from Med3DCore.system.locks import locked
from Med3DCore.worker.exchange import new_exchange_folder
what, path = sys.argv[1], Path(sys.argv[2])
if what == "lock":
    context = locked(path, "taken", "wait")
elif what == "write":
    context = written_beside(path)
else:
    context = new_exchange_folder()
with context as made:
    if what == "write":
        made.write_bytes(b"half of it")
    elif what == "exchange":
        (Path(made) / "scan.raw").write_bytes(b"a patient")
    print(made, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other():
    """Starts another process that holds something; gives it, and what it said."""
    started = []

    def start(what, path):
        process = subprocess.Popen([sys.executable, "-c", OTHER, what, str(path)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait()


def kill(process):
    process.kill()
    process.wait()


def test_a_lock_says_who_holds_it_and_is_free_when_its_process_is_killed(tmp_path, other):
    lock = tmp_path / ".lock"
    process, _ = other("lock", lock)
    with (
        pytest.raises(InUse, match=rf"^Taken \(process {process.pid}, since 20.*\); wait\.$"),
        locked(lock, "Taken", "wait"),
    ):
        pass
    kill(process)
    with locked(lock, "Taken", "wait"):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
        with pytest.raises(InUse), locked(lock, "Taken", "wait"):  # nor twice in one process
            pass
    assert not lock.exists()


def test_a_lock_on_a_full_disk_is_held_and_released(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    lock = tmp_path / ".lock"
    for _ in range(2):
        with (
            locked(lock, "Taken", "wait"),
            pytest.raises(InUse, match="does not say which process"),
            locked(lock, "Taken", "wait"),
        ):
            pass
    assert list(tmp_path.iterdir()) == []


def test_two_fine_tunings_in_one_folder(tmp_path, other, monkeypatch):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    parent, run = save_parent(tmp_path), tmp_path / "run"
    run.mkdir()
    process, _ = other("lock", run / ".lock")
    with pytest.raises(InUse, match=f"Another training is running in .*run .process {process.pid}"):
        fine_tune(parent, boxes(tmp_path), run, SETTINGS)
    kill(process)
    fine_tune(parent, boxes(tmp_path), run, SETTINGS)
    process, _ = other("lock", run / ".lock")
    with pytest.raises(InUse):
        continue_tuning(run)


def test_a_refused_fine_tuning_keeps_no_copy_of_a_scan(tmp_path):
    wrong = SETTINGS.__class__(training={"optimizer": "lion"})
    with pytest.raises(SettingError, match="lion"):
        fine_tune(save_parent(tmp_path), boxes(tmp_path), tmp_path / "run", wrong)
    assert not list((tmp_path / "run").iterdir())


def test_copies_of_a_training_that_never_began_go_and_others_stay(tmp_path, other):
    (case,) = boxes(tmp_path, 1)
    for name in ("killed", "busy"):
        RunFolder(tmp_path / "trainings" / name).store_case(1, case)
    other("lock", tmp_path / "trainings" / "busy" / ".lock")
    remove_never_begun(tmp_path / "trainings")
    assert [path.name for path in (tmp_path / "trainings").iterdir()] == ["busy"]
    assert list((tmp_path / "trainings" / "busy" / "cases").iterdir())


def test_a_training_is_deleted_whole_or_not_at_all(tmp_path, other):
    trainings = tmp_path / "trainings"
    for name in ("done with", "busy", "stays"):
        (trainings / name / "cases" / "1").mkdir(parents=True)
        (trainings / name / "run.json").write_text("{}")
    other("lock", trainings / "busy" / ".lock")
    with pytest.raises(InUse, match="running"):
        remove_run(trainings, trainings / "busy")
    (tmp_path / "cases" / "run.json").parent.mkdir()
    (tmp_path / "cases" / "run.json").write_text("{}")
    (trainings / "elsewhere").symlink_to(tmp_path / "cases")
    for foreign in (
        tmp_path / "cases",
        trainings,
        trainings / "elsewhere",
        trainings / ".." / "cases",
        trainings / "no",
    ):
        with pytest.raises(DataError, match="is no training in"):
            remove_run(trainings, foreign)
    remove_run(trainings, trainings / "done with")
    assert sorted(path.name for path in trainings.iterdir()) == ["busy", "elsewhere", "stays"]
    assert (trainings / "busy" / "cases" / "1").is_dir() and (tmp_path / "cases" / "run.json").is_file()


def test_two_scans_with_one_default_name(tmp_path, monkeypatch, other):
    monkeypatch.chdir(tmp_path)
    places = [places_of([tmp_path / folder / "ct.nii.gz"], [], None)[0] for folder in ("a", "b")]
    process, _ = other("lock", tmp_path / ".ct.seg.nrrd.lock")
    with (
        pytest.raises(InUse, match=f"making ct.seg.nrrd .process {process.pid}.*name this result with -o"),
        reserved(places[0]),
    ):
        pass
    kill(process)
    with reserved(places[0]):
        places[0].outputs[0].write_bytes(b"first")
    with pytest.raises(OutputError, match="exists already"), reserved(places[1]):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["ct.seg.nrrd"]


# Has loaded all that it needs, says so, and runs the med3d command that it is told then.
RUNNER = """
import sys, torch
from Med3DCore.cli.main import main
print(flush=True)
sys.exit(main(input().split("|")))
"""


def race(*commands, **environment):
    """Run med3d commands at the same moment, each in a process of its own: their codes, and what they said."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command, environment = [sys.executable, "-c", RUNNER], os.environ | environment
    runners = [subprocess.Popen(command, env=environment, text=True, **pipes) for _ in commands]
    for runner in runners:
        runner.stdout.readline()
    for runner, words in zip(runners, commands, strict=True):
        runner.stdin.write("|".join(map(str, words)) + "\n")
        runner.stdin.flush()
    said = [runner.communicate(timeout=300)[1] for runner in runners]
    return [runner.returncode for runner in runners], said


def test_two_processes_that_train_in_one_folder_at_the_same_moment(tmp_path):
    from training_boxes import write_boxes, write_recipe

    data, run = write_boxes(tmp_path), tmp_path / "run"
    command = ["train", write_recipe(tmp_path), data, "-o", run, "--device", "cpu", "--quiet"]
    codes, said = race(command, command, MED3D_MODELS=str(tmp_path / "models"))
    assert sorted(codes) == [0, 2]
    assert re.search(r"Another training is running in .*run.only .process \d+.*; ", said[codes.index(2)])
    lines = [json.loads(line) for line in (run / "only" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5, 6]
    assert not list(run.rglob("*lock"))


def test_of_two_models_of_one_name_that_are_installed_at_once_none_is_lost(tmp_path):
    files = []
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
        files.append(save_package(make_package(), make_weights(make_package(), seed), tmp_path / str(seed)))
    codes, said = race(*(["models", "install", file] for file in files), MED3D_MODELS=str(tmp_path / "models"))
    assert sorted(codes) == [0, 2] and "is called" in said[codes.index(2)]
    (kept,) = (tmp_path / "models").iterdir()
    assert kept.read_bytes() == files[codes.index(0)].read_bytes()


def test_a_named_pipe_is_no_package(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")
    pipe = tmp_path / "pipe-1.0.0.med3d.zip"
    os.mkfifo(pipe)
    with pytest.raises(ModelError, match="no file"):
        load_package(pipe)
    (entry,) = Catalogue(tmp_path, tmp_path / "none").list()
    assert "no file" in entry.problem


@POSIX
def test_half_written_files_of_killed_processes_go_and_those_of_living_ones_stay(tmp_path, other):
    killed, left = other("write", tmp_path / "a.nii.gz")
    _, busy = other("write", tmp_path / "b.nii.gz")
    old = tmp_path / ".med3d-0123456789ab.nii.gz"
    old.write_bytes(b"of an older version")
    os.utime(old, (0, 0))
    (tmp_path / ".med3d-notes").write_text("somebody else's, and new")
    kill(killed)
    remove_unfinished.cache_clear()
    Catalogue(tmp_path, tmp_path / "none")
    assert not Path(left).exists() and not old.exists()
    assert Path(busy).exists() and (tmp_path / ".med3d-notes").exists()


@POSIX
def test_scans_of_crashed_clients_go(tmp_path, other, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    killed, left = other("exchange", tmp_path)
    _, busy = other("exchange", tmp_path)
    assert Path(left).stat().st_mode & 0o777 == 0o700
    kill(killed)
    with new_exchange_folder() as own:
        worker = [sys.executable, "-m", "Med3DCore.worker"]
        subprocess.run(worker, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=60)
        remove_forgotten_folders()
        assert not Path(left).exists() and Path(busy).exists() and Path(own).exists()


def test_names_say_whose_they_are(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    mine = tmp_path / own_name(".x-", ".txt")
    mine.touch()
    theirs = tmp_path / mine.name.replace(str(os.getpid()), str(process.pid))
    theirs.touch()
    elsewhere = tmp_path / f".x-00000000-{process.pid}-0123456789ab"
    elsewhere.mkdir()
    remove_leftovers(tmp_path, ".x-")
    assert sorted(tmp_path.iterdir()) == sorted([mine, elsewhere])
    assert is_living(os.getpid()) and not is_living(process.pid)


def test_an_optimizer_leaves_no_folder_of_a_compiler(tmp_path):
    code = """
import torch
from Med3DCore.training.learning.optimization import ParameterGroup, make_optimizer
make_optimizer("adamw", [ParameterGroup(list(torch.nn.Linear(1, 1).parameters()))], 0.1, 0)
"""
    environment = {name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"}
    subprocess.run([sys.executable, "-c", code], env={**environment, "TMPDIR": str(tmp_path)}, check=True)
    assert not list(tmp_path.iterdir())


def test_a_damaged_line_of_a_log_hides_nothing(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_bytes(b'{"step": 1}\n7\n{"step": "x"}\n{}\nnull\n\xff\xfe\n{"step": 2, "loss": 1.0}\n{"st')
    assert [entry["step"] for entry in read_log(log)] == [1, 2]


def test_a_checkpoint_without_a_key_is_told(tmp_path):
    save_checkpoint(tmp_path, {"identity": "x", "step": 3})
    with pytest.raises(DataError, match="is damaged"):
        load_checkpoint(tmp_path, torch.device("cpu"))


def test_a_deeply_nested_description_is_told(tmp_path, capsys):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    assert main(["dataset", "check", str(tmp_path / "deep.json")]) == 2
    assert "Traceback" not in capsys.readouterr().err

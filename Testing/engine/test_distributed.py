"""Two processes under torchrun learn what one learns, stop together, and go on, on any number of them."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_co_training import data, make_task, write_co_training  # noqa: F401 - data is a fixture
from test_training_loop import SETTINGS, Line, curve, equal, run, state
from torch import nn
from training_boxes import CPU, save_parent, write_boxes, write_recipe

from Med3DCore.errors import Med3DError, SettingError
from Med3DCore.models.package_file import load_package
from Med3DCore.progress import Progress
from Med3DCore.system.distributed import Ranks
from Med3DCore.training.learning.checkpoint import read_log
from Med3DCore.training.learning.loop import train

HERE = Path(__file__).parent
LINE = replace(SETTINGS, accumulate=2, ema=0.5)


def torchrun(module, *arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", module]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, *map(str, arguments)], env=environment, **pipes)


# -- what both processes do, in one launch, which takes seconds --------------------------------------------------------


class Plain(Line):
    """Without dropout, whose random numbers differ between processes."""

    norm = nn.BatchNorm1d

    def build(self):
        return nn.Sequential(nn.Linear(1, 16), self.norm(16), nn.ReLU(), nn.Linear(16, 1))


class Plainer(Plain):
    """Without batch norm, before which a bias has no gradient but rounding, out of which Adam makes whole steps."""

    norm = nn.Identity


TASKS = {"sgd": Plain, "adamw": Plainer}


def jobs(folder, data_set):
    ranks, folder, kept = Ranks.here(), Path(folder), {}
    torch.set_num_threads(1)
    for kind in TASKS:
        kept[kind] = run(folder / kind, TASKS[kind](), replace(LINE, optimizer=kind)).weights
    once = Progress(is_cancelled=iter([False] * 6 + [True] * (ranks.rank == 1) + [False] * 9).__next__)
    kept["stopped"] = sentence(lambda: run(folder / "stopped", Plain(), LINE, progress=once))
    spoilt = Plain(spoil=lambda number: math.nan if number == 17 else 1.0)  # in step 5, of the second process
    kept["spoilt"] = sentence(lambda: run(folder / "spoilt", spoilt, LINE))
    kept["steps"] = run(folder / "time", Plain(pause=0.01), replace(LINE, steps=10_000), minutes=0.7 / 60).steps
    kept["statistics"] = [statistics(norm := nn.BatchNorm1d(1, momentum=0.5), (1, 3)), statistics(norm, (None, 5))]
    computed = []
    kept["spread"] = ranks.spread(lambda item: (computed.append(item), item * 10)[1], range(5)), computed
    recipe, task = make_task(Path(data_set), folder / "together.json")
    kept["together"] = train(task, recipe.training, folder / "together", recipe.seed, CPU).weights
    recipe, task = make_task(Path(data_set), folder / "idle.json")
    for steps in (6, 1):
        stopped = stop_after(steps)
        sentence(lambda stop=stopped: train(task, recipe.training, folder / "idle", recipe.seed, CPU, stop))
        if ranks.is_main:
            shutil.copy(folder / "idle" / "checkpoint.pt", folder / f"idle-{steps}.pt")
    torch.save(kept, folder / f"kept-{ranks.rank}.pt")


def statistics(norm, means):
    """Mean and number of batches that a batch norm has when each process, or one, saw a batch."""
    ranks = Ranks.here()
    with ranks.shared_statistics(norm):
        if means[ranks.rank]:
            norm(torch.full((4, 1), float(means[ranks.rank])))
    return float(norm.running_mean), int(norm.num_batches_tracked)


def stop_after(steps):
    asked = iter(range(1000))
    return Progress(is_cancelled=lambda: next(asked) > steps)  # the first question comes before the first step


def sentence(function):
    with pytest.raises(Med3DError) as error:
        function()
    return str(error.value)


def write_together(folder, accumulate):
    """Co-training in which batch norm always uses the batch."""
    training = {"steps": 8, "patch": [16, 16, 16], "batch": 1, "warmup": 1, "ema": 0.5, "accumulate": accumulate}
    return write_co_training(folder, training=training, settle=1)  # 250 steps between validations


@pytest.fixture(scope="module")
def done(tmp_path_factory, data):  # noqa: F811
    """The folder that two processes filled, and what each of them kept."""
    folder = tmp_path_factory.mktemp("two")
    write_together(folder, 2).rename(folder / "together.json")
    write_together(folder, 1).rename(folder / "idle.json")
    process = torchrun("test_distributed", folder, data)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    return folder, [torch.load(folder / f"kept-{rank}.pt") for rank in range(2)]


def near(first, second):
    """Whether the weights are equal but for rounding, running statistics of batch norm, too."""
    return all(torch.allclose(first[name].float(), second[name].float(), rtol=1e-5, atol=1e-5) for name in first)


# -- steps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TASKS)
def test_two_processes_learn_what_one_learns_with_twice_the_batches(done, tmp_path, kind):
    one = run(tmp_path, TASKS[kind](), replace(LINE, optimizer=kind, accumulate=4)).weights
    first, second = (kept[kind] for kept in done[1])
    assert near(one, first) and not near(one, TASKS[kind]().build().state_dict())
    assert all(torch.equal(first[name], second[name]) for name in first), "both have the same network"
    if kind == "sgd":
        assert first["1.num_batches_tracked"] == one["1.num_batches_tracked"] == 12 * 4
    losses = [[entry["loss"] for entry in curve(folder) if "loss" in entry] for folder in (tmp_path, done[0] / kind)]
    assert losses[0] == pytest.approx(losses[1], abs=2e-5)


def test_two_processes_co_train_as_one_does(done, data, tmp_path):  # noqa: F811
    recipe, task = make_task(data, write_together(tmp_path, 4))
    one = train(task, recipe.training, tmp_path / "run", recipe.seed, CPU).weights
    assert near(one, done[1][0]["together"]) and not near(one, task.build().state_dict())


def test_branches_that_no_process_used_and_their_optimizer_state_stay_as_they_are(done, data):  # noqa: F811
    _, task = make_task(data, done[0] / "idle.json")
    before, after = (torch.load(done[0] / f"idle-{steps}.pt") for steps in (6, 1))
    assert (before["step"], after["step"]) == (6, 7)
    idle = set(task.tasks) - {task.draw(number).domain for number in (12, 13)}
    names = [name for name, _ in task.build().named_parameters()]
    for domain in task.tasks:
        places = [place for place, name in enumerate(names) if name.startswith(f"branches.{domain}.")]
        own = [
            {name: value for name, value in kept["network"].items() if f".{domain}." in name}
            for kept in (before, after)
        ]
        moments = [{place: kept["optimizer"]["state"].get(place) for place in places} for kept in (before, after)]
        assert len(own[0]) > len(places) / 2 and equal(*own) == equal(*moments) == (domain in idle)
    assert idle


def test_running_statistics_are_of_the_processes_that_have_some(done):
    # 0 -> 1 -> 3, each time halfway, then from there to 5
    assert [kept["statistics"] for kept in done[1]] == [[(1.75, 2), (3.375, 3)]] * 2


# -- decisions -------------------------------------------------------------------------------------------------------


def test_a_wish_of_one_process_stops_both_after_the_same_step(done, tmp_path):
    assert all(kept["stopped"].startswith("Stopped after step 5; everything is saved") for kept in done[1])
    assert state(done[0] / "stopped")["step"] == 5
    shutil.copytree(done[0] / "stopped", tmp_path / "alone")
    assert run(tmp_path / "alone", Plain(), LINE).steps == 12, "one process goes on where two stopped"


def test_a_loss_that_is_no_number_in_one_process_stops_both(done):
    assert all("step 5: the loss is not a number" in kept["spoilt"] for kept in done[1])


def test_time_is_over_for_both_at_once(done):
    steps = [kept["steps"] for kept in done[1]]
    logged = [entry["step"] for entry in read_log(done[0] / "time" / "log.jsonl") if "loss" in entry]
    assert steps[0] == steps[1] and logged == list(range(1, steps[0] + 1))


def test_work_is_spread_and_gathered(done):
    assert [kept["spread"] for kept in done[1]] == [([0, 10, 20, 30, 40], [0, 2, 4]), ([0, 10, 20, 30, 40], [1, 3])]


def test_each_process_begins_elsewhere_and_does_all():
    assert [Ranks(rank, 3).own_first(7) for rank in range(3)] == [
        [0, 1, 2, 3, 4, 5, 6],
        [2, 3, 4, 5, 6, 0, 1],
        [4, 5, 6, 0, 1, 2, 3],
    ]


# -- the command -----------------------------------------------------------------------------------------------------


def train_boxes(folder, *more):
    data_set, recipe = write_boxes(folder), write_recipe(folder, steps=14, validate_every=7)
    values = json.loads(recipe.read_text())
    values["stages"][0]["training"]["save_seconds"] = 0
    recipe.write_text(json.dumps(values))
    return ["train", recipe, data_set, "-o", folder / "run", "--device", "cpu", *more]


def test_a_killed_process_ends_the_others_and_the_command_goes_on(tmp_path):
    log = tmp_path / "run" / "only" / "log.jsonl"
    command = train_boxes(tmp_path)
    process = torchrun("Med3DCore.cli.main", *command)
    while len(read_log(log)) < 3 and process.poll() is None:
        time.sleep(0.05)
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    second = next(pid for pid in children if b"RANK=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    os.kill(second, signal.SIGKILL)
    killed = time.monotonic()
    _, errors = process.communicate(timeout=180)
    assert process.returncode != 0 and time.monotonic() - killed < 20
    assert "med3d: Process 0 of 2 stops, because another one ended" in errors and "the same command goes on" in errors
    reached = state(log.parent)["step"]
    assert 2 <= reached < 14
    process = torchrun("Med3DCore.cli.main", *command)
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert output.count("wrote ") == 1 and "Warning" not in errors
    assert output.count("only: 14 steps, liver Dice") == 1
    load_package(tmp_path / "run" / "boxes-0.0.1.med3d.zip").verify()
    assert [entry["step"] for entry in read_log(log) if "loss" in entry] == list(range(1, 15))


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost"}.items():
        monkeypatch.setenv(name, value)
    assert Ranks.here() == Ranks(1, 2, 1)
    assert (Ranks.here().device("cpu"), Ranks.here().device("cuda")) == ("cpu", "cuda:1")
    with pytest.raises(SettingError, match="each process has a GPU of its own; use the device auto, not cuda:0"):
        Ranks.here().device("cuda:0")


def test_two_processes_fine_tune_and_the_first_one_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    parent, data_set, folder = save_parent(tmp_path), write_boxes(tmp_path), tmp_path / "run"
    settings = ["steps=3", "patch=[16,16,16]", "batch=2", "learning_rate=0.01"]
    command = ["fine-tune", parent.path, data_set, "-o", folder, "--device", "cpu", "--minutes", "9", "--json"]
    command += [argument for setting in settings for argument in ("--set", setting)]
    for _ in range(2):  # the second time it is done already, and gives the same again
        process = torchrun("Med3DCore.cli.main", *command)
        output, errors = process.communicate(timeout=180)
        assert process.returncode == 0, errors
        result = json.loads(output)
        assert result["steps"] == 9 and set(result["after"]) == {"liver", "lungs"}
    load_package(tmp_path / "models" / Path(result["model"]).name).verify()
    for stage in ("coarse", "liver", "lungs"):
        assert [entry["step"] for entry in read_log(folder / stage / "log.jsonl") if "loss" in entry] == [1, 2, 3]


if __name__ == "__main__":
    jobs(*sys.argv[1:])

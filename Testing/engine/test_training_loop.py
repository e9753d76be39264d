"""The loop: a run that was killed, stopped or out of disk goes on as if nothing had happened."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from Med3DCore.errors import Cancelled, DataError, Med3DError, OutputError, SettingError
from Med3DCore.inference.device import Device
from Med3DCore.progress import Progress
from Med3DCore.training.learning import checkpoint
from Med3DCore.training.learning.checkpoint import LAST, TrainingLog, save_checkpoint
from Med3DCore.training.learning.loop import train
from Med3DCore.training.learning.loop_settings import LoopSettings
from Med3DCore.training.learning.optimization import ParameterGroup, rate_factor
from Med3DCore.training.learning.run import _with_defaults
from Med3DCore.training.learning.task import Task, Validation

CPU = Device("cpu", "CPU", torch.float32, "test")
SETTINGS = LoopSettings(steps=12, batch=4, learning_rate=0.05, warmup=2, validate_every=5, ema=0.9, save_seconds=0)


class Line(Task):
    """Learns x -> 3 x with a network that has all that could go astray: dropout, batch norm, a running average."""

    def __init__(self, spoil=lambda number: 1.0, scores=None, pause=0.0):
        self.name, self.identity = "train line", ["line"]
        self.spoil, self.scores, self.pause = spoil, scores, pause
        self.drawn, self.fractions = [], []

    def build(self):
        return nn.Sequential(nn.Linear(1, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, 1))

    def draw(self, number):
        self.drawn.append(number)
        x = torch.randn(8, 1, generator=torch.Generator().manual_seed(number))
        return x, 3 * x * self.spoil(number)

    def begin_step(self, fraction):
        self.fractions.append(fraction)

    def loss(self, network, batch, device):
        time.sleep(self.pause)
        x, y = batch
        with device.autocast():
            found = network(x)
        return (found.float() - y).square().mean()

    def validate(self, network, device, progress):
        if self.scores is not None:
            return Validation(next(self.scores))
        x = torch.linspace(-1, 1, 9)[:, None]
        error = float((network(x) - 3 * x).abs().mean())
        return Validation(-error, {"line": {"nine points": round(error, 6)}})


def run(folder, task=None, settings=SETTINGS, seed=0, progress=None, device=CPU, **more):
    return train(task or Line(), settings, Path(folder), seed, device, progress, **more)


def curve(folder):
    """The log without its times."""
    return [{k: v for k, v in e.items() if k != "seconds"} for e in checkpoint.read_log(Path(folder) / "log.jsonl")]


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def state(folder):
    return checkpoint.load_checkpoint(Path(folder), torch.device("cpu"))


def equal(a, b):
    """Whether two checkpoints are equal to the last bit, times aside."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a if "seconds" not in str(k))
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


# -- going on --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_a_stopped_run_goes_on_the_same(tmp_path, optimizer):
    settings = replace(SETTINGS, optimizer=optimizer, accumulate=2)
    whole = run(tmp_path / "whole", settings=settings)
    asked = iter(range(100))
    with pytest.raises(Cancelled, match=r"Stopped after step 7; everything is saved in .*parts"):
        run(tmp_path / "parts", settings=settings, progress=Progress(is_cancelled=lambda: next(asked) >= 8))
    parts = run(tmp_path / "parts", settings=settings)
    assert same(whole.weights, parts.weights) and parts.steps == 12
    assert curve(tmp_path / "whole") == curve(tmp_path / "parts") and len(curve(tmp_path / "whole")) == 12 + 3
    assert equal(state(tmp_path / "whole"), state(tmp_path / "parts"))


def test_a_run_killed_at_any_moment_goes_on_the_same(tmp_path):
    settings = replace(SETTINGS, steps=60)
    code = (
        "import sys; from pathlib import Path; from dataclasses import replace; import test_training_loop as t\n"
        "t.run(sys.argv[1], t.Line(pause=0.005), replace(t.SETTINGS, steps=60))"
    )
    folder, kills = tmp_path / "killed", 0
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    reached = -1
    while kills < 3:
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)], env=environment)
        while process.poll() is None and last_step(folder) <= reached + 7:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        reached = last_step(folder)
        assert reached < 60, "the run must still be going when it is killed"
    torch.set_num_threads(1)
    whole, resumed = run(tmp_path / "whole", settings=settings), run(folder, settings=settings)
    assert same(whole.weights, resumed.weights)
    assert curve(tmp_path / "whole") == curve(folder)
    assert equal(state(tmp_path / "whole"), state(folder))


def last_step(folder):
    entries = checkpoint.read_log(folder / "log.jsonl")
    return entries[-1]["step"] if entries else 0


def test_a_finished_run_is_not_done_again(tmp_path):
    first, task = run(tmp_path), Line()
    assert same(first.weights, run(tmp_path, task).weights) and not task.drawn


def test_what_there_is_can_be_taken_before_the_end(tmp_path):
    asked, task = iter(range(100)), Line()
    with pytest.raises(Cancelled):
        run(tmp_path, progress=Progress(is_cancelled=lambda: next(asked) >= 4))
    taken = run(tmp_path, task, finish=True)
    assert taken.steps == 3 and not task.drawn and taken.validation.score is not None
    with pytest.raises(DataError, match=r"There is no training in .*none that could be finished"):
        run(tmp_path / "none", finish=True)


@pytest.mark.parametrize("change", [{"learning_rate": 0.1}, {"schedule": "poly"}])
def test_a_run_of_other_settings_is_not_taken(tmp_path, change):
    run(tmp_path)
    with pytest.raises(DataError, match="training with other settings"):
        run(tmp_path, settings=replace(SETTINGS, **change))
    with pytest.raises(DataError, match="training with other settings"):
        run(tmp_path, seed=1)


@pytest.mark.parametrize("unknown", ["clip_norm", "ema"])
def test_a_run_of_a_version_that_did_not_know_a_setting_is_taken_if_that_is_at_its_default(tmp_path, unknown):
    first, task = run(tmp_path), Line()
    state = torch.load(tmp_path / LAST, weights_only=True)
    identity = json.loads(state["identity"])
    del identity[1][unknown]
    save_checkpoint(tmp_path, {**state, "identity": json.dumps(identity)})
    if unknown == "ema":  # which is not at its default here
        with pytest.raises(DataError, match="training with other settings"):
            run(tmp_path, task)
    else:
        assert same(first.weights, run(tmp_path, task).weights) and not task.drawn


def test_settings_that_are_groups_may_lack_some_too():
    defaults = {"steps": 1, "augmentation": {"noise": 0.1, "bowel": 0.0}, "region": None}
    assert _with_defaults({"steps": 2, "augmentation": {"noise": 0.2}, "region": {"shift": 1}}, defaults) == {
        "steps": 2,
        "augmentation": {"noise": 0.2, "bowel": 0.0},
        "region": {"shift": 1},
    }


def test_a_damaged_checkpoint_says_so(tmp_path):
    run(tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"checkpoint.pt is damaged"):
        run(tmp_path)


# -- trouble ---------------------------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(tmp_path):
    with pytest.raises(Med3DError, match="step 9: the loss is not a number"):
        run(tmp_path, Line(spoil=lambda number: math.nan if number == 8 else 1.0))
    kept = state(tmp_path)
    assert kept["step"] == 8 and all(v.isfinite().all() for v in kept["network"].values())
    assert same(run(tmp_path).weights, run(tmp_path / "whole").weights), "mended, it goes on"


def test_a_full_disk_stops_and_keeps_the_checkpoint(tmp_path, monkeypatch):
    real, saves = torch.save, iter(range(100))

    def full(state, path):
        real(state, path)
        if next(saves) >= 6:
            raise RuntimeError("[enforce fail at inline_container.cc:664] . PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match=r"checkpoint.pt cannot be written: the disk is full.*make space there"):
        run(tmp_path)
    monkeypatch.undo()
    assert state(tmp_path)["step"] > 0 and not list(tmp_path.glob(".med3d-*"))
    assert same(run(tmp_path).weights, run(tmp_path / "whole").weights)


def test_a_disk_that_is_really_full_keeps_the_checkpoint_and_says_what_to_do(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        save_checkpoint(disk, {"step": 1})
        before = (disk / LAST).read_bytes()
        with pytest.raises(OutputError, match=r"checkpoint.pt cannot be written: the disk is full.*make space there"):
            save_checkpoint(disk, {"step": 2, "network": torch.zeros(200_000)})
        (disk / "other").write_bytes(bytes(shutil.disk_usage(disk).free))
        with pytest.raises(OutputError, match=r"log.jsonl cannot be written: No space left.*make space there"):
            TrainingLog(disk).add({"step": 2})
        assert (disk / LAST).read_bytes() == before and not list(disk.glob(".med3d-*"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_no_steps_keep_the_weights_and_measure_them(tmp_path):
    trained = run(tmp_path, settings=replace(SETTINGS, steps=0))
    torch.manual_seed(0)
    assert equal(trained.weights, Line().build().state_dict())
    assert trained.steps == 0 and trained.validation.score is not None


@pytest.mark.parametrize(
    "change,named",
    [
        ({"steps": -1}, "'steps' is -1"),
        ({"ema": 1.0}, "'ema' is 1.0"),
        ({"learning_rate": math.nan}, "'learning_rate' is nan"),
        ({"keep": "first"}, "'keep' is 'first'"),
        ({"steps": "100"}, "'steps' is '100'; it must be a whole number"),
        ({"batch": 1.5}, "'batch' is 1.5; it must be a whole number"),
        ({"freeze_batch_norm": "no"}, "'freeze_batch_norm' is 'no'; it must be true or false"),
        ({"optimizer": "lion"}, "optimizer is 'lion'"),
        ({"schedule": "wave"}, "schedule of the learning rate is 'wave'"),
    ],
)
def test_settings_that_make_no_sense_are_named(tmp_path, change, named):
    with pytest.raises(SettingError, match=named):
        run(tmp_path, settings=LoopSettings(**{**asdict(SETTINGS), **change}))


# -- batches drawn ahead ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_drawn_ahead_change_nothing(tmp_path, workers):
    settings = replace(SETTINGS, accumulate=2)
    asked = iter(range(100))
    with pytest.raises(Cancelled):
        stop = Progress(is_cancelled=lambda: next(asked) >= 5)
        run(tmp_path / "ahead", settings=settings, progress=stop, workers=workers)
    task = Line()
    ahead = run(tmp_path / "ahead", task, settings, workers=workers)
    assert same(ahead.weights, run(tmp_path / "plain", settings=settings).weights)
    assert curve(tmp_path / "ahead") == curve(tmp_path / "plain") and len(task.drawn) == len(set(task.drawn))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("draw")], "they end with the run"


def test_what_goes_wrong_in_drawing_ahead_is_told_at_its_step(tmp_path):
    class Gone(Line):
        def draw(self, number):
            if number == 4:
                raise DataError("Case 'x' is gone.")
            return super().draw(number)

    with pytest.raises(DataError, match="'x' is gone"):
        run(tmp_path, Gone(), workers=2)
    assert state(tmp_path)["step"] == 4
    assert same(run(tmp_path, workers=2).weights, run(tmp_path / "whole").weights), "mended, it goes on"


# -- learning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_it_learns_in_each_precision(tmp_path, dtype):
    trained = run(tmp_path, settings=replace(SETTINGS, steps=200, save_seconds=60), device=replace(CPU, dtype=dtype))
    scores = [entry["score"] for entry in curve(tmp_path) if "score" in entry]
    assert trained.validation.score > -0.6 and scores[0] < -1.0


def test_accumulated_batches_are_one_large_batch(tmp_path):
    task = Line()
    run(tmp_path, task, replace(SETTINGS, accumulate=3, steps=2))
    assert task.drawn == [0, 1, 2, 3, 4, 5]


def test_frozen_parts_and_batch_norms_stay(tmp_path):
    class Transfer(Line):
        def parameter_groups(self, network):
            return [ParameterGroup(tuple(network[0].parameters()), 0.0), ParameterGroup(tuple(network[3].parameters()))]

    torch.manual_seed(0)
    begin = Line().build().state_dict()
    end = run(tmp_path, Transfer(), replace(SETTINGS, freeze_batch_norm=True, ema=0)).weights
    assert [name for name in end if not torch.equal(end[name], begin[name])] == ["3.weight", "3.bias"]


def test_early_stopping_keeps_the_best(tmp_path):
    scores = iter([0.1, 0.5, 0.3, 0.4, 0.9])
    settings = replace(SETTINGS, steps=100, validate_every=2, patience=2, keep="best")
    trained = run(tmp_path, Line(scores=scores), settings)
    assert trained.steps == 8 and trained.validation.score == 0.5
    best = checkpoint.load_checkpoint(tmp_path, torch.device("cpu"), "best.pt")
    assert best["score"] == 0.5 and same(trained.weights, best["weights"])
    assert not same(trained.weights, state(tmp_path)["averaged"])
    (tmp_path / "best.pt").unlink()
    with pytest.raises(DataError, match=r"has lost best\.pt"):
        run(tmp_path, Line(), settings)


def test_a_time_budget_ends_the_run_and_its_learning_rate(tmp_path):
    begin = time.monotonic()
    task = Line(pause=0.01)
    trained = run(tmp_path, task, replace(SETTINGS, steps=10_000, validate_every=0), minutes=1.5 / 60)
    assert 1.4 < time.monotonic() - begin < 15 and 3 < trained.steps < 200  # on a busy computer, too
    rates = [entry["rate"] for entry in curve(tmp_path) if "rate" in entry]
    assert max(rates) > 0.03 and rates[-1] < 0.02
    assert len([entry for entry in curve(tmp_path) if "score" in entry]) >= 2, "now and then, and after"
    assert task.fractions == sorted(task.fractions) and task.fractions[-1] > 0.1, "a task can follow the time, too"


@pytest.mark.parametrize("minutes", [0, -1, math.nan])
def test_no_time_is_refused(tmp_path, minutes):
    with pytest.raises(SettingError, match="it must be more than 0"):
        run(tmp_path, minutes=minutes)


@pytest.mark.parametrize(
    "schedule,values",
    [("cosine", (1, 0.5, 0)), ("poly", (1, 0.5**0.9, 0)), ("step", (1, 1, 0.01)), ("constant", (1,) * 3)],
)
def test_schedules(schedule, values):
    assert [rate_factor(schedule, f) for f in (0.0, 0.5, 1.0)] == pytest.approx(values)


def test_progress_is_told_steps_scores_and_time_left(tmp_path):
    told, metrics = [], []
    progress = Progress(lambda *event: told.append(event), on_metric=lambda *event: metrics.append(event))
    run(tmp_path, progress=progress)
    assert [fraction for _, fraction, _ in told] == pytest.approx([0, *(i / 12 for i in range(12))])
    assert told[-1][0] == "train line" and told[-1][2] > 0
    assert [m[1] for m in metrics if m[2] is not None] == list(range(1, 13))
    assert [m[1] for m in metrics if m[3] is not None] == [5, 10, 12] and "line" in metrics[-1][3]
    assert json.dumps(metrics)

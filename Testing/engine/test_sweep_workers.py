"""``med3d sweep`` in several processes: some are killed, all runs are in the table once, as without a kill."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sweep_runs import KILL, do, do_until_stopped
from test_compare import save_encoder
from test_sweep import make_plan, sweep
from test_task_command import write_patient, write_task

from Med3DCore.benchmarks.sweep.engine import Shares
from Med3DCore.errors import Cancelled, SettingError
from Med3DCore.progress import Progress

pytest.importorskip("distributed", reason="Dask is not installed (the extra `sweep`)")
pytest.importorskip("cryptography", reason="cryptography is not installed (the extra `sweep`)")

from Med3DCore.benchmarks.sweep.side_by_side import SideBySide

ROOT = Path(__file__).parents[2]


# -- the engine, with runs that compute nothing ------------------------------------------------------------------------


def test_a_run_whose_worker_is_killed_is_done_by_another_and_one_that_kills_all_is_named(tmp_path):
    runs = make_plan(seeds=(1, 2), tasks=["luna16"]).runs(tmp_path)[:-1]  # of the one that kills all, one is enough
    progress = Progress()
    with progress.stage("sweep", share=1.0):
        outcomes = list(SideBySide(2)(runs, do, Shares(progress, len(runs), 0)))
    assert sorted(outcome.run.name for outcome in outcomes) == sorted(run.name for run in runs)
    tried = {run.name: (run.folder / "tried").read_text().split() for run in runs}
    for outcome in outcomes:
        if outcome.run.start == "odd":
            assert "was killed, perhaps since the computer's memory was full" in outcome.failed
            assert len(tried[outcome.run.name]) == 2
        else:
            assert outcome.figures["auc"].value == outcome.run.seed / 10
            assert len(tried[outcome.run.name]) == (2 if outcome.run.name == "luna16, plain, seed 2" else 1)
    assert len({process for own in tried.values() for process in own}) > 2, "killed workers are replaced"


def test_stopped_each_run_saves_where_it_is_and_none_begins(tmp_path):
    runs = make_plan(seeds=(1, 2), tasks=["luna16"]).runs(tmp_path)
    progress = Progress(is_cancelled=lambda: len(list(tmp_path.rglob("begun"))) == 2)
    outcomes = []
    with pytest.raises(Cancelled), progress.stage("sweep", share=1.0):
        for outcome in SideBySide(2)(runs, do_until_stopped, Shares(progress, len(runs), 0)):
            outcomes.append(outcome)
    assert [outcome.run.seed for outcome in outcomes] == [1, 1, 1]
    assert len(list(tmp_path.rglob("begun"))) == len(list(tmp_path.rglob("saved"))) == 2


def test_an_address_where_nobody_answers_gets_a_sentence(monkeypatch):
    from Med3DCore.benchmarks.sweep import side_by_side

    monkeypatch.setattr(side_by_side, "_PATIENCE_SECONDS", 0.5)
    runs = make_plan().runs(Path("out"))
    with pytest.raises(SettingError, match="No Dask scheduler answers at tcp://127"):
        next(SideBySide(1, "tcp://127.0.0.1:9")(runs, do, Shares(Progress(), 1, 0)))


# -- the command, with real trainings ----------------------------------------------------------------------------------


def killed_in_between(out):
    """Kill the process of a training that has a checkpoint and is not at its end; its run's folder."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for lock in out.glob("blocks/*/*/block/.lock"):
            try:
                steps = lock.with_name("log.jsonl").read_text().count("loss")
                holder = json.loads(lock.read_text())["pid"]
            except (OSError, ValueError):
                continue
            if lock.with_name("checkpoint.pt").is_file() and 2 <= steps <= 12:
                os.kill(holder, KILL)
                return lock.parent.parent
        time.sleep(0.005)
    raise AssertionError("no training was caught in between")


@pytest.mark.skipif(sys.platform == "win32", reason="locks say nothing while they are held there")
def test_with_a_worker_killed_every_run_is_in_the_table_once_with_the_figures_of_one_process(tmp_path):
    for number in range(6):
        write_patient(tmp_path, number)
    blocks = write_task(tmp_path), tmp_path / "set", save_encoder(tmp_path, 1, width=4)
    starts = ("scratch", f"enc={blocks[2]}")
    command = ["sweep", blocks[0], "--data", blocks[1], "--device", "cpu", "--no-cache", "--steps", 15]
    command += ["--starts", *starts, "--seeds", 0, "-j", 2, "-o", tmp_path / "two"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "Med3DCore.cli.main", *map(str, command)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    killed = killed_in_between(tmp_path / "two")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "2 of 2: blocks" in err and "wrote" in out
    assert "goes on where it was stopped" in (killed / "output.txt").read_text()

    assert sweep(blocks, tmp_path / "one", starts=starts, seeds=(0,), steps=15) == 0
    for name in ("sweep.csv", "runs.csv"):
        one, two = ([*csv.DictReader((tmp_path / each / name).open())] for each in ("one", "two"))
        for row in (*one, *two):  # but for what a computer takes
            [row.pop(key) for key in [*row] if key in ("seconds", "cpu_percent_seconds", "memory_mb")]
        assert one == two and len(one) == 2
    for log in (tmp_path / "two").rglob("log.jsonl"):
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        assert [entry["step"] for entry in entries if "loss" in entry] == list(range(1, 16))

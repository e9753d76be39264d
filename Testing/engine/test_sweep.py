"""``med3d sweep``: what is asked for, what is kept and resumed, and the table."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import time
from pathlib import Path

import pytest
import torch
from test_compare import save_encoder
from test_task_command import write_patient, write_task

from Med3DCore.benchmarks.catalogue import find_task, known_tasks
from Med3DCore.benchmarks.networks import task_recipe
from Med3DCore.benchmarks.results import Results, write_results
from Med3DCore.benchmarks.run_folder import EVALUATION
from Med3DCore.benchmarks.sweep import engine
from Med3DCore.benchmarks.sweep.choices import chosen_tasks, data_folders, steps_by_task
from Med3DCore.benchmarks.sweep.engine import Shares
from Med3DCore.benchmarks.sweep.kept_plan import keep_plan
from Med3DCore.benchmarks.sweep.outcome import Outcome
from Med3DCore.benchmarks.sweep.plan import SweepPlan
from Med3DCore.benchmarks.sweep.report import as_markdown, to_dict, write_table
from Med3DCore.benchmarks.sweep.table import main_figure, make_table
from Med3DCore.cli import sweep_run
from Med3DCore.cli.main import main
from Med3DCore.errors import Cancelled, DataError, SettingError
from Med3DCore.evaluation.classification import Estimate
from Med3DCore.networks.preact_resnet import PreActResNetEncoder
from Med3DCore.networks.resnet import ResNetEncoder
from Med3DCore.progress import Progress
from Med3DCore.system.locks import locked
from Med3DCore.training.comparison.init import Init
from Med3DCore.training.learning.initialization import find_starts
from Med3DCore.training.segmentation.checks import check_stage

STARTS = tuple(Init(name, "scratch") for name in ("plain", "good", "odd"))


def make_plan(seeds=(1, 2, 3), starts=STARTS, tasks=("liver_cysts", "luna16"), **more):
    return SweepPlan(chosen_tasks(tasks), {name: Path(name) for name in tasks}, starts, seeds, **more)


def outcomes_of(plan, scores, figure="jaccard cyst"):
    """Of the first task; scores by start, a text for what failed."""
    found = []
    for run in plan.runs(Path("sweep")):
        if run.task == next(iter(plan.tasks)) and run.seed in scores.get(run.start, {}):
            score = scores[run.start][run.seed]
            figures = {figure: Estimate(score, None, None, 8), "seconds": Estimate(9.0, None, None, 8)}
            found.append(Outcome(run, failed=score) if isinstance(score, str) else Outcome(run, figures, 8, 5.0))
    return found


# -- every start can be used by every task -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files as MedicalNet, Kinetics, 2D ResNets and Med3D's own pre-trainings leave them, of width 8."""
    folder, files = tmp_path_factory.mktemp("weights"), {}

    def save(name, encoder, prefix="", **more):
        tensors = {prefix + key: value for key, value in encoder.state_dict().items()} | more
        torch.save({"state_dict": tensors}, folder / f"{name}.pth")
        files[name] = str(folder / f"{name}.pth")

    sizes = {"depth": 10, "width": 8}
    save("MedicalNet", ResNetEncoder(**sizes, output_stride=8), "module.")
    head = {"fc.weight": torch.zeros(4, 64), "fc.bias": torch.zeros(4)}
    save("Kinetics", ResNetEncoder(**sizes, in_channels=3, output_stride=32), **head)
    flat = ResNetEncoder(**sizes, in_channels=3, output_stride=32, flat=True).state_dict()
    flat = {key: value.squeeze(2) if value.ndim == 5 else value for key, value in flat.items()}
    torch.save(flat, folder / "flat.pth")
    files |= {way: f"{way}:{folder / 'flat.pth'}" for way in ("i3d", "acs", "2.5d")}
    files["VDT"] = save_encoder(folder, 1)
    save("PreAct", PreActResNetEncoder(depth=50, width=8, in_channels=3, output_stride=8))
    return files


@pytest.mark.parametrize("task", known_tasks(), ids=lambda task: task.name)
def test_every_start_fits_every_task_once_the_encoder_has_its_size(task, weights):
    for name, source in {**weights, "scratch": "scratch"}.items():
        encoder = {"width": 8, "shortcut": "B"}
        if name == "PreAct":
            encoder |= {"name": "preact_resnet", "depth": 50}
        stages = [stage.stage for stage in task_recipe(task, 2, 0, encoder).stages]
        for stage, start in zip(stages, find_starts(source, stages), strict=True):
            assert stage.network["encoder"]["width"] == 8
            if name == "scratch":
                assert start.weights is None
                continue
            stem = start.weights["encoder.conv1.weight"]
            assert stem.shape == (8, stage.network["encoder"].get("in_channels", 1), 7, 7, 7)


def test_an_unknown_setting_of_the_encoder_is_refused(capsys):
    with pytest.raises(SettingError, match="deepness"):
        check_stage(task_recipe(find_task("luna16"), encoder={"deepness": 3}).stages[0])
    with pytest.raises(SystemExit):
        main(["task", "train", "luna16", "DATA", "-o", "RUN", "--encoder", "depth"])
    assert "'depth' is not such as depth=50" in capsys.readouterr().err


# -- what is asked for -------------------------------------------------------------------------------------------------


def test_data_and_steps_are_said_for_one_task_or_for_all(tmp_path):
    for name in ("all/luna16", "all/brats2019", "cysts"):
        (tmp_path / name).mkdir(parents=True)
    tasks = chosen_tasks(["luna16", "liver_cysts", "brats2019"])
    texts = [str(tmp_path / "all"), f"liver_cysts={tmp_path / 'cysts'}"]
    assert data_folders(texts, tasks) == {
        name: tmp_path / place
        for name, place in {"luna16": "all/luna16", "liver_cysts": "cysts", "brats2019": "all/brats2019"}.items()
    }
    assert data_folders([str(tmp_path / "cysts")], ["luna16"]) == {"luna16": tmp_path / "cysts"}
    assert steps_by_task(["300", "luna16=20"], tasks) == {"luna16": 20, "liver_cysts": 300, "brats2019": 300}
    assert steps_by_task(["luna16=20"], tasks) == {"luna16": 20}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["luna=x"], "'luna', which is none of luna16, brats2019"),
        (["luna16=."], "where the data of 'brats2019' are; add --data brats2019=FOLDER"),
        ([".", "other"], "both given as the folder of all tasks"),
        (["."], "luna16 is no folder"),
    ],
)
def test_data_that_are_not_said_rightly_get_a_sentence(texts, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((SettingError, DataError)) as told:
        data_folders(texts, ["luna16", "brats2019"])
    assert words in str(told.value)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(SettingError, match="task luna16 is given twice"):
        chosen_tasks(["luna16", "luna16"])
    with pytest.raises(SettingError, match="seed 1 is given twice"):
        make_plan(seeds=(1, 1))
    with pytest.raises(SettingError, match="'many' is no number of steps"):
        steps_by_task(["many"], ["luna16"])
    assert (Init.parse("vdt=runs/a.med3d.zip"), Init.parse("a.pth=net").name) == (
        Init("vdt", "runs/a.med3d.zip"),
        "net",
    )


# -- the table ---------------------------------------------------------------------------------------------------------


def test_the_table_has_mean_and_spread_and_says_what_failed():
    plan = make_plan()
    scores = {
        "plain": {1: 0.50, 2: 0.60, 3: 0.70},
        "good": {1: 0.70, 2: 0.81, 3: 0.89},
        "odd": {1: 0.4, 2: "No memory.", 3: "No memory."},
    }
    table = make_table(plan, outcomes_of(plan, scores), warnings=["luna16: good has seen them."])
    plain, _, odd = table.columns[0].cells
    assert plain.scores == scores["plain"] and odd.failed == {2: "No memory.", 3: "No memory."}
    text = as_markdown(table)
    assert "| start | liver_cysts: jaccard cyst (8 patients) | luna16 |" in text
    assert "| plain | 0.600 ± 0.100 (3) | to do |" in text
    assert "| good | **0.800 ± 0.095** (3) | to do |" not in text, "odd has one seed, which shows nothing"
    assert "| odd | 0.400 (1 of 3) | to do |" in text
    assert "| good | +0.200 (+0.175 to +0.225) | - |" in text
    assert "- liver_cysts, odd, seeds 2, 3: No memory." in text
    assert "9 of 18 runs are still to be done" in text
    assert "**Beware:** luna16: good has seen them." in text


@pytest.mark.parametrize(
    ("good", "is_bold"),
    [
        ({1: 0.70, 2: 0.81, 3: 0.89}, True),  # better with every seed by about as much
        ({1: 0.90, 2: 0.61, 3: 0.71}, False),  # a mean that is higher, by chance as likely
        ({1: 0.50, 2: 0.60, 3: 0.70}, False),  # the same
    ],
)
def test_bold_is_only_what_is_better_by_more_than_chance(good, is_bold):
    plan = make_plan(starts=STARTS[:2])
    table = make_table(plan, outcomes_of(plan, {"plain": {1: 0.5, 2: 0.6, 3: 0.7}, "good": good}))
    assert (table.columns[0].best is table.columns[0].cells[1]) is is_bold
    assert ("**0." in as_markdown(table)) is is_bold
    assert [row["is_best"] for row in to_dict(table)["table"][:2]] == [False, is_bold]


def test_of_a_distance_the_lowest_is_best_and_the_figure_can_be_chosen():
    plan = make_plan(starts=STARTS[:2])
    scores = {"plain": {1: 5.0, 2: 6.0, 3: 7.0}, "good": {1: 3.0, 2: 4.1, 3: 4.9}}
    table = make_table(plan, outcomes_of(plan, scores, "hd95_mm cyst"), ["hd95_mm cyst"])
    assert table.columns[0].best.start == "good"
    assert "hd95 mm cyst, low is good" in as_markdown(table)
    assert main_figure(["dice a", "dice b", "mean dice", "mean nsd"]) == "mean dice"
    assert main_figure(["auc", "accuracy"], ["none", "accuracy"]) == "accuracy"


def test_the_files_say_the_same(tmp_path):
    plan = make_plan(starts=STARTS[:2])
    scores = {"plain": {1: 0.5, 2: 0.6, 3: 0.7}, "good": {1: 0.7, 2: 0.81, 3: "Gone."}}
    found = outcomes_of(plan, scores)
    files = write_table(make_table(plan, found[::-1]), tmp_path)
    assert {file.name for file in files} == {"sweep.md", "sweep.csv", "runs.csv", "sweep.json", "sweep.png"}
    with (tmp_path / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = json.loads((tmp_path / "sweep.json").read_text())
    assert [(row["task"], row["start"], row["seeds"], row["failed"]) for row in rows[:2]] == [
        ("liver_cysts", "plain", "3", "0"),
        ("liver_cysts", "good", "2", "1"),
    ]
    assert float(rows[1]["mean"]) == values["table"][1]["mean"] == pytest.approx(0.755)
    with (tmp_path / "runs.csv").open() as file:
        runs = list(csv.DictReader(file))
    assert [(run["start"], run["seed"], run["jaccard cyst"], run["failed"]) for run in runs] == [
        *(("plain", str(seed), str(score), "") for seed, score in scores["plain"].items()),
        ("good", "1", "0.7", ""),
        ("good", "2", "0.81", ""),
        ("good", "3", "", "Gone."),
    ]
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_progress_counts_runs_and_parts_of_them_and_never_goes_back():
    told = []
    shares = Shares(progress := Progress(lambda _, part, __: told.append(part)), total=4, done=1)
    with progress.stage("sweep", share=1.0):
        shares.tell("a", 0.5)
        shares.tell("b", 0.5)
        shares.tell("a", 0.2)  # it was killed, and goes on from an earlier step
        shares.end("a")
    assert told[1:] == [0.375, 0.5, 0.5]


def test_the_time_left_does_not_count_what_earlier_calls_did():
    left = []
    progress = Progress(lambda _, __, seconds: left.append(seconds))
    with progress.stage("sweep", share=1.0):
        shares = Shares(progress, total=2, done=1)
        shares.tell("half done", 0.5)
        time.sleep(0.1)
        shares.tell("half done", 0.6)  # a tenth of a run took a tenth of a second, and four are left
    assert 0.3 < left[-1] < 4


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    """A task, its data and an encoder that fits it."""
    folder = tmp_path_factory.mktemp("sweep")
    for number in range(6):
        write_patient(folder, number)
    return write_task(folder), folder / "set", save_encoder(folder, 1, width=4)


def sweep(blocks, folder, *more, starts=("scratch",), seeds=(0,), steps=2):
    task, data, _ = blocks
    said = ["sweep", task, "--data", data, "-o", folder, "--steps", steps, "--device", "cpu", "--no-cache", "--quiet"]
    return main([*map(str, [*said, "--starts", *starts, "--seeds", *seeds, *more])])


def test_a_folder_that_cannot_be_written_is_refused_before_the_data_are_read(blocks, tmp_path, capsys):
    empty, taken = tmp_path / "empty", tmp_path / "taken"
    empty.mkdir()
    taken.write_text("a file")
    assert sweep((blocks[0], empty, None), taken / "runs") == 2
    assert f"may not write to {taken}; choose another one" in capsys.readouterr().err


@pytest.fixture
def tried(monkeypatch):
    """The runs that began, of which only the one from a model that is gone really trains, and fails."""
    tried, real = [], sweep_run.train_task

    def train(args, ranks):
        start = args.output.parent.name
        tried.append((start, args.seed))
        if start == "hungry" and len(tried) < 4:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB.")
        return real(args, ranks) if start == "gone" else 0

    def evaluate(name, run_folder, *_):
        figures = {"dice block": Estimate(0.5, None, None, 2)}
        write_results(Results("blocks", "m-1.0.0", 2, [], figures), run_folder / EVALUATION)

    monkeypatch.setattr(sweep_run, "train_task", train)
    monkeypatch.setattr(sweep_run, "evaluate_run", evaluate)
    return tried


def test_failures_are_named_what_is_done_is_not_done_again_and_more_may_be_added(
    blocks, tmp_path, capsys, tried, monkeypatch
):
    starts = ["scratch", "hungry=" + blocks[2], "gone=gone.med3d.zip"]
    assert sweep(blocks, tmp_path / "out", starts=starts) == 1
    said = capsys.readouterr()
    assert "There is not enough memory" in said.err and "blocks, gone, seed 0" in said.err
    assert said.out.count("| failed |") == 2
    assert tried == [("scratch", 0), ("hungry", 0), ("gone", 0)]
    assert "Tried to allocate" in (tmp_path / "out" / "blocks" / "hungry" / "seed-0" / "output.txt").read_text()
    assert sweep(blocks, tmp_path / "out", starts=starts[:2], seeds=(0, 1)) == 0
    assert sorted(tried[3:]) == [("hungry", 0), ("hungry", 1), ("scratch", 1)]
    assert len(tried) == 6
    monkeypatch.setattr(engine, "one_after_the_other", lambda *_: pytest.fail("nothing is left to be done"))
    assert sweep(blocks, tmp_path / "out", starts=starts[:2], seeds=(0, 1)) == 0
    values = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert [(run["start"], run["seed"]) for run in values["runs"]] == [
        (start, seed) for start in ("scratch", "hungry") for seed in (0, 1)
    ]
    assert values["to_go"] == 0


def test_a_folder_keeps_to_its_settings(blocks, tmp_path, capsys):
    out = tmp_path / "out"
    assert sweep(blocks, out) == 0
    for more, words in (
        ({"steps": 3}, "another task 'blocks'"),
        ({"starts": [f"scratch={blocks[2]}"]}, "another start 'scratch'"),
    ):
        assert sweep(blocks, out, **more) == 2
        assert words in capsys.readouterr().err
    assert sweep(blocks, out, "--encoder", "width=8") == 2
    assert "another setting 'encoder'" in capsys.readouterr().err
    shutil.rmtree(out / "blocks" / "scratch" / "seed-0" / "evaluation")
    assert sweep(blocks, out) == 0
    assert (out / "blocks" / "scratch" / "seed-0" / "evaluation" / "results.json").is_file()


def test_a_start_is_what_its_file_holds_wherever_it_lies_and_none_is_forgotten(tmp_path):
    first, moved, other = (tmp_path / f"{name}.pth" for name in ("first", "moved", "other"))
    for file, content in ((first, b"one"), (moved, b"one"), (other, b"two")):
        file.write_bytes(content)

    def keep(**starts):
        keep_plan(make_plan(starts=tuple(Init(name, str(file)) for name, file in starts.items())), tmp_path)

    keep(a=first, b=other)
    keep(a=moved)
    for starts in ({"a": other}, {"a": moved, "b": first}):
        with pytest.raises(SettingError, match=f"another start '{[*starts][-1]}'"):
            keep(**starts)
    first.write_bytes(b"trained again")
    with pytest.raises(SettingError, match="another start 'a'"):
        keep(a=first)


def test_all_starts_of_a_seed_come_before_the_next_seed():
    runs = make_plan(seeds=(1, 2), starts=STARTS[:2]).runs(Path("sweep"))
    assert [run.seed for run in runs] == [1] * 4 + [2] * 4
    assert [run.name for run in runs[:3]] == [
        "liver_cysts, plain, seed 1",
        "liver_cysts, good, seed 1",
        "luna16, plain, seed 1",
    ]


def test_a_wrong_data_folder_is_told_before_anything_begins(blocks, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert sweep((blocks[0], tmp_path / "empty", ""), tmp_path / "out") == 2
    assert "holds no file such as" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_dask_several_jobs_say_what_to_install(blocks, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "Med3DCore.benchmarks.sweep.side_by_side", raising=False)
    assert sweep(blocks, tmp_path / "out", "-j", 2) == 2
    assert "pip install distributed" in capsys.readouterr().err


def test_an_unforeseen_error_is_named_with_its_trace(blocks, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sweep_run, "train_task", lambda args, ranks: 1 / 0)
    assert sweep(blocks, tmp_path / "out") == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert "Traceback" in (tmp_path / "out" / "blocks" / "scratch" / "seed-0" / "output.txt").read_text()


def test_a_run_says_where_all_lies_wherever_it_is_done():
    run = make_plan().runs(Path("out"))[0]
    assert run.folder.is_absolute() and run.data.is_absolute() and run.file.is_absolute()


def test_a_run_that_another_process_does_is_waited_for_and_not_done_again(tmp_path, tried):
    run = make_plan().runs(tmp_path)[0]
    run.folder.mkdir(parents=True)
    with locked(run.folder / ".sweep.lock", "", ""):
        with pytest.raises(Cancelled):
            sweep_run.do_run(run, lambda part: None, lambda: True)
        sweep_run.evaluate_run("", run.folder)  # by the other one
    assert sweep_run.do_run(run, lambda part: None, lambda: True).figures["dice block"].value == 0.5
    assert tried == []

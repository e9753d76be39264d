"""Every command that a page shows is run on a fresh copy, or parsed where it cannot be run here."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from bright_model import make_stage, make_volume, save_model
from ct_series import write_ct_series
from monai_models import write_model
from nnunet_folders import CASES, write_results, write_scan
from page_commands import PAGES, ROOT, blocks, check, command_of, commands, parse
from test_compare import save_encoder
from test_merlin import random_weights
from test_merlin import write_file as write_astra
from training_boxes import write_case, write_data, write_recipe

from Med3DCore.cli.main import main
from Med3DCore.geometry import Geometry
from Med3DCore.io import write_volume
from Med3DCore.models import catalogue

# What is not run here, by how it begins, and why. Its options are parsed all the same.
NOT_RUN = {
    "README.md: make": "sets up an environment and runs all tests",
    "README.md: pip": "asks a package index",
    "CONTRIBUTING.md: make": "sets up an environment and runs all tests",
    "docs/commands.md: med3d pretrain": "eight data sets of others; test_co_training runs it on three small ones",
    "docs/commands.md: med3d classify": "learns for hours; test_classify runs both on small scans",
    "docs/commands.md: med3d train Resources/Recipes/detection-small.json": "test_detection trains a smaller one",
    "docs/commands.md: med3d detect": "needs a trained detector; test_detection runs it with one",
    "docs/commands.md: med3d phantom data/ --lesions": "minutes; test_lesion_phantom runs it for one patient",
    "docs/commands.md: torchrun": "several processes; test_distributed starts them",
    "docs/dicom.md: med3d segment --dicomweb": "an archive must answer; test_orthanc has one",
    "docs/dicom_node.md: pip": "asks a package index",
    "docs/dicom_node.md: med3d dicom-node run": "a service that does not end; test_dicom_node runs it",
    "docs/experiments.md:": "hours, on data that is not in the repository",
    "docs/install.md:": "needs 3D Slicer, its build tree or a package index",
    "docs/other_models.md: med3d train": "a network of 117 million weights; test_merlin trains a small one",
    "docs/commands.md: med3d sweep": "minutes of training; test_sweep runs it on a small set",
    "docs/sweep.md:": "minutes of training, or several computers; test_sweep and test_sweep_workers run small ones",
    "docs/tasks.md:": "minutes of training; test_task_command runs all of it on a small set",
    "docs/models/liver-lungs-fast-0.5.0.md:": "an hour, on data that is not in the repository",
    "docs/models/liver-lungs-0.4.0.md:": "a day, on data that is not in the repository",
}
SHORTER = {"--minutes": "0.01"}  # what a command says for real work is said here for a test
COMMANDS = [command for page in PAGES for command in commands(page)]


def reason(command):
    return next((why for start, why in NOT_RUN.items() if f"{command.page}: {command.line}".startswith(start)), None)


def shown(command):
    return f"{command.page}: {command.line}"


# A command that two pages show is run once.
RUN = list({command.words: command for command in COMMANDS if reason(command) is None}.values())


@pytest.mark.parametrize("command", COMMANDS, ids=shown)
def test_what_is_called_exists_and_takes_these_options(command, capsys):
    check(command)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory):
    """A folder with all that the pages name."""
    folder = tmp_path_factory.mktemp("furnished")
    volume = make_volume()
    for name in ("ct.nii.gz", "ct.nrrd"):
        write_volume(volume, folder / name)
    place = Geometry(volume.geometry.size, volume.geometry.spacing, (-60.0, -50.0, 10.0))
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "FrameOfReferenceUID": "1.2.5"}
    series = {**uids, "SeriesNumber": 2}
    write_ct_series(folder / "dicom-folder", volume.array, place, **series)
    write_ct_series(folder / "phases" / "early", volume.array, place, **series)
    write_ct_series(
        folder / "phases" / "late", volume.array + np.int16(1), place, seed="b", **series, AcquisitionNumber=2
    )
    data = folder / "data"
    data.mkdir()
    splits = ["training"] * 4 + ["validation"]
    write_data(data, [write_case(data, f"p{seed}", seed, split=split) for seed, split in enumerate(splits)])
    for name in ("DATA", "cases"):
        shutil.copytree(data, folder / name)
    for name in ("results", "references"):
        (folder / name).mkdir()
        shutil.copy(data / "p1_seg.nii.gz", folder / name / "p1.nii.gz")
    recipes = folder / "Resources" / "Recipes"
    recipes.mkdir(parents=True)
    small = write_recipe(folder, steps=2, validate_every=1)
    shutil.copy(small, recipes / "liver-lungs.json")
    shutil.move(small, folder / "RECIPE")
    for name in ("Organs", "X"):
        write_results(folder / "nnUNet_results" / f"Dataset001_{name}", folds=2)
    shutil.make_archive(str(folder / "export"), "zip", folder / "nnUNet_results" / "Dataset001_X")
    for name, file in zip(("t1", "t2"), write_scan(folder, **CASES["two_channels"]), strict=True):
        file.rename(folder / f"{name}.nii.gz")
    write_model(folder)
    write_astra(folder / "astra_encoder.pt", random_weights(10))
    (folder / "runs" / "encoder").mkdir(parents=True)
    shutil.move(save_encoder(folder, 1), folder / "runs" / "encoder" / "NAME.med3d.zip")
    return folder


@pytest.fixture(scope="module")
def liver_lungs(tmp_path_factory):
    """A small model in the place of ours: what is bright is liver."""
    folder = tmp_path_factory.mktemp("models")
    save_model(folder, "liver-lungs", [make_stage("only", ("liver", "lungs"), 3.0)])
    return folder


@pytest.fixture(scope="module")
def models_of_others(tmp_path_factory):
    """What the pages import from nnU-Net, imported."""
    folder = tmp_path_factory.mktemp("imported")
    for name, case in (("organs", "ct"), ("brain", "two_channels")):
        results = write_results(folder / "results" / name, **CASES[case])
        assert main(["models", "import-nnunet", str(results), "--name", name, "--output", str(folder)]) == 0
    shutil.rmtree(folder / "results")
    return folder


@pytest.mark.parametrize("command", RUN, ids=shown)
def test_it_runs(command, furnished, liver_lungs, models_of_others, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(catalogue, "shipped_folder", lambda: liver_lungs)
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "models"))
    if "--model" in command.words:
        shutil.copytree(models_of_others, tmp_path / "models")
    work = tmp_path / "work"
    shutil.copytree(furnished, work)
    monkeypatch.chdir(work)
    if {"--series", "--acquisition"} & set(command.words):  # there is something to choose only where there are two
        shutil.rmtree("dicom-folder")
        Path("phases").rename("dicom-folder")
    if command.line.startswith("med3d dicom-node status"):  # after the block before
        assert main(["dicom-node", "example"]) == 0
        Path("node.toml").write_text(capsys.readouterr().out)
    assert command.program == "med3d"
    words = [
        name for word in command.words[1:] for name in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
    ]
    for place in (place for place, word in enumerate(words) if word in SHORTER):
        words[place + 1] = SHORTER[words[place]]
    code = main(words)
    out, err = capsys.readouterr()
    assert code == 0, err
    if command.output:
        Path(command.output).write_text(out)
    for option, value in pairwise(words):
        if option in ("-o", "--output", "--picture"):
            assert Path(value).exists()
    assert out or err


def test_the_example_of_readme_runs(furnished, liver_lungs, monkeypatch, tmp_path, capsys):
    (example,) = blocks(ROOT / "README.md", "python")
    monkeypatch.setattr(catalogue, "shipped_folder", lambda: liver_lungs)
    monkeypatch.chdir(tmp_path)
    shutil.copy(furnished / "ct.nii.gz", "ct.nii.gz")
    exec(compile(example, "README.md", "exec"), {"__name__": "example"})
    assert float(capsys.readouterr().out.split()[0]) > 0 and Path("ct.seg.nrrd").exists()


def test_no_reason_is_left_over():
    unused = [start for start in NOT_RUN if not any(shown(command).startswith(start) for command in COMMANDS)]
    assert not unused


@pytest.mark.parametrize(
    "line",
    [
        "med3d segment ct.nii.gz --organs liver",
        "med3d segmentt ct.nii.gz",
        "med3d segment ct.nii.gz --pic liver.png  # shortened",
        "make everything",
        "python tools/nowhere.py",
        "python tools/dev.py dem",
        "python Testing/benchmarks/bench_training.py --sise 64",
        'pip install "Med3DCore[nodes]"',
        "med3d train Resources/Recipes/none.json data -o run",
        "torchrun -m Med3DCore.cli.main train RECIPE DATA --out runs/x",
    ],
)
def test_a_command_that_does_not_exist_fails(line, capsys):
    command = command_of("page.md", line)
    with pytest.raises((ValueError, AssertionError)):
        check(command)


def test_blocks_and_commands_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "1. A\n\n   ```\n   A=1 med3d info \\\n     ct.nrrd  # why\n   ```\n\n"
        "```json\n{}\n```\n```bash\nmed3d x > y\n```\n"
    )
    first, second = commands(page)
    assert first.words == ("med3d", "info", "ct.nrrd") and (second.words, second.output) == (("med3d", "x"), "y")
    assert parse(first.words[1:]).command == "info"

"""What Slicer installs: every file is listed, the index entry agrees, and the engine runs from the installed tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import installed_tree
import matplotlib.image
import pytest
from installed_tree import LISTS, ROOT, listed, variables

# Extension meta-information that the Extensions Index needs; its own checker reads one-line, quoted values only.
EXTENSION = {name: value for name, value in variables(ROOT / "CMakeLists.txt").items() if name.startswith("EXTENSION_")}
INDEX_ENTRY = json.loads((ROOT / "Med3DSegmentation.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return installed_tree.install(tmp_path_factory.mktemp("Jörg's Slicer"))


def wanted(cmake_file: str) -> set[str]:
    """Every file of the parts that a CMake file is for, as it names them."""
    base = LISTS[cmake_file]
    folders = ("Med3DCore", "Resources/Models", "Resources/Recipes", "Resources/Tasks") if base == ROOT else (".",)
    files = (path for folder in folders for path in (base / folder).rglob("*") if path.is_file())
    kept = (path for path in files if "__pycache__" not in path.parts and path.name != "CMakeLists.txt")
    return {path.relative_to(base).as_posix() for path in kept if path.suffix != ".tmp"}


@pytest.mark.parametrize("cmake_file", LISTS)
def test_every_file_is_listed_once_and_in_order(cmake_file):
    files = listed(cmake_file)
    missing, extra = wanted(cmake_file) - set(files), set(files) - wanted(cmake_file)
    assert not missing, f"add to {cmake_file}: {sorted(missing)}"
    assert not extra, f"remove from {cmake_file}: {sorted(extra)}"
    assert len(files) == len(set(files))
    for name, values in variables(ROOT / cmake_file).items():
        assert not name.endswith(("_SCRIPTS", "_RESOURCES")) or values == sorted(values), f"sort {name} in {cmake_file}"
        assert not name.endswith("_SCRIPTS") or all(value.endswith(".py") for value in values)


def test_the_index_entry_agrees_with_cmake():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert f"project({ROOT.joinpath('Med3DSegmentation.json').stem})" in text
    assert all(f'set({name} "{value[0]}")' in text for name, value in EXTENSION.items())
    assert INDEX_ENTRY["build_dependencies"] == EXTENSION["EXTENSION_DEPENDS"] == ["PyTorch"]
    assert [INDEX_ENTRY["scm_url"]] == EXTENSION["EXTENSION_HOMEPAGE"]
    assert INDEX_ENTRY["scm_url"].endswith("/SlicerMed3DSegmentation")
    assert (INDEX_ENTRY["category"], INDEX_ENTRY["tier"]) == ("Segmentation", 1)
    known = {"$schema", "category", "scm_url", "scm_revision", "build_dependencies", "build_subdirectory", "tier"}
    assert set(INDEX_ENTRY) == known


@pytest.mark.parametrize("name", ["EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"])
def test_pictures_of_the_index_are_in_the_repository(name):
    raw = INDEX_ENTRY["scm_url"].replace("github.com", "raw.githubusercontent.com") + f"/{INDEX_ENTRY['scm_revision']}/"
    urls = EXTENSION[name][0].split(" ")
    assert all(url.startswith(raw) for url in urls)
    pictures = [matplotlib.image.imread(ROOT / url.removeprefix(raw)) for url in urls]
    assert all(picture.shape[:2] == (128, 128) for picture in pictures) or name != "EXTENSION_ICONURL"


def test_text_files_end_lines_as_the_index_wants():
    for name in ("CMakeLists.txt", "Med3DSegmentation.json", *LISTS):
        assert b"\r" not in (ROOT / name).read_bytes()


def test_what_slicer_needs_to_install_is_what_the_engine_needs():
    [requirement] = [
        line
        for line in (ROOT / "Med3DSegmentation/Resources/requirements.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert f'"{requirement}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_engine_runs_from_the_installed_tree(installed, tmp_path):
    """A process that knows the installed tree alone starts the worker, which finds models and makes a phantom."""
    code = f"""
import Med3DCore, pathlib, sys
assert pathlib.Path(Med3DCore.__file__).is_relative_to({str(installed)!r}), Med3DCore.__file__
from Med3DCore.worker.client import WorkerClient
with WorkerClient() as worker:
    for model in worker.request("models")["models"]:
        assert model["shipped"] and not model["problem"] and model["path"].startswith({str(installed)!r}), model
        print(model["reference"])
    made = worker.request("phantom", folder={str(tmp_path)!r}, labels=["liver"], spacing=15.0)
    assert made["volume"]["dtype"] == "int16"
"""
    environment = {**os.environ, "PYTHONPATH": str(installed), "MED3D_MODELS": str(tmp_path / "models")}
    result = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    shipped = sorted(path.name.removesuffix(".med3d.zip") for path in (ROOT / "Resources/Models").glob("*.zip"))
    assert result.stdout.split() == shipped

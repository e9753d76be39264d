"""The arrows of the design: imports point down only, in no circle, and the engine knows no Slicer and no Qt."""

from __future__ import annotations

import ast
import graphlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "Med3DCore"
LIBRARY = ROOT / "Med3DSegmentation" / "Med3DSegmentationLib"
BASE = {"anatomy", "boxes", "errors", "geometry", "labels", "progress", "system", "volume"}
# What each room of the engine may import besides itself.
MAY_IMPORT = {
    "anatomy": {"errors", "labels"},
    "boxes": {"errors"},
    "errors": set(),
    "geometry": set(),
    "labels": {"errors"},
    "progress": {"errors"},
    "system": {"errors"},
    "volume": {"errors", "geometry", "labels"},
    "io": BASE,
    "preprocessing": BASE | {"io"},
    "networks": BASE,
    "phantom": BASE | {"io"},
    "evaluation": BASE | {"io"},
    "drawing": BASE | {"io", "preprocessing"},
    "models": BASE | {"io", "preprocessing", "networks"},
    "inference": BASE | {"io", "preprocessing", "networks", "models"},
    "training": BASE | {"io", "preprocessing", "networks", "models", "inference", "evaluation", "drawing"},
}
MAY_IMPORT["benchmarks"] = set(MAY_IMPORT) - {"phantom"}
ALL = set(MAY_IMPORT)
MAY_IMPORT |= {"worker": ALL, "dicom_node": ALL - {"training"}, "cli": ALL | {"worker", "dicom_node"}}
# The rooms of training, from the lowest: each may import those before it. Programmes stand side by side at the end.
TRAINING = ["setting_checks", "cases", "data_sets", "patches", "learning", "segmentation"]
PROGRAMMES = {
    "fine_tuning": set(),
    "co_training": set(),
    "pictures": set(),
    "classification": set(),
    "detection": set(),
    "comparison": {"fine_tuning", "co_training", "classification"},
}
# The rooms of the module, likewise. Files that stand beside the rooms may import all of them.
LIBRARY_ROOMS = ["scene", "engine", "training", "finding", "panels", "entry"]
BESIDE = {"parameters", "segmentation_logic", "sample_data", "self_test"}
# What some rooms need beyond that: extras of the package, of which Slicer brings those for DICOM.
EXTRAS = {
    "benchmarks/sweep": {"dask", "distributed"},
    "drawing": {"matplotlib"},
    "training/pictures": {"PIL"},
    "io/dicom_results": {"highdicom", "pydicom"},
    "dicom_node": {"dicomweb_client", "highdicom", "matplotlib", "pydicom", "pynetdicom", "requests"},
}
PACKAGES = {"torch", "numpy", "SimpleITK", "scipy"}
FOR_THE_TYPE_CHECKER = {"_typeshed"}  # it alone has it
FILES = sorted(ENGINE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Full names of all that a file imports, wherever in it; of the project's own modules, the names of the files."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            own = node.module.split(".")[0] in ("Med3DCore", "Med3DSegmentationLib")
            names |= {f"{node.module}.{alias.name}" if own else node.module for alias in node.names}
    return names


def modules(root: Path) -> dict[str, Path]:
    """Every module of a package by its full name; a package's own name stands for its ``__init__``."""
    paths = {path: path.relative_to(root.parent).with_suffix("") for path in root.rglob("*.py")}
    return {".".join(short.parts).removesuffix(".__init__"): path for path, short in paths.items()}


def imported_modules(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules among the known ones that a file imports, as a whole or something of them."""
    names = imports(path)
    return {name if name in known else name.rpartition(".")[0] for name in names} & set(known)


def rooms(names: set[str], package: str) -> set[str]:
    """The first part below a package of each name that lies in it."""
    return {name.removeprefix(package + ".").split(".")[0] for name in names if name.startswith(package + ".")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ENGINE)))
def test_imports_point_down_and_outside_only_to_what_the_engine_needs(path):
    part = path.relative_to(ENGINE).parts[0].removesuffix(".py")
    names = imports(path)
    assert rooms(names, "Med3DCore") - {"__version__", part} <= MAY_IMPORT.get(part, set())
    outside = {name.split(".")[0] for name in names} - {"Med3DCore", "__future__"} - set(sys.stdlib_module_names)
    assert outside <= PACKAGES | FOR_THE_TYPE_CHECKER | EXTRAS.get(path.relative_to(ENGINE).parent.as_posix(), set())


@pytest.mark.parametrize("path", sorted((ENGINE / "training").rglob("*.py")), ids=lambda path: path.stem)
def test_rooms_of_training_import_down_only(path):
    part = path.relative_to(ENGINE / "training").parts[0].removesuffix(".py")
    below = TRAINING[: TRAINING.index(part)] if part in TRAINING else [*TRAINING, *PROGRAMMES.get(part, ())]
    assert rooms(imports(path), "Med3DCore.training") - {part} <= set(below)


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.py")), ids=lambda path: path.stem)
def test_rooms_of_the_module_import_down_only(path):
    part = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
    found = rooms(imports(path), "Med3DSegmentationLib") - {part}
    if part in LIBRARY_ROOMS:
        beside = {"panels": {"segmentation_logic", "parameters"}, "entry": BESIDE}.get(part, set())
        assert found <= {*LIBRARY_ROOMS[: LIBRARY_ROOMS.index(part)], *beside}
    elif part in {"segmentation_logic", "parameters"}:
        assert found <= set(LIBRARY_ROOMS[:2])


@pytest.mark.parametrize("name", ["slicer_version", "too_old"])
def test_what_says_that_slicer_is_too_old_works_there(name):
    own = {one for one in imports(LIBRARY / "entry" / f"{name}.py") if one.startswith("Med3D")}
    assert all(one.startswith("Med3DSegmentationLib.entry.slicer_version") for one in own)


@pytest.mark.parametrize("root", [ENGINE, LIBRARY], ids=lambda path: path.name)
def test_no_circle(root):
    known = modules(root)
    graph = {name: imported_modules(path, known) - {name} for name, path in known.items()}
    assert sum(map(len, graph.values())) > len(graph), "the imports were not found"
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_every_part_has_its_place():
    parts = {path.relative_to(ENGINE).parts[0].removesuffix(".py") for path in FILES} - {"__init__"}
    assert parts == set(MAY_IMPORT)
    parts = {path.stem for path in (ENGINE / "training").iterdir() if path.name[0] != "_"}
    assert parts == {*TRAINING, *PROGRAMMES}
    parts = {path.stem for path in LIBRARY.iterdir() if path.name[0] != "_"}
    assert parts == {*LIBRARY_ROOMS, *BESIDE}


def test_what_does_not_compute_brings_no_torch():
    names = ["io", "preprocessing", "models", "evaluation", "phantom", "drawing.picture", "worker.server", "cli.main"]
    names += ["training.data_sets.check_report", "training.cases.splits", "training.cases.cache"]
    code = "import sys\n" + "".join(f"import Med3DCore.{name}\nassert 'torch' not in sys.modules\n" for name in names)
    environment = {**os.environ, "PYTHONPATH": str(ENGINE.parent)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr

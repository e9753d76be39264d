"""The arrows of the design: imports inside the engine point down only, and the engine knows no Slicer and no Qt."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[2] / "Med3DCore"
BASE = {"errors", "geometry", "progress", "tasks", "threads", "volume"}
CHARTS = {"chart", "chart_comparison"}
# What each part may import besides itself. Parts that are not here are seen by nobody but those that name them.
MAY_IMPORT = {
    "allocator": set(),
    "errors": set(),
    "geometry": set(),
    "progress": {"errors"},
    "tasks": {"errors"},
    "threads": set(),
    "volume": {"errors", "geometry", "tasks"},
    "io": BASE,
    "preprocessing": BASE | {"io"},
    "networks": BASE,
    "phantom": BASE | {"io"},
    "evaluation": BASE | {"io"},
    "picture": BASE | {"io", "preprocessing"},
    "chart": {"io", "picture"},
    "chart_comparison": {"io", "picture"},
    "models": BASE | {"io", "preprocessing", "networks"},
    "inference": BASE | {"io", "preprocessing", "networks", "models"},
    "training": BASE | {"io", "preprocessing", "networks", "models", "inference", "evaluation"} | CHARTS,
}
ALL = set(MAY_IMPORT)
MAY_IMPORT |= {"worker": ALL, "cli": ALL | {"worker"}}
PACKAGES = {"torch", "numpy", "SimpleITK", "scipy"}
FILES = sorted(ENGINE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Full names of all that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names |= set(whole) if node.module == "Med3DCore" else {node.module}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ENGINE)))
def test_imports_point_down_and_outside_only_to_what_the_engine_needs(path):
    part = path.relative_to(ENGINE).parts[0].removesuffix(".py")
    names = imports(path)
    inside = {name.split(".")[1] for name in names if name.startswith("Med3DCore.")}
    assert inside - {"__version__", part} <= MAY_IMPORT.get(part, set())
    outside = {name.split(".")[0] for name in names} - {"Med3DCore", "__future__"} - set(sys.stdlib_module_names)
    assert outside <= (PACKAGES | {"matplotlib"} if part in CHARTS | {"picture"} else PACKAGES)


def test_every_part_has_its_place():
    parts = {path.relative_to(ENGINE).parts[0].removesuffix(".py") for path in FILES} - {"__init__"}
    assert parts == set(MAY_IMPORT)


def test_what_does_not_compute_brings_no_torch():
    modules = ["io", "preprocessing", "models", "evaluation", "phantom", "picture", "worker.server", "cli.main"]
    modules += ["training.data_sets.check_report", "training.splits", "training.cache"]
    code = "import sys\n" + "".join(f"import Med3DCore.{name}\nassert 'torch' not in sys.modules\n" for name in modules)
    environment = {**os.environ, "PYTHONPATH": str(ENGINE.parent)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr

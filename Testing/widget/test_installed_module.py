"""The module finds its engine and opens, from the installed tree as from the source tree."""

import os
import subprocess
import sys
from pathlib import Path

import installed_tree
import pytest
from installed_tree import ROOT

OPEN = """
import sys
from pathlib import Path
from slicer_host.gui import GuiHost

host, module = GuiHost(), Path(sys.argv[1])
host.load_module(module)
import Med3DCore, Med3DSegmentationLib
folder = module.parent
assert Path(Med3DCore.__file__).is_relative_to(folder), Med3DCore.__file__
assert Path(Med3DSegmentationLib.__file__).is_relative_to(folder), Med3DSegmentationLib.__file__
widget = host.open_module("Med3DSegmentation")
catalogue = widget.services.catalogue
assert host.process_events(120, until=lambda: catalogue.models is not None or catalogue.error), "the engine is silent"
assert catalogue.models, catalogue.error
assert all(Path(model.values["path"]).is_relative_to(folder) for model in catalogue.models)
print(len(catalogue.models), len(widget.panels), len(host.services.samples))
host.close()
host.expect_no_slot_errors()
"""


def test_the_installed_module_opens_with_the_installed_engine(tmp_path):
    for package in ("slicer_core", "PySide6"):
        pytest.importorskip(package, reason=f"{package} not installed: pip install -e .[test]")
    modules = installed_tree.install(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "Testing"), "MED3D_MODELS": str(tmp_path / "models")}
    result = subprocess.run(
        [sys.executable, "-P", "-c", OPEN, str(modules / "Med3DSegmentation.py")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    models, panels, samples = map(int, result.stdout.split()[-3:])
    assert models == len(list((ROOT / "Resources/Models").glob("*.zip"))) and panels == 5 and samples == 2


def test_the_engine_is_found_beside_the_module_or_above(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "Med3DSegmentation"))
    from Med3DSegmentationLib.engine.path import engineFolder

    assert engineFolder(ROOT / "Med3DSegmentation") == ROOT
    (tmp_path / "both" / "Med3DCore").mkdir(parents=True)
    (tmp_path / "both" / "Med3DCore" / "__init__.py").touch()
    assert engineFolder(tmp_path / "both") == engineFolder(tmp_path / "both" / "module") == tmp_path / "both"
    (tmp_path / "Med3DCore").mkdir()  # without its files, as a removed extension leaves it
    with pytest.raises(ImportError, match="install the extension Med3DSegmentation again"):
        engineFolder(tmp_path)


def test_the_folder_of_a_module_needs_no_other_way_to_the_engine(tmp_path):
    """What Slicer does with a source tree: only the module's own folder is on its path."""
    module = str(Path(ROOT / "Med3DSegmentation"))
    code = f"""
import sys
sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}] + [{module!r}]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder).lower()]
import Med3DSegmentationLib, Med3DCore
print(Med3DCore.__file__)
"""
    result = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert result.stdout.strip() == str(ROOT / "Med3DCore" / "__init__.py"), result.stderr

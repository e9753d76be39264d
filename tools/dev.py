"""Set up Med3D and try or test it, with nothing but Python: ``python tools/dev.py demo``, or ``test``.

Makes an environment in ``.venv`` beside the README, once, and again when the requirements change. Works from any
folder.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
REQUIREMENTS = (ROOT / "pyproject.toml", ROOT / "constraints.txt")
DEMO = ROOT / "demo-output"
PAGES = ROOT / "build" / "docs"
SIDE_BY_SIDE = ("-n", min(os.cpu_count() or 1, 4), "--dist", "loadfile")
QUICK = ("-m", "pytest", "-m", "not slow", *SIDE_BY_SIDE, "Testing/engine")
MODULE_TESTS = ("Testing/mrml", "Testing/widget")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("demo", "docs", "lint", "quick", "setup", "test"))
    task = parser.parse_args().task
    python = set_up()
    if task == "demo":
        return demo(python)
    if task == "lint":
        return lint(python)
    if task == "docs":
        return docs(python)
    if task == "quick":
        return lint(python) or run(python, *QUICK, cwd=ROOT)
    if task == "test":
        return lint(python) or docs(python) or tests(python)
    return 0


def set_up() -> Path:
    """Make the environment, unless it is there and up to date; returns its Python."""
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = ENVIRONMENT / "med3d-requirements"
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in REQUIREMENTS)).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        say(f"using the environment {ENVIRONMENT}")
        return python
    say(f"making the environment {ENVIRONMENT} (torch is some 200 MB; a few minutes)")
    venv.create(ENVIRONMENT, with_pip=True)
    package = f"{ROOT}[cli,dicom,node,docs,test]"
    code = run(python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", "-e", package)
    if code:
        raise SystemExit(f"The environment could not be made; see above. Remove {ENVIRONMENT} and try again.")
    stamp.write_text(wanted)
    return python


def demo(python: Path) -> int:
    """Make a synthetic CT, segment liver and lungs, compare with the truth."""
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    med3d = ("-m", "Med3DCore.cli.main")
    scan, truth = DEMO / "ct.nii.gz", DEMO / "labels.nii.gz"
    result, image, picture = DEMO / "ct.seg.nrrd", DEMO / "organs.nii.gz", DEMO / "overlay.png"
    say("making a synthetic CT of chest and abdomen")
    if code := run(python, *med3d, "phantom", DEMO, "--seed", "1"):
        return code
    say("segmenting liver and lungs (written as a Slicer segmentation and as a label image)")
    outputs = ("-o", result, "-o", image, "--picture", picture)
    if code := run(python, *med3d, "segment", scan, "--organ", "liver", "--organ", "lungs", *outputs):
        return code
    say("comparing with the truth that the synthetic CT comes with")
    code = run(python, *med3d, "evaluate", image, truth, "--labels", "liver=1:1", "lungs=2:2+3")
    say(f"everything is in {DEMO}: open {picture.name} to see it, or {result.name} with {scan.name} in 3D Slicer")
    return code


def lint(python: Path) -> int:
    """Style, format, and the engine's types."""
    say("checking style")
    if code := run(python, "-m", "ruff", "check", ROOT) or run(python, "-m", "ruff", "format", "--check", ROOT):
        return code
    say("checking types")
    return run(python, "-m", "mypy", cwd=ROOT)


def docs(python: Path) -> int:
    """The pages and the reference of the engine as HTML; a broken reference is a failure."""
    say(f"making the pages in {PAGES}")
    shutil.rmtree(ROOT / "docs" / "api", ignore_errors=True)
    return run(python, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", ROOT / "docs", PAGES)


def tests(python: Path) -> int:
    """All tests: of the engine in several processes and of the module beside them, then those that measure time.

    The module's tests reload the engine's packages, so they have a process of their own.
    """
    say("testing the engine and, beside it, the module")
    command = [str(python), "-m", "pytest", "-m", "not alone", "--durations=10"]
    with tempfile.TemporaryFile() as told:
        module = subprocess.Popen([*command, *MODULE_TESTS], cwd=ROOT, stdout=told, stderr=subprocess.STDOUT)
        code = run(*command, *SIDE_BY_SIDE, "Testing/engine", cwd=ROOT)
        say("the tests of the module said:")
        code = module.wait() or code
        told.seek(0)
        print(told.read().decode(errors="replace"), flush=True)
    return code or run(python, "-m", "pytest", "-m", "alone", cwd=ROOT)


def run(*command: object, cwd: Path | None = None) -> int:
    """Run a command; returns its exit code."""
    return subprocess.run([str(part) for part in command], cwd=cwd, check=False).returncode


def say(sentence: str) -> None:
    """Tell what is going on."""
    print(f"== {sentence}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

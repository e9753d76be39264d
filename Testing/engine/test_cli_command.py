"""The ``med3d`` command itself: help, misuse, the progress bar, and what it imports."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys

import numpy as np
import pytest
from bright_model import make_volume
from cli_helpers import ROOT

from Med3DCore.cli.console import ProgressBar
from Med3DCore.cli.main import main, make_parser
from Med3DCore.io import write_volume


def test_no_arguments_shows_the_help(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == "" and all(command in err for command in ("segment", "info", "evaluate", "models", "phantom"))


@pytest.mark.parametrize(
    "arguments", [["segment"], ["segment", ""], ["info", "a", "b"], ["segmnt"], ["segment", "a", "--no"]]
)
def test_misuse_is_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2 and "error:" in capsys.readouterr().err


def test_every_option_is_explained():
    for command, parser in make_parser()._subparsers._group_actions[0].choices.items():
        assert parser.description and "``" not in parser.description, command
        for action in parser._actions:
            assert action.help or action.dest == argparse.SUPPRESS, f"{command} {action.dest}"


@pytest.mark.parametrize(("encoding", "marks"), [("utf-8", "█·"), ("cp1252", "#.")])
def test_the_bar_fits_the_terminal_and_goes_away(monkeypatch, encoding, marks):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "50")
    bar = ProgressBar()
    bar("coarse: network", 0.5, 100.0)
    bar("a stage with a very long name indeed", 1.0, 5.0)
    bar.close()
    _, first, second, blank, last = terminal.buffer.getvalue().decode(encoding).split("\r")
    assert first.startswith(f"{marks[0] * 12}{marks[1] * 12}  50%  coarse: network, a")
    assert {len(first), len(second), len(blank)} == {49} and blank.strip() == last == ""


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize("heavy", ["torch", "matplotlib"])
@pytest.mark.parametrize(
    "arguments", ["--help", "info scan.nii.gz", "evaluate r.nii.gz r.nii.gz", "models list", "segment missing.nii.gz"]
)
def test_what_does_not_compute_imports_no_torch(heavy, arguments):
    write_volume(make_volume().with_array((make_volume().array > 10).astype(np.uint8)), "r.nii.gz")
    code = (
        "import sys, Med3DCore\n"
        "assert not {'numpy', 'SimpleITK', 'torch'} & set(sys.modules)\n"
        "from Med3DCore.cli.main import main\n"
        "try: main(sys.argv[2:])\n"
        "except SystemExit: pass\n"
        "print('imported' if sys.argv[1] in sys.modules else 'free', file=sys.stderr)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code, heavy, *arguments.split()], env=environment, capture_output=True, text=True
    )
    assert result.stderr.splitlines()[-1] == "free", result.stderr

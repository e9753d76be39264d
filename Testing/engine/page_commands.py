"""The commands that the pages show, found in the pages, and whether what they call takes what is said to it."""

from __future__ import annotations

import argparse
import os
import re
import runpy
import shlex
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from Med3DCore.cli.arguments import with_names_joined
from Med3DCore.cli.main import make_parser

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/models/*.md")]
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_COORDINATES = {"X": "20", "Y": "20", "Z": "20"}  # which the pages leave open
_OURS = ("Testing/", "tools/", "Resources/", "docs/")


@dataclass(frozen=True)
class Command:
    """A line that a reader would type: its words, without comment, settings before it and ``> file`` after it."""

    page: str
    line: str
    words: tuple[str, ...]
    output: str | None = None

    @property
    def program(self) -> str:
        return self.words[0]


def blocks(page: Path, *languages: str) -> list[str]:
    """The blocks of a page that are written in one of these languages; commands are in ``""`` or ``"bash"``."""
    return [text for _, language, text in _FENCE.findall(page.read_text(encoding="utf-8")) if language in languages]


def commands(page: Path) -> list[Command]:
    """Every command of a page, in order."""
    lines = [line for block in blocks(page, "", "bash") for line in block.replace("\\\n", " ").splitlines()]
    return [command_of(os.path.relpath(page, ROOT), line) for line in lines if line.strip()]


def command_of(page: str, line: str) -> Command:
    """Take a line apart as a shell does, as far as pages need it."""
    words = shlex.split(line.replace("<Slicer build>", "SLICER"), comments=True)
    while re.fullmatch(r"[A-Z_0-9]+=\S*", words[0]):
        del words[0]
    output = words[words.index(">") + 1] if ">" in words else None
    words = words[: words.index(">")] if output else words
    return Command(page, " ".join(line.split()), tuple(words), output)


def check(command: Command) -> None:
    """Raise if the program, the script or one of its options is not there."""
    words = command.words
    for word in words:
        assert not word.startswith(_OURS) or (ROOT / word).exists(), f"{word} does not exist"
    if command.program == "med3d":
        parse(words[1:])
    elif command.program == "torchrun":
        parse(words[words.index("Med3DCore.cli.main") + 1 :])
    elif command.program == "make":
        text = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert set(words[1:]) <= set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split()), words
        script_takes("tools/dev.py", words[1:])
    elif command.program == "python":
        script_takes(words[1], words[2:])
    elif words[:2] == ("pip", "install"):
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
            "optional-dependencies"
        ]
        assert set(re.findall(r"[\w-]+", words[-1].partition("[")[2])) <= set(extras), words


def parse(words: tuple[str, ...]) -> argparse.Namespace:
    """What ``med3d`` makes of these words.

    Raises:
        ValueError: It has no such command or option.
    """
    try:
        return make_parser().parse_args(with_names_joined([_COORDINATES.get(word, word) for word in words]))
    except SystemExit as end:
        raise ValueError(f"med3d refuses {' '.join(words)}") from end


class _ParsedError(Exception):
    """The script took its options."""


def script_takes(script: str, words: tuple[str, ...]) -> None:
    """Run a script until it has read its options.

    Raises:
        ValueError: It refuses them, or reads none.
    """
    real = argparse.ArgumentParser.parse_args

    def until_read(parser: argparse.ArgumentParser, *args: object) -> None:
        real(parser, *args)
        raise _ParsedError

    path = ROOT / script
    changed = mock.patch.object(argparse.ArgumentParser, "parse_args", until_read)
    places = mock.patch.object(sys, "path", [str(path.parent), *sys.path])
    with changed, places, mock.patch.object(sys, "argv", [script, *words]), mock.patch.dict(os.environ):
        try:
            runpy.run_path(str(path), run_name="__main__")
        except _ParsedError:
            return
        except SystemExit as end:
            raise ValueError(f"{script} refuses {' '.join(words)}") from end
    raise ValueError(f"{script} reads no options")

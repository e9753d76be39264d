"""Pages that show code: what they show runs, and pictures drawn from the code are current."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import draw_architecture  # noqa: E402

from Med3DCore import labels  # noqa: E402

_EXAMPLE = re.compile(r"^### ([^\n]+)\n(?:(?!^#).)*?^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = dict(_EXAMPLE.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))


def test_each_how_to_has_an_example():
    wanted = ["An organ", "A network", "A file format", "A panel", "Something to learn"]
    assert list(EXAMPLES) == wanted


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_examples_of_contributing_run(title, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(labels, "LABELS", dict(labels.LABELS))
    exec(compile(EXAMPLES[title], title, "exec"), {"__name__": "example"})


def test_the_picture_of_the_rooms_is_current():
    drawn = draw_architecture.drawing(draw_architecture.reduced(draw_architecture.graph()))
    assert draw_architecture.PICTURE.read_text(encoding="utf-8") == drawn, "run python tools/draw_architecture.py"


def test_an_import_upwards_would_be_drawn_as_a_circle():
    edges = {"a": {"b"}, "b": {"c"}, "c": set()}
    assert draw_architecture.reduced(edges | {"a": {"b", "c"}}) == edges
    assert draw_architecture.room_of("Med3DCore.training.cases.case.Case") == "Med3DCore/training/cases"
    assert draw_architecture.room_of("Med3DCore.volume.Volume") == "Med3DCore/(basics)"


@pytest.mark.parametrize("page", [*ROOT.glob("docs/*.md"), *ROOT.glob("*.md")], ids=lambda page: page.name)
def test_links_of_the_pages_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_decisions_are_numbered_in_their_order_and_each_is_in_the_table_of_rooms():
    page = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"^(\d+)\. \*\*", page, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    rows = re.findall(r"^\| ([^|]+) \| ([\d, ]+) \|$", page, re.MULTILINE)
    assert len({room for room, _ in rows}) == len(rows)
    assert {int(number) for _, listed in rows for number in listed.split(",")} == set(numbers)


def test_the_page_of_the_architecture_names_every_room():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    parts = ("Med3DCore", "Med3DCore/training", "Med3DSegmentation/Med3DSegmentationLib")
    rooms = {file.parent.name for part in parts for file in (ROOT / part).glob("*/__init__.py")} - {"training"}
    assert {"io", "finding"} <= rooms
    assert not [room for room in sorted(rooms) if f"{room}/`" not in page]

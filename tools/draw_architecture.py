"""Draw the rooms of the code and who imports whom, from the imports themselves: docs/images/architecture.svg.

Rooms stand in layers, the lowest at the bottom; an arrow points at what is imported. Arrows that follow from others
(A to B to C makes A to C clear) are left out, or nothing could be seen.
"""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
ENGINE, MODULE = "Med3DCore", "Med3DSegmentationLib"
SOURCES = {ENGINE: ROOT / ENGINE, MODULE: ROOT / "Med3DSegmentation" / MODULE}
# Rooms that are drawn open: the rooms in them are shown instead.
OPEN = {(ENGINE, "training"), (MODULE, "")}
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 132, 34, 16, 38, 20
COLOURS = {ENGINE: "#dbe9f6", f"{ENGINE}/training": "#e4f2dc", MODULE: "#fbe8cf"}


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(drawing(reduced(graph())), encoding="utf-8")


def graph() -> dict[str, set[str]]:
    """The rooms, such as ``"Med3DCore/io"``, each with those that its files import."""
    edges: dict[str, set[str]] = {}
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            if path == folder / "__init__.py":
                continue
            room = room_of(".".join([package, *path.relative_to(folder).with_suffix("").parts]))
            edges.setdefault(room, set()).update(room_of(name) for name in imports(path))
            edges[room].discard(room)
    return edges


def imports(path: Path) -> list[str]:
    """Full names of what a file imports of the project's own."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in SOURCES]
    names = [f"{node.module}.{alias.name}" for node in froms for alias in node.names]
    return [name for name in names if name != f"{ENGINE}.__version__"]


def room_of(name: str) -> str:
    """The room of a module, function or class by its full name; files that stand alone make a room together."""
    package, *parts = name.split(".")
    for depth in (2, 1):
        is_shown = depth == 1 or (package, parts[0]) in OPEN
        if is_shown and len(parts) >= depth and SOURCES[package].joinpath(*parts[:depth]).is_dir():
            return "/".join([package, *parts[:depth]])
    if len(parts) > 1 and (package, parts[0]) in OPEN:
        return f"{package}/{parts[0]}/(settings)"
    return f"{package}/(logic)" if package == MODULE else f"{package}/(basics)"


def reduced(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same without arrows that follow from others."""
    reach: dict[str, set[str]] = {}
    for room in TopologicalSorter(edges).static_order():
        reach[room] = set().union(*({other} | reach[other] for other in edges.get(room, ())))
    return {
        room: {other for other in others if not any(other in reach[between] for between in others - {other})}
        for room, others in edges.items()
    }


def drawing(edges: dict[str, set[str]]) -> str:
    """The picture as SVG."""
    layer: dict[str, int] = {}
    for room in TopologicalSorter(edges).static_order():
        layer[room] = 1 + max((layer[other] for other in edges.get(room, ())), default=-1)
    rows = [sorted(room for room in layer if layer[room] == number) for number in range(max(layer.values()) + 1)]
    width = 2 * MARGIN + max(map(len, rows)) * (WIDTH + GAP_X) - GAP_X
    height = 2 * MARGIN + len(rows) * (HEIGHT + GAP_Y) - GAP_Y
    place = {}
    for number, row in enumerate(rows):
        left = (width - len(row) * (WIDTH + GAP_X) + GAP_X) / 2
        top = height - MARGIN - HEIGHT - number * (HEIGHT + GAP_Y)
        place |= {room: (left + index * (WIDTH + GAP_X), top) for index, room in enumerate(row)}
    lines = [_arrow(place[room], place[other]) for room in sorted(edges) for other in sorted(edges[room])]
    boxes = [_box(room, *place[room]) for room in sorted(place)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7"'
            ' orient="auto">'
            '<path d="M0,0 L8,4 L0,8 z" fill="#667"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="white"/>',
            *lines,
            *boxes,
            "</svg>\n",
        ]
    )


def _box(room: str, left: float, top: float) -> str:
    parent, _, name = room.rpartition("/")
    colour = COLOURS.get(parent, "#eee")
    middle = left + WIDTH / 2
    return (
        f'<rect x="{left:g}" y="{top:g}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{colour}" stroke="#667"/>'
        f'<text x="{middle:g}" y="{top + 15:g}" text-anchor="middle" font-size="12">{escape(name)}</text>'
        f'<text x="{middle:g}" y="{top + 28:g}" text-anchor="middle" font-size="8" fill="#556">{escape(parent)}</text>'
    )


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1, x2, y2 = start[0] + WIDTH / 2, start[1] + HEIGHT, end[0] + WIDTH / 2, end[1]
    bend = (y2 - y1) / 2
    path = f"M{x1:g},{y1:g} C{x1:g},{y1 + bend:g} {x2:g},{y2 - bend:g} {x2:g},{y2:g}"
    return f'<path d="{path}" fill="none" stroke="#889" stroke-width="1" marker-end="url(#tip)"/>'


if __name__ == "__main__":
    main()

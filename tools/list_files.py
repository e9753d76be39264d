"""Write the lists of files in both CMakeLists.txt anew, sorted: Slicer installs what is listed there, nothing else."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Each CMake file: what its names are relative to, and the folders that each of its lists is for.
LISTS: dict[str, tuple[Path, dict[str, tuple[str, ...]]]] = {
    "Med3DCore/CMakeLists.txt": (
        ROOT,
        {
            "ENGINE_PYTHON_SCRIPTS": ("Med3DCore/**/*.py",),
            "ENGINE_PYTHON_RESOURCES": (
                "Med3DCore/**/*",
                "Resources/Models/*",
                "Resources/Recipes/*",
                "Resources/Tasks/*",
            ),
        },
    ),
    "Med3DSegmentation/CMakeLists.txt": (
        ROOT / "Med3DSegmentation",
        {"MODULE_PYTHON_SCRIPTS": ("**/*.py",), "MODULE_PYTHON_RESOURCES": ("Resources/**/*",)},
    ),
}


def main() -> None:
    """Write the lists."""
    for name, (base, lists) in LISTS.items():
        file = ROOT / name
        text = file.read_text(encoding="utf-8")
        for variable, patterns in lists.items():
            files = {path.relative_to(base).as_posix() for pattern in patterns for path in base.glob(pattern)}
            kept = sorted(name for name in files if _is_listed(base / name, scripts=variable.endswith("SCRIPTS")))
            text = re.sub(rf"set\({variable}\n.*?\n  \)", _set(variable, kept), text, flags=re.DOTALL)
        file.write_text(text, encoding="utf-8")


def _is_listed(path: Path, scripts: bool) -> bool:
    kept = path.is_file() and "__pycache__" not in path.parts and path.name != "CMakeLists.txt"
    return kept and path.suffix != ".tmp" and (path.suffix == ".py") == scripts


def _set(variable: str, files: list[str]) -> str:
    return f"set({variable}\n" + "".join(f"  {name}\n" for name in files) + "  )"


if __name__ == "__main__":
    main()

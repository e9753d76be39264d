"""The API reference and the pages as HTML: ``make docs``. Nothing is fetched; a broken reference fails the build."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

project = "Med3D for 3D Slicer"
author = "Med3D for 3D Slicer contributors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.apidoc"]
exclude_patterns = ["_build", "experiments/*", "models/*"]
html_theme = "alabaster"
html_theme_options = {"page_width": "1100px", "sidebar_width": "260px", "description": "The engine and its pages"}

apidoc_modules = [
    {"path": str(ROOT / "Med3DCore"), "destination": "api", "separate_modules": True, "max_depth": 2},
]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_default_options = {"members": True, "show-inheritance": True, "ignore-module-all": True}
napoleon_google_docstring = True
napoleon_use_ivar = True
napoleon_use_rtype = False

myst_heading_anchors = 3
# Links to files of the repository (code, JSON, pictures outside of docs) are no pages.
# Two classes may have a field of one name.
suppress_warnings = ["myst.xref_missing", "ref.python"]
nitpicky = True
# Types of others, whose pages are not here; and short names of types that are only imported for checking.
_OTHERS = "argparse|collections|contextlib|enum|io|np|nn|numpy|pathlib|sitk|ssl|tempfile|torch|zipfile|zlib"
_SHORT = (
    "AE|AnyCase|Average|Classified|Code|DataclassInstance|Dataset|Figure|FileDataset|Image|Its|Batch|Id|Kernel|Made|Meaning|Module|Net|Network|OpenFile|Path"
    "|Report|Settings|SomeSettings|StateDict|Tensor|Value|Values|Weights"
)
nitpick_ignore_regex = [
    (r"py:.*", rf"({_OTHERS})\..*"),
    (r"py:(class|obj)", rf"(.*\.)?({_SHORT}|T)"),
    (r"py:class", r".* .*"),  # the first words of a property's docstring, taken for a type
]

"""The page of all keys of a recipe is the code's."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_recipes_is_current(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import recipe_page

    page = recipe_page.page()
    assert (ROOT / "docs" / "recipes.md").read_text() == page, "run python3 tools/recipe_page.py"
    for name in ("resnet", "preact_resnet", "skip", "denseaspp", "classification", "window", "percentile"):
        assert f"` `{name}`\n" in page
    for key in ("`output_stride`", "`in_channels`", "`version`", "`spacing`", "`low`", "`keep_largest`", "`alpha`"):
        assert f"| {key} | " in page
    for key in ("`encoder_rate`", "`patch`", "`augmentation`", "`labels`", "`seed`", "`steps`"):
        assert f"| {key} | " in page

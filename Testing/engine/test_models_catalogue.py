"""Where models live: find, verify, install, export, remove."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from test_models_package import make_encoder_package, make_package, make_weights, write

import Med3DCore
from Med3DCore.errors import ModelError, OutputError, SettingError
from Med3DCore.labels import find_labels
from Med3DCore.models import Catalogue, folders, load_package, save_package
from Med3DCore.training.cases.cache import cache_folder


@pytest.fixture
def models(tmp_path):
    """A catalogue with one shipped model and an empty folder of the user that does not exist yet."""
    (tmp_path / "shipped").mkdir()
    write(tmp_path / "shipped")
    return Catalogue(tmp_path / "user", tmp_path / "shipped")


def add(folder, seed=0, **changes):
    folder.mkdir(exist_ok=True)
    package = make_package(**changes)
    return save_package(package, make_weights(package, seed), folder)


def liver_only(**changes):
    package = make_package()
    return {"labels": find_labels(["liver"]), "stages": package.stages[:1], **changes}


def test_lists_by_name_and_version(models):
    for version in ("1.10.0", "1.9.0"):
        add(models.user, version=version)
    add(models.user, name="aorta")
    listed = [(entry.reference, entry.shipped) for entry in models.list()]
    assert listed == [
        ("aorta-1.0.0", False),
        ("liver-lungs-1.0.0", True),
        ("liver-lungs-1.9.0", False),
        ("liver-lungs-1.10.0", False),
    ]
    assert all(entry.size == entry.path.stat().st_size and entry.problem is None for entry in models.list())


def test_a_broken_file_hides_no_other(models):
    path = add(models.user, version="2.0.0")
    path.write_bytes(path.read_bytes()[:1000])
    (models.user / "link.med3d.zip").symlink_to("nowhere")
    (models.user / ".liver-lungs-3.0.0.med3d.zip").write_bytes(b"hidden")
    (models.user / "notes.txt").write_text("not a model")
    entries = {entry.reference: entry for entry in models.list()}
    assert set(entries) == {"link", "liver-lungs-1.0.0", "liver-lungs-2.0.0"}
    assert entries["liver-lungs-1.0.0"].package
    assert entries["liver-lungs-2.0.0"].package is None
    assert "damaged" in entries["liver-lungs-2.0.0"].problem
    assert models.find("liver-lungs").version == "1.0.0"
    with pytest.raises(ModelError, match=r"liver-lungs-2\.0\.0\.med3d\.zip is damaged"):
        models.find("liver-lungs-2.0.0")
    assert models.remove("liver-lungs-2.0.0") == path


def test_finds_by_name_version_and_path(models, tmp_path):
    add(models.user, version="1.10.0")
    elsewhere = add(tmp_path / "elsewhere", version="0.1.0")
    assert models.find("liver-lungs").version == "1.10.0"
    assert models.find("liver-lungs-1.0.0").version == "1.0.0"
    assert models.find(elsewhere).version == "0.1.0"
    assert models.find(str(elsewhere)).version == "0.1.0"
    with pytest.raises(
        ModelError, match=r"no model 'brain'; known models: liver-lungs-1\.0\.0, liver-lungs-1\.10\.0\."
    ):
        models.find("brain")


def test_the_users_own_file_wins_over_the_shipped_one(models):
    own = add(models.user, seed=1)
    assert models.find("liver-lungs").path == own
    assert models.find("liver-lungs-1.0.0").path == own


def test_default_is_a_shipped_model_with_all_labels_and_the_one_made_last_of_equals(models):
    fine = [replace(make_package().stages[0], preprocessing=make_package().stages[-1].preprocessing)]
    add(models.shipped, **liver_only(name="liver", created="2025-12-01T00:00:00Z", stages=tuple(fine)))
    add(models.shipped, name="old", created="2024-01-01T00:00:00Z")
    add(models.user, name="mine", created="2026-01-01T00:00:00Z")
    assert models.default_for(["liver"]).name == "liver"
    assert models.default_for(["lungs"]).name == "liver-lungs"
    assert models.default_for(["lungs", "liver"]).name == "liver-lungs"
    with pytest.raises(SettingError, match="No model on this computer finds 'spleen'; they find liver, lungs"):
        models.default_for(["liver", "spleen"])


def test_a_coarser_model_is_no_default_though_it_was_made_last(models):
    stages = make_package().stages
    coarse = tuple(replace(each, preprocessing={**each.preprocessing, "spacing": [9.0] * 3}) for each in stages)
    add(models.shipped, name="fast", created="2027-01-01T00:00:00Z", stages=coarse)
    assert models.default_for(["liver"]).name == "liver-lungs"


def test_who_names_no_organ_means_the_usual_ones(models):
    look = replace(make_package().stages[1], labels=("spleen",), region=None, postprocessing={})
    add(models.shipped, name="spleen", created="2027-01-01T00:00:00Z", labels=find_labels(["spleen"]), stages=(look,))
    assert models.default_for(["spleen"]).name == "spleen"
    assert models.default_for([]).name == "liver-lungs", "and no closer look of another organ, made later"


def test_what_to_do_without_a_default(models):
    next(models.shipped.iterdir()).unlink()
    with pytest.raises(ModelError, match="no model for liver and lungs on this computer; add one"):
        models.default_for(["liver", "lungs"])
    add(models.user, **liver_only(name="mine"))
    with pytest.raises(ModelError, match=r"finds liver; choose one of your own by name: mine-1.0.0"):
        models.default_for(["liver"])
    with pytest.raises(SettingError, match="finds 'lungs'; they find liver"):
        models.default_for(["liver", "lungs"])


def test_a_named_model_must_find_what_is_asked(models):
    add(models.user, **liver_only(name="mine"))
    assert models.choose(["liver"], "mine").name == "mine"
    assert models.choose(["liver"]).name == "liver-lungs"
    with pytest.raises(SettingError, match=r"mine-1.0.0 does not know 'lungs'; it knows liver"):
        models.choose(["liver", "lungs"], "mine")
    with pytest.raises(SettingError, match="only once"):
        models.choose(["liver", "liver"])
    encoder = make_encoder_package()
    save_package(encoder, make_weights(encoder), models.user)
    with pytest.raises(ModelError, match=r"features-1.0.0 is an encoder"):
        models.choose(["liver"], "features")


def test_the_user_can_replace_a_default(models):
    add(models.user, version="0.9.0")
    assert models.default_for(["liver"]).version == "1.0.0"
    own = add(models.user, seed=1)
    assert models.default_for(["liver"]).path == own
    add(models.user, version="1.1.0")
    assert models.default_for(["liver"]).version == "1.1.0"
    add(models.user, **liver_only(version="1.2.0"))
    assert models.default_for(["liver"]).version == "1.2.0"
    assert models.default_for(["lungs"]).version == "1.1.0"


def test_an_unproven_model_of_the_user_is_never_taken_unasked(models):
    """One of a single case, or checked on none, though it has the name of the shipped one and is newer."""
    one, two, five = ({f"case {n}": {} for n in range(count)} for count in (1, 2, 5))
    add(models.user, version="1.1.0", provenance={"training_cases": one, "validation_cases": one})
    add(models.user, version="1.2.0", provenance={"training_cases": five, "validation_cases": {}})
    assert models.default_for(["liver"]).version == "1.0.0"
    told = {entry.package.version: entry.to_dict()["unproven"] for entry in models.list()}
    assert (
        "learned from a single case" in told["1.1.0"] and "checked on none" in told["1.2.0"] and told["1.0.0"] is None
    )
    assert models.choose(["liver"], "liver-lungs-1.2.0").version == "1.2.0", "but by who names it"
    add(models.user, version="1.3.0", provenance={"training_cases": two, "validation_cases": one})
    assert models.default_for(["liver"]).version == "1.3.0"


def test_a_broken_default_is_named(models):
    (models.shipped / "liver-lungs-1.0.0.med3d.zip").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"finds liver, and .*liver-lungs-1\.0\.0\.med3d\.zip is damaged"):
        models.default_for(["liver"])


def test_install(models, tmp_path):
    path = add(tmp_path / "download", version="2.0.0").rename(tmp_path / "some download (1).zip")
    target = models.install(path)
    assert target == models.user / "liver-lungs-2.0.0.med3d.zip"
    assert target.read_bytes() == path.read_bytes()
    assert models.install(path) == target
    assert models.verify("liver-lungs-2.0.0").path == target
    assert [p.name for p in models.user.iterdir()] == [target.name]


def test_install_refuses_to_replace_another_model(models, tmp_path):
    add(models.user, version="2.0.0")
    other = add(tmp_path / "download", seed=1, version="2.0.0")
    with pytest.raises(ModelError, match=r"Another model is called liver-lungs-2\.0\.0 already"):
        models.install(other)
    assert models.install(other, overwrite=True).read_bytes() == other.read_bytes()
    with pytest.raises(ModelError, match=r"Another model is called liver-lungs-1\.0\.0 already"):
        models.install(add(tmp_path / "download", seed=1))
    shipped = models.shipped / "liver-lungs-1.0.0.med3d.zip"
    assert models.install(shipped) == shipped


def test_install_verifies_first(models, tmp_path):
    package = make_package(version="2.0.0")
    weights = make_weights(package)
    weights["liver"].popitem()
    path = save_package(package, weights, tmp_path)
    with pytest.raises(ModelError, match="1 missing"):
        models.install(path)
    assert not models.user.exists()


def test_save_a_new_model(models):
    package = make_encoder_package()
    path = models.save(package, make_weights(package))
    assert load_package(path) == package
    with pytest.raises(ModelError, match="Another model"):
        models.save(package, make_weights(package))
    models.save(package, make_weights(package), overwrite=True)


def test_export(models, tmp_path):
    shipped = models.shipped / "liver-lungs-1.0.0.med3d.zip"
    target = models.export("liver-lungs", tmp_path)
    assert target == tmp_path / shipped.name
    assert target.read_bytes() == shipped.read_bytes()
    assert models.export("liver-lungs", tmp_path) == target
    made = shipped.stat().st_mtime_ns, shipped.stat().st_ino
    assert models.export("liver-lungs", shipped) == shipped
    assert (shipped.stat().st_mtime_ns, shipped.stat().st_ino) == made, "what came with Med3D is never written to"
    target.write_bytes(b"precious")
    with pytest.raises(ModelError, match="is another file"):
        models.export("liver-lungs", target)
    assert target.read_bytes() == b"precious"
    models.export("liver-lungs", target, overwrite=True)
    with pytest.raises(OutputError, match=r"ends with \.med3d\.zip"):
        models.export("liver-lungs", tmp_path / "a.zip")


def test_remove(models):
    with pytest.raises(ModelError, match="came with Med3D"):
        models.remove("liver-lungs")
    with pytest.raises(ModelError, match="There is no model 'brain'"):
        models.remove("brain")
    first, second = add(models.user), add(models.user, version="2.0.0")
    with pytest.raises(
        ModelError, match=r"several files .* liver-lungs-1\.0\.0\.med3d\.zip, liver-lungs-2\.0\.0\.med3d"
    ):
        models.remove("liver-lungs")
    assert models.remove("liver-lungs-2.0.0") == second
    twin = models.user / "twin.med3d.zip"
    twin.write_bytes(first.read_bytes())
    with pytest.raises(ModelError, match=r"several files .* twin\.med3d\.zip"):
        models.remove("liver-lungs-1.0.0")
    assert models.remove("twin.med3d.zip") == twin
    assert models.remove("liver-lungs") == first
    assert [entry.shipped for entry in models.list()] == [True]


def test_where_models_live(monkeypatch, tmp_path):
    monkeypatch.setenv("MED3D_MODELS", str(tmp_path / "mine"))
    assert Catalogue().user == tmp_path / "mine"
    monkeypatch.delenv("MED3D_MODELS")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    expected = {"linux": ".local/share", "darwin": "Library/Application Support", "win32": "AppData/Local"}
    for platform, folder in expected.items():
        monkeypatch.setattr(sys, "platform", platform)
        assert folders.user_folder() == tmp_path / folder / "Med3D" / "models"
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert folders.user_folder() == tmp_path / "local" / "Med3D" / "models"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert folders.user_folder() == tmp_path / "xdg" / "Med3D" / "models"
    # Installed: Med3DCore and Resources side by side.
    monkeypatch.setattr(Med3DCore, "__file__", str(tmp_path / "lib" / "Med3DCore" / "__init__.py"))
    assert Catalogue().shipped == tmp_path / "lib" / "Resources" / "Models"
    assert Catalogue().list() == []


def test_shipped_models_are_sound():
    shipped = [entry for entry in Catalogue("/nonexistent").list() if entry.shipped]
    if not shipped:
        pytest.skip("No model ships yet.")
    for entry in shipped:
        assert entry.package, entry.problem
        entry.package.verify()


def test_a_folder_of_models_that_cannot_be_written_says_how_to_have_another(tmp_path, monkeypatch):
    file = write(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr("os.access", lambda path, _mode: tmp_path / "models" not in (path, *path.parents))
    for folder in ("models", "file"):
        with pytest.raises(OutputError, match="MED3D_MODELS"):
            Catalogue(tmp_path / folder, tmp_path / "shipped").install(file)
    assert list((tmp_path / "models").iterdir()) == []


def test_an_account_without_a_home_folder_hears_what_to_set(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    for variable in ("MED3D_MODELS", "MED3D_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    for variable, find in (("MED3D_MODELS", Catalogue), ("MED3D_CACHE", cache_folder)):
        with pytest.raises(SettingError, match=f"no home folder; set {variable} to a folder"):
            find()

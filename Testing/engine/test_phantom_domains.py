"""The phantom data sets for co-training: each with its own organs, contrast, spacing and field of view."""

from dataclasses import replace

import numpy as np
import pytest

from Med3DCore.cli.main import main
from Med3DCore.errors import SettingError
from Med3DCore.io import read_label_map, read_volume
from Med3DCore.phantom import domains
from Med3DCore.training.cases.description import read_cases


@pytest.fixture
def cases(tmp_path, monkeypatch):
    """Two patients each of three domains, coarse to be quick."""
    assert len(domains.DOMAINS) == 8
    few = ("spleen", "kidneys", "heart")
    coarse = {name: replace(domains.DOMAINS[name], spacings=((10.0, 10.0, 10.0),)) for name in few}
    monkeypatch.setattr(domains, "DOMAINS", coarse)
    assert main(["phantom", str(tmp_path / "data"), "--domains", "2", "--quiet"]) == 0
    return read_cases(tmp_path / "data" / "dataset.json")


def test_every_domain_has_patients_to_learn_from_and_to_check_on(cases):
    assert len(cases) == 6 and len({case.patient for case in cases}) == 6
    assert {case.modality for case in cases} == {"CT", "MR"}
    for name, domain in domains.DOMAINS.items():
        own = [case for case in cases if case.domain == name]
        assert sorted(case.split for case in own) == ["training", "validation"]
        assert {tuple(case.values) for case in own} == {domain.organs}
        for case in own:
            counts = np.bincount(read_label_map(case.label).array.ravel(), minlength=len(domain.organs) + 1)
            assert np.all(counts[1:] > 20), f"an organ of {case.name} is not in the field of view"
            assert (read_volume(case.image).array.min() >= 0) == (case.modality == "MR")


def test_settings_follow_from_the_seed_and_vary():
    domain = domains.DOMAINS["spleen"]
    assert domain.settings(3) == domain.settings(3)
    assert len({domain.settings(seed).spacing for seed in range(20)}) == len(domain.spacings)


def test_no_patients_are_refused(tmp_path):
    with pytest.raises(SettingError, match="at least one"):
        domains.write_phantom_domains(tmp_path / "none", 0)
    assert not (tmp_path / "none").exists()

"""What all tests share."""

import os

import pytest

# One thread each: on a busy two-core machine OpenMP's barriers cost more than the second thread brings.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Prepared cases of the tests go nowhere else."""
    os.environ["MED3D_CACHE"] = str(tmp_path_factory.mktemp("prepared"))

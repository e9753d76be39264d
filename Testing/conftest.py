"""What all tests share."""

import os

import pytest

# One thread each: on a busy two-core machine OpenMP's barriers cost more than the second thread brings.
os.environ["OMP_NUM_THREADS"] = "1"


# Files of more than a few seconds, which `make quick` leaves out.
SLOW = {
    *("test_classify", "test_cli_segment", "test_co_training", "test_command_blocks", "test_compare"),
    *("test_dicom_node", "test_dicom_results", "test_distributed", "test_evaluation_surface", "test_fine_tune"),
    *("test_gantry_tilt", "test_io_dicom", "test_locks", "test_models_combine", "test_models_safety"),
    *("test_models_schema", "test_networks_decoders", "test_networks_encoders", "test_networks_vdt"),
    *("test_nodules_phantom", "test_orientation", "test_orthanc", "test_overlaps", "test_phantom"),
    *("test_phantom_domains", "test_pictures", "test_second_look", "test_shipped_model", "test_sides"),
    *("test_training_initialization", "test_training_loop", "test_training_stage", "test_training_worker"),
    *("test_detection", "test_detector", "test_dicom_references", "test_lesion_phantom", "test_nnunet_answers"),
    *("test_models_checkpoints", "test_nnunet_import", "test_nnunet_winners", "test_splits", "test_worker_phantom"),
    *("test_worker_models", "test_worker_process", "test_worker_requests", "test_cache", "test_cli_command"),
    *("test_compare_report", "test_data_set_checks", "test_dicom_labels"),
}


# Files that measure time, which other tests beside them would use up. Single tests are marked where they stand.
ALONE = {"test_longest_turn"}


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem in ALONE:
            item.add_marker("alone")
        if item.path.stem in SLOW:
            item.add_marker("slow")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Prepared cases of the tests go nowhere else."""
    os.environ["MED3D_CACHE"] = str(tmp_path_factory.mktemp("prepared"))

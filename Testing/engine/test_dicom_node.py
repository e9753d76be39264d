"""A DICOM node: what is sent comes back as a segmentation of the same study, once, whatever happens in between."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pydicom
import pytest
from bright_model import GEOMETRY, make_stage, make_volume, save_model
from ct_series import write_ct_series
from node_helpers import Archive, associate, configuration, free_port, running, send_folder, start_node, until

from Med3DCore.cli.main import main
from Med3DCore.dicom_node.processing import Segmenter
from Med3DCore.dicom_node.queue import DONE, FAILED, SENDING, WAITING, Queue
from Med3DCore.dicom_node.service import Node
from Med3DCore.dicom_node.settings import EXAMPLE, read_settings
from Med3DCore.errors import OutputError, SettingError, VolumeError
from Med3DCore.inference.segment import segment
from Med3DCore.io import read_label_map, read_volume
from Med3DCore.models import catalogue, load_package, save_package

ORGANS = ("liver", "lungs")


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A folder for each of several series, all with the same boxes."""
    folder = tmp_path_factory.mktemp("series")
    for seed in "abcde":
        write_ct_series(folder / seed, make_volume().array[::2], GEOMETRY, seed)
    return folder


@pytest.fixture
def node(tmp_path, tmp_path_factory, monkeypatch):
    """A folder, ports of a node and an archive, and the environment of a node's process."""
    models = tmp_path / "models"
    models.mkdir()
    save_model(models, "bright", [make_stage("only", ORGANS, 6.0)])
    monkeypatch.setenv("MED3D_MODELS", str(models))
    monkeypatch.setattr(catalogue, "shipped_folder", lambda: tmp_path / "none")
    return tmp_path, free_port(), free_port()


def sent_whole(folder: Path, port: int) -> bool:
    """Send a series; whether all of it was taken, and the association ended well."""
    try:
        statuses = send_folder(folder, port)
    except (AssertionError, RuntimeError, ValueError):  # pynetdicom's, of an association that was cut off
        return False
    return statuses == [0] * len(list(folder.glob("*.dcm")))


def only(archive: Archive, modality: str = "SEG") -> list[pydicom.Dataset]:
    return [made for made in archive.objects.values() if made.Modality == modality]


def test_a_series_comes_back_as_seg_rtstruct_and_picture(node, series):
    folder, port, archive_port = node
    archive = Archive(archive_port)
    path = configuration(folder, port, archive_port, kinds='"seg", "rtstruct", "picture"')
    with running(path):
        assert set(send_folder(series / "a", port)) == {0}
        until(lambda: len(archive.objects) == 3)
        queue = Queue(folder / "queue")
        until(lambda: [job.state for job in queue.all_jobs()] == [DONE])
        until(lambda: not list(queue.incoming.iterdir()) and not list(queue.results.iterdir()))
    archive.close()
    assert archive.modalities() == ["OT", "RTSTRUCT", "SEG"]
    source = pydicom.dcmread(series / "a" / "im001.dcm")
    assert {made.StudyInstanceUID for made in archive.objects.values()} == {source.StudyInstanceUID}
    (made,) = only(archive)
    made.save_as(folder / "back.dcm", enforce_file_format=True)
    package = catalogue.Catalogue().choose(ORGANS, "bright")
    wanted = segment(read_volume(series / "a"), ORGANS, package).labels
    read = read_label_map(folder / "back.dcm")
    assert np.count_nonzero(wanted.array) == np.count_nonzero(read.array) > 1000
    (picture,) = only(archive, "OT")
    assert picture.pixel_array.shape[2] == 3 and picture.pixel_array.std() > 10
    assert (folder / "queue").stat().st_mode & 0o777 == 0o700


def test_several_series_in_one_association_and_the_same_again(node, series):
    folder, port, archive_port = node
    archive = Archive(archive_port)
    queue = Queue(folder / "queue")
    path = configuration(folder, port, archive_port)
    # However slow a busy computer is, the association stays open.
    patient = path.read_text(encoding="utf-8").replace("silent_seconds = 1", "silent_seconds = 60")
    path.write_text(patient, encoding="utf-8")
    with running(path):
        association = associate(port)
        for files in zip(*(sorted((series / seed).glob("*.dcm")) for seed in "abc"), strict=True):
            for file in files:
                assert association.send_c_store(pydicom.dcmread(file)).Status == 0
        assert not queue.all_jobs()
        association.release()
        until(lambda: [job.state for job in queue.all_jobs()] == [DONE] * 3)
        assert len(only(archive)) == 3
        send_folder(series / "b", port)
        until(lambda: not list(queue.incoming.iterdir()))
        time.sleep(0.5)
    archive.close()
    assert len(only(archive)) == 3 and set(archive.times.values()) == {1}


def test_a_slice_that_is_just_being_written_is_no_part_of_the_series(node, series):
    folder, *ports = node
    queue = Queue(folder / "queue")
    for file in sorted((series / "a").glob("*.dcm")):
        key = queue.add("1.2", file.name, file.read_bytes())
    (queue.incoming / key / ".med3d-half.dcm").write_bytes(file.read_bytes()[:3000])
    Segmenter(read_settings(configuration(folder, *ports))).make(queue.slices_of(key), queue.results / key)
    assert [made.name for made in (queue.results / key).iterdir()] == ["r.seg.dcm"]
    with pytest.raises(VolumeError, match="gone"):
        Segmenter(read_settings(configuration(folder, *ports))).make([], queue.results / "other")


def test_a_series_that_grows_after_it_was_done_is_done_again_whole(node, series):
    folder, port, archive_port = node
    archive = Archive(archive_port)
    queue = Queue(folder / "queue")
    part = folder / "part"
    part.mkdir()
    files = sorted((series / "a").glob("*.dcm"))
    for file in files[:10]:
        shutil.copy(file, part)
    with running(configuration(folder, port, archive_port)):
        send_folder(part, port)
        until(lambda: [job.state for job in queue.all_jobs()] == [DONE])
        send_folder(series / "a", port)
        until(lambda: len(only(archive)) == 2)
    archive.close()
    assert max(made.NumberOfFrames for made in only(archive)) > min(made.NumberOfFrames for made in only(archive))


def test_what_is_left_of_a_series_sent_again_while_it_was_done_is_no_series(tmp_path):
    queue = Queue(tmp_path)
    for number in range(6):
        key = queue.add("1.2", f"1.2.{number}", b"a slice")
    job = queue.complete(key, time.time())
    for number in range(3):  # again, while it is done; the others come after it was
        queue.add("1.2", f"1.2.{number}", b"a slice")
    queue.finish(job, DONE)
    for number in range(3, 6):
        queue.add("1.2", f"1.2.{number}", b"a slice")
    assert queue.complete(key, time.time()).state == DONE and not queue.slices_of(key)
    queue.add("1.2", "1.2.9", b"a new slice")
    assert queue.complete(key, time.time()).state == WAITING


def test_strangers_and_wrong_objects_harm_nobody(node, series):
    folder, port, archive_port = node
    archive = Archive(archive_port)
    with running(configuration(folder, port, archive_port, "[limits]\nobject_mb = 0.1\nseries_slices = 15")):
        assert not associate(port, "STRANGER").is_established
        other = associate(port, classes=("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.1"))  # MR
        assert [context.abstract_syntax for context in other.accepted_contexts] == ["1.2.840.10008.1.1"]
        assert other.send_c_echo().Status == 0
        other.release()
        large = pydicom.dcmread(series / "a" / "im001.dcm")
        large.Rows, large.Columns, large.PixelData = 512, 512, bytes(512 * 512 * 2)
        nameless = pydicom.dcmread(series / "a" / "im001.dcm")
        del nameless.SeriesInstanceUID
        association = associate(port)
        assert association.send_c_store(large).Status == 0xA700
        assert association.send_c_store(nameless).Status == 0xC000
        association.release()
        statuses = send_folder(series / "a", port)
        assert statuses[:15] == [0] * 15 and set(statuses[15:]) == {0xA700}
        until(lambda: len(only(archive)) == 1)
    archive.close()


def test_associations_that_send_nothing_or_half_of_an_object_are_ended_and_harm_nobody(node, series):
    folder, port, archive_port = node
    archive = Archive(archive_port)
    with running(configuration(folder, port, archive_port, "[limits]\nassociations = 3\nidle_seconds = 1")):
        with socket.create_connection(("127.0.0.1", port)) as half:
            half.sendall(b"\x01\x00\x00\x00\x00\xcd\x00\x01")
        idle = [associate(port), associate(port)]
        until(lambda: not any(each.is_established for each in idle))
        # On a busy computer a second passes within our own sending, too, and it is cut off; a sender tries again.
        until(lambda: sent_whole(series / "a", port))
        until(lambda: len(only(archive)) == 1)
    archive.close()


def test_a_series_that_cannot_be_segmented_is_told_without_names(node, series, capsys):
    folder, port, archive_port = node
    bad = folder / "bad"
    shutil.copytree(series / "a", bad)
    for file in sorted(bad.glob("*.dcm"))[4:12]:
        file.unlink()
    path = configuration(folder, port, archive_port)
    queue = Queue(folder / "queue")
    with running(path):
        send_folder(bad, port)
        until(lambda: [job.state for job in queue.all_jobs()] == [FAILED])
    assert main(["dicom-node", "status", str(path)]) == 0
    said = capsys.readouterr().out
    assert "not running" in said and "1 failed" in said and "uneven slices" in said
    assert "Doe" not in said and "P7" not in said and not list(queue.incoming.iterdir())  # the node has ended


def test_a_peer_that_is_away_gets_it_later(node, series, monkeypatch):
    folder, port, archive_port = node
    monkeypatch.setattr("Med3DCore.dicom_node.service._LONGEST_WAIT", 0.5)
    queue = Queue(folder / "queue")
    with running(configuration(folder, port, archive_port)):
        send_folder(series / "a", port)
        until(lambda: any("is it running?" in job.error for job in queue.all_jobs()))
        archive = Archive(archive_port)
        until(lambda: [job.state for job in queue.all_jobs()] == [DONE])
    archive.close()
    assert len(only(archive)) == 1


def test_two_nodes_in_one_folder(node, capsys):
    folder, port, archive_port = node
    path = configuration(folder, port, archive_port)
    with running(path):
        assert main(["dicom-node", "run", str(path)]) == 2
        assert "Another node runs in" in capsys.readouterr().err
        assert main(["dicom-node", "status", str(path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["running"] is True


def test_tls_with_certificates_on_both_sides(node, series):
    from Med3DCore.dicom_node.sender import context
    from Med3DCore.dicom_node.settings import Tls

    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder, port, archive_port = node
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "k.pem", "-out", "c.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    tls = Tls(str(folder / "c.pem"), str(folder / "k.pem"), str(folder / "c.pem"))
    import ssl

    archive = Archive(archive_port, context(tls, ssl.Purpose.CLIENT_AUTH))
    path = configuration(folder, port, archive_port)
    path.write_text(
        path.read_text(encoding="utf-8")
        + f'tls = true\n[tls]\ncertificate = "{tls.certificate}"\nkey = "{tls.key}"\nauthority = "{tls.authority}"\n',
        encoding="utf-8",
    )
    with running(path):
        assert not associate(port).is_established
        assert set(send_folder(series / "a", port, tls=context(tls, ssl.Purpose.SERVER_AUTH))) == {0}
        until(lambda: len(only(archive)) == 1)
    archive.close()


def receiving(queue: Queue) -> bool:
    """Slices of a series are there, and it is not complete."""
    with suppress(FileNotFoundError):  # the node moves them meanwhile
        return any(True for _ in queue.arriving()) and not unfinished(queue)
    return False


def computing(queue: Queue) -> bool:
    """A series is being segmented."""
    return any(job.state == WAITING and job.attempts for job in queue.all_jobs())


def sending(queue: Queue) -> bool:
    """Results are on their way."""
    return any(job.state == SENDING for job in queue.all_jobs())


def unfinished(queue: Queue) -> bool:
    """A series is complete, but not done."""
    return any(job.state in (WAITING, SENDING) for job in queue.all_jobs())


def done(queue: Queue, count: int) -> bool:
    """So many series came, and nothing is left to do for any of them."""
    return len(queue.all_jobs()) == count and not unfinished(queue)


def test_killed_at_any_moment_every_series_is_done_exactly_once(node, tmp_path):
    """Killed while it receives, computes and sends; with MED3D_KILLS=50 at so many moments that chance chooses.

    Each is a random part of a second after one of the three has begun. At any random time a slow computer is killed in
    the same series again and again, which the node gives up after ten times.
    """
    folder, port, archive_port = node
    kills, random_ = int(os.environ.get("MED3D_KILLS", "0")), random.Random(0)
    archive, queue = Archive(archive_port, seconds=0.3), Queue(folder / "queue")
    path = configuration(folder, port, archive_port)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("silent_seconds = 1", "silent_seconds = 60"), encoding="utf-8")
    environment = dict(os.environ, MED3D_MODELS=str(folder / "models"))
    states, struck = (receiving, computing, sending), Counter()
    moments = random_.choices(states, k=kills) if kills else states
    senders = []
    process = start_node(path, environment)
    for number, moment in enumerate(moments):
        write_ct_series(tmp_path / f"s{number}", make_volume().array[::2], GEOMETRY, f"s{number}")
        senders.append(threading.Thread(target=send_until_taken, args=(tmp_path / f"s{number}", port)))
        senders[-1].start()
        # A quick computer may be done before it was seen.
        until(lambda: moment(queue) or done(queue, number + 1), 300, 0.005)  # noqa: B023
        time.sleep(random_.uniform(0.0, 1.0) if kills else 0.0)
        struck.update(state.__name__ for state in states if state(queue))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = start_node(path, environment)
    for sender in senders:
        sender.join(120)
    until(lambda: done(queue, len(moments)), 120)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    archive.close()
    again = sum(archive.times.values()) - len(moments)
    print(f"{len(moments)} kills, of which {dict(struck)}; SEG that were sent twice: {again}")
    assert {job.state for job in queue.all_jobs()} == {DONE}
    made = only(archive)
    assert len(made) == len(moments) == len({each.StudyInstanceUID for each in made})
    assert len({each.NumberOfFrames for each in made}) == 1  # of whole series, all of them alike


def send_until_taken(folder: Path, port: int) -> None:
    """As a PACS does: again, until every slice was taken and the association released."""
    until(lambda: sent_whole(folder, port), 120)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace("port = 11112", 'port = "a"'), "port must be a whole number"),
        (lambda text: text.replace('ae_title = "MED3D"', 'ae_title = "A TITLE THAT IS TOO LONG"'), "is no AE title"),
        (lambda text: text.replace("[[callers]]", "[[caller]]"), "'caller' is unknown"),
        (lambda text: text.replace('kinds = ["seg"] ', 'kinds = ["film"] '), "film"),
        (lambda text: text.replace("queue_gb = 50", "queue_gb = 0"), "must be more than 0"),
        (lambda text: text.replace('folder = "', 'folders = "'), "'folders' is unknown"),
        (lambda text: text.replace('folder = "', '# "'), "'folder' is missing"),
        (lambda text: text + "[tls]\n", "'certificate' is missing"),
        (lambda text: "= " + text, "is no TOML"),
    ],
)
def test_a_configuration_that_makes_no_sense(tmp_path, change, sentence):
    (tmp_path / "good.toml").write_text(EXAMPLE, encoding="utf-8")
    assert read_settings(tmp_path / "good.toml").host == "127.0.0.1"
    (tmp_path / "bad.toml").write_text(change(EXAMPLE), encoding="utf-8")
    with pytest.raises(SettingError, match=sentence):
        read_settings(tmp_path / "bad.toml")


def test_the_example_is_printed_and_status_needs_no_node(tmp_path, capsys):
    assert main(["dicom-node", "example"]) == 0
    path = tmp_path / "node.toml"
    path.write_text(capsys.readouterr().out.replace("/var/lib/med3d-node", str(tmp_path / "q")), encoding="utf-8")
    assert main(["dicom-node", "status", str(path)]) == 0
    assert "no series yet" in capsys.readouterr().out and not Path(tmp_path / "q").exists()


@pytest.fixture
def waiting(node, series):
    """A node that does not run, and the one job in its queue."""
    folder, port, archive_port = node
    made = Node(read_settings(configuration(folder, port, archive_port)), Queue(folder / "queue"))
    queue = made._queue
    for number, file in enumerate(sorted((series / "a").glob("*.dcm"))):
        key = queue.add("1.2", f"1.2.{number}", file.read_bytes())
    queue.complete(key, 0.0)
    return made, lambda: queue.job(key)


def on_full_disk(*_arguments, **_options):
    raise OutputError("it cannot be written: No space left on device")


def test_a_full_disk_is_waited_for_and_no_series_is_lost(waiting, monkeypatch):
    node, job = waiting
    queue = node._queue
    with monkeypatch.context() as full:
        full.setattr("Med3DCore.dicom_node.processing.write_label_maps", on_full_disk)
        for _ in range(12):
            assert node._step_or_wait() and "No space" in job().error
            queue.save(job(), not_before=0.0)
    with monkeypatch.context() as full:
        full.setattr(queue, "save", on_full_disk)
        assert not node._step_or_wait()
    assert node._step_or_wait() and job().state == SENDING and len(queue.slices_of(job().key)) == job().slices


def test_a_model_that_is_removed_is_waited_for_and_a_new_version_is_taken_up(waiting):
    node, job = waiting
    (old,) = catalogue.Catalogue().user.glob("*.zip")
    old.rename(old.with_suffix(".aside"))
    for _ in range(12):
        assert node._step_or_wait() and "There is no model 'bright'" in job().error and job().state == WAITING
        node._queue.save(job(), not_before=0.0)
    package = load_package(old.with_suffix(".aside").rename(old))
    weights = {part: package.read_weights(part) for part in package.parts}
    save_package(dataclasses.replace(package, version="2.0.0"), weights, old.parent)
    assert node._step_or_wait() and job().state == SENDING
    made = pydicom.dcmread(node._queue.results / job().key / "r.seg.dcm")
    assert "bright-2.0.0" in made.SeriesDescription


def test_results_of_other_settings_are_made_anew_before_they_are_sent(waiting, monkeypatch):
    node, job = waiting
    assert node.step() and job().state == SENDING
    peer = dataclasses.replace(node._settings.send_to[0], kinds=("seg", "rtstruct"))
    changed = Node(dataclasses.replace(node._settings, send_to=(peer,)), node._queue)
    sent = []
    monkeypatch.setattr("Med3DCore.dicom_node.service.send", lambda _settings, _peer, file: sent.append(file.name))
    assert changed.step() and changed.step() and changed.step()
    assert job().state == DONE and sent == ["r.seg.dcm", "r.rtstruct.dcm"]


def test_a_peer_that_is_away_for_weeks_does_not_end_the_node(waiting):
    node, job = waiting
    assert node.step()
    patient = Node(dataclasses.replace(node._settings, retry_hours=1e6), node._queue)
    node._queue.save(job(), attempts=5000, received=time.time())
    assert patient.step() and "is it running?" in job().error and job().state == SENDING

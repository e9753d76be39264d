"""With a real archive: Orthanc gets a CT, sends it to our node, and finds the segmentation in the same study."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path

import numpy as np
import pydicom
import pytest
from bright_model import GEOMETRY, make_volume
from ct_series import PATIENT, write_ct_series
from node_helpers import configuration, free_port, running, until
from test_dicom_node import ORGANS, node  # noqa: F401 - a fixture

from Med3DCore.cli.main import main
from Med3DCore.inference.segment import segment
from Med3DCore.io import read_label_map, read_volume
from Med3DCore.models import catalogue
from Med3DCore.volume import LabelMap

ORTHANC = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin")

DICOMWEB = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
DICOMWEB = DICOMWEB if Path(DICOMWEB).exists() else None


class Orthanc:
    """A running Orthanc with an empty database, at ports of its own on this computer."""

    def __init__(self, folder: Path, node_port: int, dicom_port: int) -> None:
        self._http = free_port()
        configuration = {
            "StorageDirectory": str(folder / "orthanc"),
            "IndexDirectory": str(folder / "orthanc"),
            "HttpPort": self._http,
            "DicomPort": dicom_port,
            "DicomAet": "SCANNER",
            "RemoteAccessAllowed": False,
            "DicomModalities": {"med3d": ["MED3D", "127.0.0.1", node_port]},
            "DicomModalitiesInDatabase": False,
            **({"Plugins": [DICOMWEB], "DicomWeb": {"Enable": True}} if DICOMWEB else {}),
        }
        (folder / "orthanc.json").write_text(json.dumps(configuration), encoding="utf-8")
        self._process = subprocess.Popen([ORTHANC, folder / "orthanc.json"], stderr=subprocess.DEVNULL)
        until(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self.get("/system"))
        except OSError:
            return False

    @property
    def web(self) -> str:
        """The root of DICOMweb."""
        return f"http://127.0.0.1:{self._http}/dicom-web"

    def get(self, path: str, data: bytes | None = None) -> object:
        """What a path of its REST interface says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._http}{path}", data) as answer:
            content = answer.read()
        return json.loads(content) if "json" in answer.headers["Content-Type"] else content

    def series(self, modality: str) -> list[dict]:
        """The series of a modality."""
        every = (self.get(f"/series/{one}") for one in self.get("/series"))
        return [one for one in every if one["MainDicomTags"]["Modality"] == modality]

    def close(self) -> None:
        """End at once: what it keeps is thrown away, and asked nicely it takes 3.5 s."""
        self._process.kill()
        self._process.wait()


@pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed (apt-get install orthanc)")
def test_the_archive_finds_the_segmentation_in_the_study(node, tmp_path):  # noqa: F811
    folder, port, archive_port = node
    write_ct_series(folder / "ct", make_volume().array[::2], GEOMETRY, "o")
    path = configuration(folder, port, archive_port, kinds='"seg", "rtstruct"')
    # On a busy machine more than a second may pass between two slices: only the end of the association tells.
    text = path.read_text(encoding="utf-8").replace("silent_seconds = 1", "silent_seconds = 60")
    path.write_text(text.replace('"ARCHIVE"', '"SCANNER"'), encoding="utf-8")
    orthanc = Orthanc(folder, port, archive_port)
    try:
        for file in sorted((folder / "ct").glob("*.dcm")):
            orthanc.get("/instances", file.read_bytes())
        (ct,) = orthanc.series("CT")
        with running(path):
            orthanc.get("/modalities/med3d/store", ct["ID"].encode())
            until(lambda: orthanc.series("SEG") and orthanc.series("RTSTRUCT"))
        (seg,), (structures,) = orthanc.series("SEG"), orthanc.series("RTSTRUCT")
        assert ct["ParentStudy"] == seg["ParentStudy"] == structures["ParentStudy"]
        query = {"Level": "Study", "Query": {"PatientID": PATIENT["PatientID"], "ModalitiesInStudy": "SEG"}}
        assert orthanc.get("/tools/find", json.dumps(query).encode()) == [ct["ParentStudy"]]
        wanted = segment(read_volume(folder / "ct"), ORGANS, catalogue.Catalogue().choose(ORGANS, "bright")).labels
        assert wanted.array.any()
        for each in (seg, structures):
            (tmp_path / "back.dcm").write_bytes(orthanc.get(f"/instances/{each['Instances'][0]}/file"))
            read = read_label_map(tmp_path / "back.dcm", grid=wanted.geometry)
            back = LabelMap(read.array, read.geometry, "back", ()).sampled(wanted.geometry, 0, nearest=True)
            assert np.array_equal(back, wanted.array)
    finally:
        orthanc.close()


@pytest.mark.skipif(not (ORTHANC and DICOMWEB), reason="Orthanc with DICOMweb is not installed (orthanc-dicomweb)")
def test_a_series_of_an_archive_over_the_web(node, capsys):  # noqa: F811
    folder, port, archive_port = node
    write_ct_series(folder / "ct", make_volume().array[::2], GEOMETRY, "w")
    uid = pydicom.dcmread(folder / "ct" / "im001.dcm").SeriesInstanceUID
    orthanc = Orthanc(folder, port, archive_port)
    try:
        for file in sorted((folder / "ct").glob("*.dcm")):
            orthanc.get("/instances", file.read_bytes())
        where = ["segment", "--model", "bright", "--dicomweb", orthanc.web]
        assert main([*where, "--series", "1.2.3", "-o", "-"]) == 2
        assert "has no series 1.2.3" in capsys.readouterr().err
        image = folder / "r.nii.gz"
        assert main([*where, "--series", uid, "-o", "-", "-o", str(image)]) == 0
        (seg,) = orthanc.series("SEG")
        assert seg["ParentStudy"] == orthanc.series("CT")[0]["ParentStudy"]
        (folder / "back.dcm").write_bytes(orthanc.get(f"/instances/{seg['Instances'][0]}/file"))
        wanted, read = read_label_map(image), read_label_map(folder / "back.dcm")
        assert np.count_nonzero(wanted.array) == np.count_nonzero(read.array) > 1000
    finally:
        orthanc.close()
    assert main([*where, "--series", uid]) == 2
    assert "did not answer" in capsys.readouterr().err
    assert main(["segment", "--dicomweb", "ftp://x", "--series", uid]) == 2

"""Model packages as files: written, read and checked (docs: decision 2 of the design)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.errors import ModelError, OutputError
from Med3DCore.io.write import written_beside
from Med3DCore.models import archive as zips
from Med3DCore.models.document import document_from_bytes, document_to_bytes
from Med3DCore.models.in_use import require_in_place
from Med3DCore.models.package import ModelPackage, weights_member

if TYPE_CHECKING:
    from torch import Tensor

CARD = "card.md"
MODEL_EXISTS = "model-exists"  # code of the ModelError that overwriting would cure


def save_package(
    package: ModelPackage, weights: Mapping[str, Mapping[str, Tensor]], path: str | Path, half: bool = True
) -> Path:
    """Write a model package; equal content gives equal bytes.

    Args:
        package: Its description; ``path`` and ``members`` are ignored.
        weights: State dict of each of ``package.parts``.
        path: A folder, in which the file is called name-version.med3d.zip, or a file that ends so.
        half: Store kernels as float16 (see :func:`Med3DCore.models.weights.tensors_to_bytes`).

    Returns:
        The file that was written.

    Raises:
        ModelError: The description is not complete, or the weights do not belong to it.
        OutputError: The file cannot be written.
    """
    from Med3DCore.models.weights import tensors_to_bytes

    if set(weights) != set(package.parts):
        raise ModelError(
            f"{package.reference} needs weights for {', '.join(package.parts) or 'at least one stage'},"
            f" but got {', '.join(weights) or 'none'}."
        )
    files = {
        weights_member(part): tensors_to_bytes(weights[part], half, f"'{part}' of {package.reference}")
        for part in package.parts
    }
    if package.card:
        files[CARD] = package.card.encode()
    members = tuple(zips.describe_member(name, data) for name, data in files.items())
    document = document_to_bytes(replace(package, members=members).to_dict(), package.reference)
    target = package_file(package, path)
    zips.write_archive(target, {zips.DOCUMENT: document, **files})
    return target


def check_description(package: ModelPackage) -> None:
    """Refuse, before a training, what :func:`.save_package` would refuse after it.

    Raises:
        ModelError: The description is not complete, or its parts do not fit together.
    """
    members = tuple(zips.describe_member(weights_member(part), b"later") for part in package.parts)
    document_to_bytes(replace(package, members=members).to_dict(), package.reference)


def load_package(path: str | Path) -> ModelPackage:
    """Open a model package. Reads and checks all but the weights, so it is fast and needs no torch.

    Raises:
        ModelError: The file is missing, damaged, unsafe, or of an unknown schema version.
    """
    path = Path(path)
    with zips.open_archive(path) as archive:
        document = document_from_bytes(zips.read_document(archive, path.name), path.name)
        for member in document["members"]:
            zips.check_size(archive, member, path.name)
        unlisted = set(archive.namelist()) - {zips.DOCUMENT} - {member["name"] for member in document["members"]}
        if unlisted:
            raise ModelError(f"{path.name} is refused: its model.json does not list {min(unlisted)}.")
        card = next((member for member in document["members"] if member["name"] == CARD), None)
        text = zips.read_member(archive, card, path.name).decode() if card else ""
    return replace(ModelPackage.from_dict(document), path=path, card=text)


def copy_package(package: ModelPackage, target: Path) -> None:
    """Copy the file of a package that was loaded: that one, whatever took its place meanwhile.

    Args:
        package: The package.
        target: The file to write; one that is there is replaced once the new one is whole.

    Raises:
        ModelError: The file was removed or replaced since it was loaded.
        OutputError: The copy cannot be written.
    """
    require_in_place(package.file, package.members)
    with written_beside(target, ".zip") as temporary:
        shutil.copyfile(package.file, temporary)
        require_in_place(package.file, package.members)


def require_absent(target: Path) -> None:
    """Refuse to replace a file that nobody said may be replaced.

    Raises:
        ModelError: With the code ``"model-exists"``, it is there.
    """
    if target.exists():
        sentence = f"{target} exists and is another file; choose another name or allow overwriting."
        raise ModelError(sentence, MODEL_EXISTS)


def package_file(package: ModelPackage, path: str | Path) -> Path:
    """Where to write a package when told a folder or a file.

    Raises:
        OutputError: It is neither a folder nor a file name that ends with .med3d.zip.
    """
    path = Path(path)
    if path.is_dir():
        return path / package.file_name
    if not path.name.endswith(zips.SUFFIX):
        raise OutputError(
            f"Cannot write {path}: a model needs an existing folder or a file name that ends with {zips.SUFFIX}."
        )
    return path

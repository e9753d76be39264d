"""Weights as bytes, and into a network: tensors only, nothing missing, nothing left over."""

from __future__ import annotations

import io
import pickle
import reprlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from Med3DCore.errors import ModelError
from Med3DCore.models.archive import WEIGHTS_LIMIT, check_stored, require_plain_file

if TYPE_CHECKING:
    from torch import Tensor, nn

StateDict = dict[str, "Tensor"]

_SMALL = 16 << 20
_MOST_INFLATED = 10
# The first release whose reader of tensors has no known hole; the floor in pyproject.toml, which Slicer may not keep.
_SAFE_TORCH = (2, 10)


@dataclass(frozen=True)
class Fit:
    """How the tensors of a file fit those a network wants; names in the order of the network."""

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every tensor has its place and no place is empty."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def describe(self) -> str:
        """Counts and first names, such as ``"54 tensors match, 18 missing (layer2.0.downsample.0.weight, ...)"``."""
        parts = [f"{len(self.matched)} tensors match"]
        named = {"missing": self.missing, "unexpected": self.unexpected, "of another shape": self.wrong_shape}
        for what, names in named.items():
            if names:
                parts.append(f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})")
        return ", ".join(parts)


def compare(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Fit:
    """Compare two state dicts by name and shape."""
    common = [key for key in wanted if key in given]
    wrong = tuple(key for key in common if wanted[key].shape != given[key].shape)
    return Fit(
        matched=tuple(key for key in common if key not in wrong),
        missing=tuple(key for key in wanted if key not in given),
        unexpected=tuple(key for key in given if key not in wanted),
        wrong_shape=tuple(f"{key} {_by(given[key])} instead of {_by(wanted[key])}" for key in wrong),
    )


def check_fit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], name: str) -> None:
    """Raise ModelError with counts and first names unless every tensor fits."""
    fit = compare(wanted, given)
    if not fit.is_complete:
        raise ModelError(f"The weights of {name} do not fit its network: {fit.describe()}; use weights made for it.")


def load_into(network: nn.Module, state_dict: StateDict, name: str) -> None:
    """Copy weights into a network; all of them or, if anything does not fit, none.

    Args:
        network: The network, on any device.
        state_dict: Its tensors by name, as :func:`tensors_from_bytes` gives them.
        name: Where the weights come from, for messages.

    Raises:
        ModelError: Tensors are missing, unexpected or of another shape.
    """
    check_fit(network.state_dict(), state_dict, name)
    network.load_state_dict(state_dict)


def tensors_to_bytes(state_dict: Mapping[str, Tensor], half: bool, name: str) -> bytes:
    """Store tensors as torch's zip format; equal tensors give equal bytes with the same version of torch.

    With ``half``, kernels (tensors of 2 or more dimensions) become float16, which halves the file and rounds each
    value by at most 1 in 2048 (values under 6e-5 by at most 3e-8). Vectors, such as batch norm's statistics and
    scales, stay float32: they need the range and cost next to nothing. So does a kernel with a value beyond
    float16's 65504.

    Args:
        state_dict: CPU or GPU tensors of any float or integer type.
        half: Whether to store kernels as float16; else all floats are float32.
        name: What to call the weights in messages.

    Raises:
        ModelError: A value is not finite.
    """
    import torch

    stored = {}
    for key in sorted(state_dict):
        tensor = state_dict[key].detach().cpu()
        if tensor.is_floating_point():
            tensor = tensor.float()
            if not tensor.isfinite().all():
                raise ModelError(f"The weights of {name} are not finite numbers ({key}): the training diverged.")
            halved = tensor.half() if half and tensor.ndim >= 2 else tensor
            tensor = halved if halved.isfinite().all() else tensor
        # A copy of its own: torch would store the whole memory behind a view.
        stored[key] = tensor.clone(memory_format=torch.contiguous_format)
    buffer = io.BytesIO()
    torch.save(stored, buffer)
    return buffer.getvalue()


def tensors_from_bytes(data: bytes, name: str) -> StateDict:
    """The inverse of :func:`tensors_to_bytes`; floats are float32.

    Raises:
        ModelError: The bytes hold anything but plain tensors of finite numbers by name.
    """
    with _as_zip(data, name) as archive:
        check_stored(archive, len(data), name)
    tensors = load_tensors(io.BytesIO(data), name)
    if not isinstance(tensors, dict) or not all(isinstance(key, str) and is_plain(t) for key, t in tensors.items()):
        raise ModelError(f"{name} is refused: it holds something else than tensors; get the original file.")
    if sum(t.nbytes for t in tensors.values()) > len(data):  # tensors that share memory
        raise ModelError(f"{name} is refused: it says to hold more than the file's size; get the original file.")
    if broken := next((key for key, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()), None):
        raise ModelError(f"{name} holds numbers that are not finite ({reprlib.repr(broken)}); get or train it again.")
    return {key: t.float() if t.is_floating_point() else t for key, t in tensors.items()}


def load_tensors(source: Path | io.BytesIO, name: str) -> Any:
    """``torch.load`` that never runs code, with errors a user understands.

    Args:
        source: A file of torch's zip or legacy format.
        name: What to call it in messages.

    Returns:
        Whatever containers and tensors the file holds, on the CPU.

    Raises:
        ModelError: The file is missing, damaged, or holds other objects, which may be code; or torch is too old.
    """
    import torch

    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < _SAFE_TORCH:
        raise ModelError(
            f"{name} is not opened by PyTorch {torch.__version__}, whose reader of weights has known holes; install "
            f"PyTorch {'.'.join(map(str, _SAFE_TORCH))} or newer."
        )
    if isinstance(source, Path):
        require_plain_file(source)
        _check_inflated(source, name)
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {source}; check the name.") from error
    except pickle.UnpicklingError as error:
        if "nsupported" in str(error) and _is_pickle_or_zip(source):
            raise ModelError(
                f"{name} is refused: it holds program code or objects other than tensors, and Med3D never runs code"
                " from a model; if you trust its source, ask for a file with tensors only."
            ) from error
        raise _damaged(name) from error
    except OSError as error:
        raise ModelError(f"Cannot read {name}: {error.strerror or error}.") from error
    # torch's reader meets broken bytes with nearly any exception (KeyError, AttributeError, struct.error, ...).
    except Exception as error:
        raise _damaged(name) from error


def is_plain(value: object) -> bool:
    """Whether a value is an ordinary dense tensor on the CPU that owns all the numbers it shows."""
    import torch

    return (
        type(value) is torch.Tensor
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not (value.is_complex() or value.is_quantized)
        and value.is_contiguous()
    )


def _as_zip(data: bytes, name: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError) as error:
        raise _damaged(name) from error


def _check_inflated(path: Path, name: str) -> None:
    """Refuse a file that would become many times as large in memory; weights hardly compress."""
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            whole = sum(info.file_size for info in archive.infolist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return  # missing, or of torch's older format, which is not compressed
    if whole > min(WEIGHTS_LIMIT, max(_SMALL, _MOST_INFLATED * size)):
        raise ModelError(
            f"{name} is refused: it has {size >> 20} MB, but says to hold {whole >> 20} MB; get the original file."
        )


def _is_pickle_or_zip(source: Path | io.BytesIO) -> bool:
    """Whether it begins like a file of torch's: anything else may be read as nonsense instructions of a pickle."""
    if isinstance(source, io.BytesIO):
        head = source.getvalue()[:2]
    else:
        with Path(source).open("rb") as file:
            head = file.read(2)
    return head == b"PK" or head[:1] == b"\x80"


def _damaged(name: str) -> ModelError:
    return ModelError(f"{name} is damaged, incomplete or no file of weights that torch wrote; get the file again.")


def _by(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"

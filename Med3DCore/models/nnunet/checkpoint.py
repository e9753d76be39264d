"""Read a checkpoint that torch pickled, without running anything of it.

nnU-Net's checkpoints hold numpy numbers and settings beside the tensors, so ``torch.load(weights_only=True)`` does not
take them, and a plain unpickling would run whatever the file says. Here a pickle may name what stands in ``_known``
and nothing else; what it names is made by methods of this file, which only collect values. Tensors stay in the file
until they are asked for, so the optimizer's state, two thirds of the file, is never read.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from Med3DCore.errors import ModelError
from Med3DCore.models.archive import WEIGHTS_LIMIT

if TYPE_CHECKING:
    from torch import Tensor

OpenFile = io.BufferedReader | io.BytesIO

# Kind of storage in a pickle, and torch's name of its numbers.
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
# Number types of numpy by their name in a pickle, as struct reads them.
_NUMBERS = {"f4": "f", "f8": "d", "f2": "e", "i1": "b", "i2": "h", "i4": "i", "i8": "q"}
_NUMBERS |= {"u1": "B", "u2": "H", "u4": "I", "u8": "Q", "b1": "?"}
_PICKLE_LIMIT = 64 << 20


class StoredTensor(NamedTuple):
    """A tensor that is still in the file: where its numbers are, and how they lie there."""

    key: str
    dtype: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class Checkpoint:
    """An open checkpoint.

    Args:
        file: Of torch's zip format; stays open as long as tensors are read.
        name: What to call it in messages.
        origin: The program that writes such files, for messages.

    Attributes:
        content: What was pickled: containers, numbers and texts, with :class:`StoredTensor` for tensors.

    Raises:
        ModelError: It is damaged, of another format, or names anything that is not known here.
    """

    def __init__(self, file: OpenFile, name: str, origin: str = "nnU-Net v2") -> None:
        self.name, self._origin = name, origin
        try:
            self._zip = zipfile.ZipFile(file)
            pickles = [entry for entry in self._zip.namelist() if entry.endswith("/data.pkl")]
            if len(pickles) != 1 or self._zip.getinfo(pickles[0]).file_size > _PICKLE_LIMIT:
                raise ValueError("no pickle, several or a huge one")
            self._folder = pickles[0].removesuffix("data.pkl")
            pickled = self._zip.read(pickles[0])
            _check_memo(pickled)
            self.content: Any = _Reader(io.BytesIO(pickled), name).load()
        except ModelError:
            raise
        # Broken bytes make an unpickler raise nearly anything; of what a file asks for, nothing has run.
        except Exception as error:
            raise self._damaged() from error

    def tensor(self, stored: StoredTensor) -> Tensor:
        """Read a tensor.

        Raises:
            ModelError: Its numbers are not all there.
        """
        import torch

        try:
            entry = self._zip.getinfo(f"{self._folder}data/{stored.key}")
            if entry.file_size > WEIGHTS_LIMIT or (entry.file_size and entry.compress_type != zipfile.ZIP_STORED):
                raise ValueError("torch stores numbers as they are")
            numbers = torch.frombuffer(bytearray(self._zip.read(entry)), dtype=getattr(torch, stored.dtype))
            return numbers.as_strided(stored.shape, stored.stride, stored.offset).contiguous().clone()
        except Exception as error:
            raise self._damaged() from error

    def weights(self, entry: str) -> dict[str, Tensor]:
        """The state dict under a key, floats as float32.

        Raises:
            ModelError: There is none, or it holds something else than tensors of finite numbers.
        """
        found = self.content.get(entry) if isinstance(self.content, Mapping) else None
        if not isinstance(found, Mapping) or not found:
            raise ModelError(f"{self.name} holds no weights ('{entry}'); give a checkpoint that {self._origin} wrote.")
        weights = {}
        for key, stored in found.items():
            if not isinstance(key, str) or not isinstance(stored, StoredTensor):
                raise ModelError(f"{self.name} is refused: among its weights is something else than a tensor.")
            tensor = self.tensor(stored)
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise ModelError(f"{self.name} holds numbers that are not finite ('{key}'); its training diverged.")
            weights[key] = tensor.float() if tensor.is_floating_point() else tensor
        return weights

    def _damaged(self) -> ModelError:
        return ModelError(
            f"{self.name} is damaged, incomplete or no checkpoint of {self._origin}; copy the file again, or export "
            "the model anew."
        )


def _check_memo(pickled: bytes) -> None:
    """Refuse places in an unpickler's memo beyond the pickle's own length: it would take all memory to get there."""
    for opcode, place, _ in pickletools.genops(pickled):
        if opcode.name.endswith("PUT") and int(place or 0) > len(pickled):
            raise pickle.UnpicklingError("a place in the memo that no pickle of this length needs")


class _Storage(NamedTuple):
    key: str
    dtype: str
    length: int


class _NumberType:
    """What stands for a ``numpy.dtype``: its name and the order of its bytes."""

    def __init__(self, code: str) -> None:
        self.code, self.order = _NUMBERS[code], "<"

    def __setstate__(self, state: tuple) -> None:
        self.order = {"<": "<", ">": ">", "|": "<"}[state[1]]


class _Reader(pickle.Unpickler):
    """An unpickler that knows tensors, numbers, texts and containers.

    A pickle can call what it names and set attributes of what it gets, so it gets bound methods and tuples, which take
    none, and types that cannot be changed.
    """

    def __init__(self, file: io.BytesIO, name: str) -> None:
        super().__init__(file)
        self._name = name
        numpy = {f"{core}.multiarray": self._number for core in ("numpy.core", "numpy._core")}
        self._known: dict[tuple[str, str], Callable | str] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): self._parameter,
            ("__builtin__", "set"): set,
            ("torch", "device"): self._text,
            ("torch", "Size"): self._sizes,
            ("numpy", "dtype"): self._number_type,
            ("_codecs", "encode"): self._bytes,
            **{(module, "scalar"): function for module, function in numpy.items()},
            **{("torch", kind): kind for kind in _STORAGES},
        }

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle may name.

        Raises:
            ModelError: It names anything else; nothing of it is imported or called.
        """
        known = self._known.get((module, name))
        if known is None:
            raise ModelError(
                f"{self._name} is refused: it holds {module}.{name}, which is neither a tensor nor a plain value, and "
                "Med3D never runs code from a model; if you trust its source, ask for a checkpoint without it."
            )
        return known

    def persistent_load(self, pid: Any) -> _Storage:
        """The numbers that a tensor shows: ``("storage", kind, key, place, length)``."""
        what, kind, key, _, length = pid
        if what != "storage" or not isinstance(key, str) or not isinstance(length, int):
            raise pickle.UnpicklingError("not a storage")
        return _Storage(key, _STORAGES[kind], length)

    def _tensor(self, storage: _Storage, offset: int, shape: tuple, stride: tuple, *_: object) -> StoredTensor:
        numbers = (offset, *shape, *stride)
        if not isinstance(storage, _Storage) or any(type(n) is not int or n < 0 for n in numbers):
            raise pickle.UnpicklingError("not a tensor")
        last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        if 0 not in shape and (last >= storage.length or math.prod(shape) > storage.length):
            raise pickle.UnpicklingError("a tensor beyond its numbers")
        return StoredTensor(storage.key, storage.dtype, offset, tuple(shape), tuple(stride))

    def _parameter(self, tensor: StoredTensor, *_: object) -> StoredTensor:
        return tensor

    def _text(self, *values: object) -> str:
        return ":".join(map(str, values))

    def _sizes(self, values: tuple) -> tuple:
        return tuple(values)

    def _number_type(self, code: str, *_: object) -> _NumberType:
        return _NumberType(code)

    def _number(self, kind: _NumberType, data: bytes) -> float | int | bool:
        return struct.unpack(kind.order + kind.code, data)[0]

    def _bytes(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise pickle.UnpicklingError("bytes are written as latin1")
        return text.encode("latin1")

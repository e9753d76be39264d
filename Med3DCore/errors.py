"""Errors that a user can act on.

Every sentence says what is wrong, with which file, volume or setting, and what to do about it.
The command line prints it and exits with code 2; the worker sends it with its code.
"""

from __future__ import annotations

import errno
import json
import re
from typing import Any

_LONGEST = 2000


class Med3DError(Exception):
    """A problem with the user's input, model or computer, told in one clear sentence.

    Args:
        sentence: What is wrong, with which file or volume, and what to do. The middle of one that repeats a huge input
            is left out.
        code: A stable word for programs, such as ``"bad-volume"``.
        facts: What a program may offer to the user, plain values for JSON, such as ``{"offset": -1024}``.
    """

    code = "error"

    def __init__(self, sentence: str, code: str | None = None, facts: dict[str, Any] | None = None) -> None:
        if len(sentence) > _LONGEST:
            sentence = f"{sentence[: _LONGEST // 2]} [...] {sentence[-_LONGEST // 2 :]}"
        super().__init__(sentence)
        self.facts = facts or {}
        if code is not None:
            self.code = code


class VolumeError(Med3DError):
    """An image that cannot be read, or is not a usable 3D volume."""

    code = "bad-volume"


class OutputError(Med3DError):
    """A result that cannot be written."""

    code = "bad-output"


class ModelError(Med3DError):
    """A model package or checkpoint that is damaged, unsafe or does not fit."""

    code = "bad-model"


class DataError(Med3DError):
    """A training or evaluation data set that cannot be used."""

    code = "bad-data"


class SettingError(Med3DError):
    """A setting or command-line option that makes no sense."""

    code = "bad-setting"


class ResourceError(Med3DError):
    """Not enough memory, disk space, or no such device."""

    code = "no-resource"


class Cancelled(Med3DError):
    """The user stopped the work; nothing was written."""

    code = "cancelled"


def system_refusal(error: BaseException) -> str | None:
    """The sentence about a full disk or a name that is too long, wherever it was met; None about anything else."""
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.ENAMETOOLONG:
        return f"The name {str(error.filename)[:40]}... is too long for a file or folder; give a shorter one."
    if error.errno == errno.ENOSPC:
        return f"{error.filename or 'A file'} cannot be written: {error.strerror}; make space there and start again."
    return None


def fault_in_settings(error: Exception) -> str:
    """What is wrong with a file of settings, without Python's words.

    Args:
        error: What reading the file, or making something of its values, raised. A sentence of ours is kept.
    """
    text = str(error.args[0] if error.args else error).removesuffix(".")
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON: {error}"
    if isinstance(error, UnicodeDecodeError):
        return "it is no UTF-8 text"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, KeyError) and " " not in text:
        return f"'{text}' is missing"
    if not isinstance(error, TypeError | ValueError | AttributeError):
        return text
    if missing := re.search(r"missing \d+ required .*?arguments?: (.*)", text):
        return f"{missing[1]} is missing"
    if number := re.match(r"(?:invalid literal for int|could not convert string to float).*?('.*')", text):
        return f"{number[1]} is no number"
    if re.search(r"'\w+' object |indices must be |\w\(\) argument ", text):
        return f"a value is of the wrong kind ({text})"
    return text

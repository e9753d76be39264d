"""The one sentence in which the user is told of a problem, whatever kind of error it came as."""

from __future__ import annotations

from Med3DCore.errors import Med3DError, system_refusal


def sentence_of(error: Exception) -> str | None:
    """What is wrong and what to do; None of an error that is a fault of ours."""
    if isinstance(error, Med3DError):
        return str(error)
    if isinstance(error, OSError):
        said = ": ".join(filter(None, (error.filename, error.strerror or str(error)))) + "."
        return system_refusal(error) or said
    if isinstance(error, ImportError):
        reason = str(error).partition("\n")[0]
        return f"A Python package cannot be loaded ({reason}); install it again, such as `pip install torch`."
    if isinstance(error, (MemoryError, RuntimeError)):
        from Med3DCore.io.memory import is_out_of_memory

        if is_out_of_memory(error):
            return "There is not enough memory for this; close other programs or crop the scan."
    return None

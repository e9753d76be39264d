"""Data sets in the forms in which people have them, each read by a file of its own."""

from Med3DCore.training.data_sets.read import list_cases, read_data_set

__all__ = ["list_cases", "read_data_set"]

"""Teach a model that is there a few cases more."""

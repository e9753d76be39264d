"""The engine as a process: requests, their order, and what their answers do to the scene."""

"""The engine as a process of its own: JSON lines over stdin and stdout, volumes as memory-mapped files.

The protocol is described in ``docs/worker_protocol.md``. :mod:`.launch`, :mod:`.protocol` and :mod:`.exchange` are what
any client needs (numpy only); :mod:`.client` is a client without an event loop; the rest is the worker itself.
"""

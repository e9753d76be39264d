"""Several processes that train one network together, as ``torchrun`` starts them.

Process r of w takes the batches r, w + r, 2 w + r, ..., and gradients are averaged before each step. So w processes
learn what one learns with ``accumulate`` w times as large, but for rounding; the running statistics of batch norm, too.

All processes must come to the same decisions, or they wait for each other for ever: what depends on time or on the user
is decided by one and told to the others. Without torchrun there is one process, and nothing here does anything.
"""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from Med3DCore.errors import Cancelled, Med3DError, SettingError

Value = TypeVar("Value")
Item = TypeVar("Item")

# A process that is killed is noticed at once; this is for one that hangs, or a cable that is pulled.
_TIMEOUT = timedelta(minutes=30)
_LOST = ("gloo", "nccl", "connection", "timed out", "socket", "store")


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is.

    Args:
        rank: Number of this process, from 0.
        world: How many there are.
        local_rank: Its number on this computer.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @classmethod
    def here(cls) -> Ranks:
        """As torchrun says in ``RANK``, ``WORLD_SIZE`` and ``LOCAL_RANK``; alone without them."""
        if not {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys():
            return cls()
        rank = int(os.environ["RANK"])
        return cls(rank, int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", rank)))

    @property
    def is_main(self) -> bool:
        """Whether this one writes files and speaks to the user."""
        return self.rank == 0

    def device(self, wanted: str) -> str:
        """The name of this process's device: each its own GPU.

        Args:
            wanted: As for :func:`Med3DCore.inference.device.choose_device`.

        Raises:
            SettingError: All would share one GPU.
        """
        if self.world == 1 or wanted == "cpu":
            return wanted
        if wanted == "auto":
            return f"cuda:{self.local_rank}" if torch.cuda.is_available() else "cpu"
        if wanted == "cuda":
            return f"cuda:{self.local_rank}"
        raise SettingError(f"With torchrun each process has a GPU of its own; use the device auto, not {wanted}.")

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Speak with the others: gloo for plain values and on CPUs, nccl between GPUs.

        Raises:
            Med3DError: Another process ended, or cannot be reached.
        """
        if self.world == 1:
            yield
            return
        try:
            if not distributed.is_initialized():
                if device.type == "cuda":
                    torch.cuda.set_device(device)
                backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
                distributed.init_process_group(backend, timeout=_TIMEOUT)
                atexit.register(distributed.destroy_process_group)
            yield
            # The last tensors that Python owns are dropped before anybody ends: a thread of gloo that drops one after
            # Python has ended stops the process ("terminate called"), and torchrun stops all others.
            distributed.barrier()
        except RuntimeError as error:
            if not any(word in f"{type(error)} {error}".lower() for word in _LOST):
                raise
            raise Med3DError(
                f"Process {self.rank} of {self.world} stops, because another one ended or cannot be reached; the last "
                "checkpoint is kept, and the same command goes on from there."
            ) from error

    # -- plain values --------------------------------------------------------------------------------------------------

    def from_main(self, make: Callable[[], Value]) -> Value:
        """What the first process makes, in all of them."""
        if self.world == 1:
            return make()
        values: list = [make() if self.is_main else None]
        distributed.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]

    def mean(self, value: float) -> float:
        """The mean over all processes."""
        if self.world == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        distributed.all_reduce(total)
        return float(total) / self.world

    @contextmanager
    def cancelled_together(self) -> Iterator[None]:
        """If the user stops one, all stop, in the same place."""
        wish = None
        try:
            yield
        except Cancelled as stop:
            wish = stop
        if self.mean(wish is not None) > 0:
            raise wish or Cancelled("Another process was stopped.")

    def spread(self, function: Callable[[Item], Value], items: Sequence[Item]) -> list[Value]:
        """The results for all items, in their order, in all processes; each computes its part.

        Raises:
            Cancelled: The user stopped one of them.
        """
        if self.world == 1:
            return [function(item) for item in items]
        own: list[Value] = []
        gathered: list = [None] * self.world
        with self.cancelled_together():
            own = [function(item) for item in items[self.rank :: self.world]]
        distributed.all_gather_object(gathered, own)
        return [gathered[number % self.world][number // self.world] for number in range(len(items))]

    def own_first(self, count: int) -> list[int]:
        """Numbers below ``count`` from another start in each process, so that each first does what nobody did yet."""
        start = self.rank * count // self.world
        return [*range(start, count), *range(start)]

    # -- steps ---------------------------------------------------------------------------------------------------------

    def wrap(self, module: nn.Module, idle_parts: bool) -> nn.Module:
        """The module with gradients that are averaged while they are computed.

        Args:
            module: To be called once for each backward pass; gives what the backward pass begins with.
            idle_parts: Whether a pass may leave out parameters; those that all processes leave out get no gradient, so
                that an optimizer leaves them alone.
        """
        if self.world == 1:
            return module
        with warnings.catch_warnings():  # newer versions of torch have another name for it, which 2.4 does not know
            warnings.simplefilter("ignore", FutureWarning)
            wrapped = DistributedDataParallel(module, broadcast_buffers=False, find_unused_parameters=idle_parts)
        # So it is for kernels of one voxel, whose layout is both of the usual ones; copying them costs nothing.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides", UserWarning)
        return wrapped

    def own_gradient(self, module: nn.Module, wanted: bool) -> AbstractContextManager:
        """Context in which gradients of a module from :meth:`wrap` are only added up, not averaged, if ``wanted``."""
        return module.no_sync() if wanted and isinstance(module, DistributedDataParallel) else nullcontext()

    @contextmanager
    def shared_statistics(self, network: nn.Module) -> Iterator[None]:
        """Lets the running statistics of batch norm take in what all processes saw within: one process's batch after
        the other's, as if one process had seen them all.

        With the momentum m and r the statistics before, a batch b makes ``(1 - m) r + m b`` of them. So what a process
        adds counts ``(1 - m)`` to the power of the number of batches that later processes saw; each may have seen none.
        """
        norms = [] if self.world == 1 else _running_statistics(network)
        if not norms:
            yield
            return
        before = [(norm.mean.clone(), norm.variance.clone()) for norm in norms]
        counts = [int(norm.batches) for norm in norms]
        yield
        seen = torch.zeros(self.world, len(norms))
        seen[self.rank] = torch.tensor([int(norm.batches) - n for norm, n in zip(norms, counts, strict=True)])
        distributed.all_reduce(seen)
        own, later, whole = seen[self.rank], seen[self.rank + 1 :].sum(0), seen.sum(0)
        added = []
        for place, (norm, olds) in enumerate(zip(norms, before, strict=True)):
            kept = 1 - norm.momentum
            for new, old in zip((norm.mean, norm.variance), olds, strict=True):
                added.append((new - old * kept ** float(own[place])) * kept ** float(later[place]))
        total = torch.cat(added)
        distributed.all_reduce(total)
        parts = iter(total.split([part.numel() for part in added]))
        for place, (norm, olds) in enumerate(zip(norms, before, strict=True)):
            for new, old in zip((norm.mean, norm.variance), olds, strict=True):
                new.copy_(old * (1 - norm.momentum) ** float(whole[place]) + next(parts))
            norm.batches.fill_(counts[place] + int(whole[place]))


class _Running(NamedTuple):
    """The running statistics of a batch norm, as it holds them."""

    mean: Tensor
    variance: Tensor
    batches: Tensor
    momentum: float


def _running_statistics(network: nn.Module) -> list[_Running]:
    found = []
    for norm in network.modules():
        if isinstance(norm, _BatchNorm) and norm.track_running_stats and norm.momentum is not None:
            values = norm.running_mean, norm.running_var, norm.num_batches_tracked
            mean, variance, batches = (value for value in values if value is not None)
            found.append(_Running(mean, variance, batches, norm.momentum))
    return found

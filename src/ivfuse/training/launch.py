"""Starts the processes of a training, or joins those that ``torchrun`` has started."""

from __future__ import annotations

import atexit
import os
from typing import Any

import torch
from lightning_fabric import Fabric

from ivfuse.errors import UsageError


def launch(accelerator: str, devices: int, precision: Any) -> Fabric:
    """Set up this process, and the others of the training if there are several.

    Args:
        accelerator: ``cpu``, ``cuda``, ``mps`` or ``auto``.
        devices: number of devices of this machine; under ``torchrun`` that of its processes, or 1.
        precision: as in recipes.

    Raises:
        UsageError: if ``torchrun`` started another number of processes, or not as many on every machine.
    """
    if not under_torchrun():
        fabric = Fabric(accelerator=accelerator, devices=devices, precision=precision)
        if devices > 1:
            _join(fabric)
        return fabric
    local, world = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    if devices not in (1, local):
        raise UsageError(field="devices", found=devices, expected=f"{local}, as torchrun started processes")
    if world % local:
        found = f"{world} processes, {local} of them on this machine"
        raise UsageError(field="devices", found=found, expected="as many on every machine")
    fabric = Fabric(
        accelerator=accelerator, devices=local, num_nodes=world // local, strategy="ddp", precision=precision
    )
    _join(fabric)
    return fabric


def _join(fabric: Fabric) -> None:
    """Start or join the processes, and leave them in order when this one ends.

    Fabric does so for NCCL alone; threads of gloo that outlive the interpreter abort the process.
    """
    fabric.launch()
    atexit.register(_leave)


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def under_torchrun() -> bool:
    """Whether ``torchrun`` started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ and "LOCAL_WORLD_SIZE" in os.environ


def is_leader() -> bool:
    """Whether this process is the one that writes."""
    return int(os.environ.get("RANK", "0")) == 0

"""Which device and which dtype: the user's wish within what the architecture supports."""

from typing import Any

import torch

from mt_core.architectures import device_kind
from mt_shared.contract import ModelInterface
from mt_shared.errors import OptionsError


def choose_dtype(base_precision: int | None, model_class: type[ModelInterface[Any]]) -> torch.dtype:
    """The dtype of ``base_precision`` bits, or the one that the architecture prefers."""
    supported = model_class.__supported_dtypes__
    if base_precision is None:
        return supported[0]
    dtype = {32: torch.float32, 64: torch.float64}[base_precision]
    if dtype not in supported:
        names = ", ".join(str(one).removeprefix("torch.float") for one in supported)
        raise OptionsError(
            f"base_precision is {base_precision}, but this architecture runs in {names} bits"
        )
    return dtype


def choose_device(wish: str | None, model_class: type[ModelInterface[Any]]) -> torch.device:
    """The device that the user names, or the best one that is there."""
    supported = model_class.__supported_devices__
    if wish is None:
        # in the order of the architecture's preference; a CPU is everywhere
        available = [kind for kind in supported if _is_available(kind)]
        return torch.device((available or ["cpu"])[0])
    kind = device_kind(wish)
    if kind not in supported:
        raise OptionsError(
            f"device is '{wish}', but this architecture runs on {', '.join(supported)}"
        )
    if not _is_available(kind):
        raise OptionsError(
            f"device is '{wish}', but torch sees none on this machine; leave the option out to "
            "take what is there"
        )
    # "gpu" is metatrain's word
    device = torch.device(wish.replace("gpu", "cuda"))
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        there = ", ".join(f"cuda:{index}" for index in range(torch.cuda.device_count()))
        raise OptionsError(
            f"device is '{wish}', but this machine has {there} alone; write device: cuda (a "
            "restart goes on with it by --allow-changes)"
        )
    return device


def _is_available(kind: str) -> bool:
    return kind == "cpu" or (kind == "cuda" and torch.cuda.is_available())

"""Comparisons whose failure says how far apart the numbers are."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

MISSING = "not there"


def assert_close(found: Any, expected: Any, tolerance: float, what: str) -> None:
    """Fail unless all numbers agree, relative to the largest expected one (at least one)."""
    __tracebackhide__ = True
    left, right = _array(found), _array(expected)
    if left.shape != right.shape:
        raise AssertionError(f"{what}: the shape is {left.shape}; expected {right.shape}")
    if not left.size:
        return
    scale = max(1.0, float(np.abs(right).max()))
    deviation = np.abs(left - right)
    worst = np.unravel_index(int(np.argmax(deviation)), deviation.shape)
    # not the other way round: NaN must fail
    if not float(deviation.max()) <= tolerance * scale:
        raise AssertionError(
            f"{what}: {left[worst]:.12g} where {right[worst]:.12g} was expected, off by "
            f"{deviation[worst]:.2e}; allowed is {tolerance * scale:.2e}"
        )


def assert_finite(values: torch.Tensor, what: str) -> None:
    """Fail if a number among them is NaN or infinite."""
    __tracebackhide__ = True
    if not bool(values.isfinite().all()):
        raise AssertionError(f"{what}: {values.flatten().tolist()}")


def assert_identical(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Fail unless they are the same to the last bit."""
    __tracebackhide__ = True
    if not torch.equal(found, expected):
        raise AssertionError(f"{found.tolist()} instead of {expected.tolist()}")


def _array(values: Any) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().to(torch.float64).numpy()
    return np.asarray(values, dtype=np.float64)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in nested dictionaries and lists, with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from leaves(item, f"{path}[{number}]")
    else:
        yield path, value


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """What is not the same to the last bit in nested dictionaries: its path, and plain values."""
    ours, theirs = dict(leaves(found)), dict(leaves(expected))
    different = []
    for path in sorted({*ours, *theirs}):
        left, right = ours.get(path, MISSING), theirs.get(path, MISSING)
        if torch.is_tensor(left) and torch.is_tensor(right):
            same_kind = left.shape == right.shape and left.dtype == right.dtype
            # NaN equals NaN here: the same bits
            if not same_kind or not torch.equal(left.nan_to_num(), right.nan_to_num()):
                different.append(path)
        elif repr(left) != repr(right):
            different.append(f"{path}: {left!r} != {right!r}")
    return different

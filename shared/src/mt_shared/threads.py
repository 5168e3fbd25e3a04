"""How many threads a process has, and how they wait for one another.

Torch, MKL, OpenBLAS and rayon read a variable of the environment each, and without it take every
CPU that they see, whatever a container grants. Their numbers have to agree: torch and MKL share one
team of OpenMP, which is made anew wherever a number of one follows another number of the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mt_shared.errors import OptionsError

# the user's word on the number of threads: the first that is set
_NUMBERS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
# of libraries that torch does not hand its number on to; they read it at their first use
_OTHERS = ("OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
# the user's word on how threads wait: that of every OpenMP, of GNU's alone, of Intel's and LLVM's
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")

MOST = 1024
"""Anything larger is a slip, of which systems run out of threads."""

UNMEASURED = 4
"""The most threads of work whose speed has not been tried: with matrices of some hundreds, more of
them wait for one another rather than compute."""


def allowed_threads(root: Path = Path("/")) -> int:
    """The CPUs that this process may use: it is bound to them, and its control groups grant them.

    :param root: of the file system
    """
    # some systems do not know of CPUs that a process is bound to
    bound = getattr(os, "sched_getaffinity", None)
    number = len(bound(0)) if bound else os.cpu_count() or 1
    return max(1, min([number, *map(int, _quotas(root))]))


def wished_threads() -> int | None:
    """The number of threads that the environment asks for; None where it asks for none.

    :raises OptionsError: it asks for something else than a number
    """
    for name in _NUMBERS:
        # OpenMP takes a list as well, with a number for each level of nesting
        word = os.environ.get(name, "").split(",")[0].strip()
        if word.isdecimal() and 1 <= int(word) <= MOST:
            return int(word)
        if word:
            raise OptionsError(
                f"{name} is '{os.environ[name]}' in the environment, expected a whole number from "
                f"1 to {MOST}; unset it, and mt chooses the number"
            )
    return None


def describe_threads() -> str:
    """What is known of the number of threads before anything has been tried."""
    wish, allowed = wished_threads(), allowed_threads()
    if wish is None:
        return f"up to {plural(allowed)}"
    said = f"{plural(wish)}, as options or environment ask for"
    if wish > allowed:
        said += f" (this process may use {allowed} of the CPUs: they wait for one another)"
    mkl = os.environ.get("MKL_NUM_THREADS", "")
    if mkl not in ("", str(wish)):
        said += f" (MKL too, whatever MKL_NUM_THREADS={mkl} says)"
    return said


def plural(number: int) -> str:
    """Such as ``2 threads``."""
    return f"{number} thread{'' if number == 1 else 's'}"


def wait_passively() -> None:
    """Let threads that wait for one another sleep, unless the environment says how they wait.

    Otherwise they turn in circles for a while, and on a busy machine keep the very thread that they
    wait for from its CPU. OpenMP reads this when torch is loaded, and never again.
    """
    if not any(name in os.environ for name in _WAITING):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


@contextmanager
def limited_threads(wish: int | None = None) -> Iterator[None]:
    """Give torch, which is loaded here, and other libraries one number of threads for a while.

    :param wish: of the options; None: what the environment asks for, and where it asks for none, as
        many as are allowed, up to :data:`UNMEASURED`
    :raises OptionsError: the environment asks for something else than a number
    """
    number = wish or wished_threads() or min(allowed_threads(), UNMEASURED)
    names = (*_NUMBERS, *_OTHERS)
    before = {name: os.environ[name] for name in names if name in os.environ}
    # what the options say holds for every library, and for whoever asks for the wish later
    if wish is not None:
        os.environ.update(dict.fromkeys(names, str(wish)))
    for name in _OTHERS:
        os.environ.setdefault(name, str(number))
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        # from Python, the program around us goes on with its own
        torch.set_num_threads(threads)
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(before)


def _quotas(root: Path) -> Iterator[float]:
    """The CPUs that each control group of this process grants, and each group above it."""
    groups, lines = root / "sys/fs/cgroup", ""
    with suppress(OSError):  # only Linux has them
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8")
    for line in lines.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # the second version has one group for all controllers, and names none
        mounts = (controllers, "cpu") if controllers else ("", "unified")
        # a container may see its own group as the topmost one, and not by this path
        group = Path(path.lstrip("/"))
        for each in (group, *group.parents):
            for mount in mounts:
                yield from _quota(groups / mount / each)


def _quota(group: Path) -> Iterator[float]:
    """What one control group grants, if it is there and has a limit."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        # the words for no limit are "max", and -1
        with suppress(OSError, ValueError):
            texts = [(group / name).read_text(encoding="ascii") for name in names]
            quota, period = map(int, " ".join(texts).split())
            if quota > 0:
                yield quota / period

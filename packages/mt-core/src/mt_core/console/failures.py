"""What the command line says of a failure, where it is the user's or the machine's."""

import errno
import sys

from mt_shared.errors import UserError, is_out_of_memory, shortened

# of a screen, with what stands on it before
_MOST_LINES = 20
_LONGEST_LINE = 1000


def on_a_screen(message: str) -> str:
    """A message without its middle, if it is longer than a screen: what to do stands at the end."""
    lines = [
        shortened(line, _LONGEST_LINE) if len(line) > _LONGEST_LINE else line
        for line in message.splitlines()
    ]
    left_out = len(lines) - _MOST_LINES
    if left_out > 0:
        lines[_MOST_LINES - 5 : -4] = [f"  ... {left_out + 1} lines ..."]
    return "\n".join(lines)


def explain(failure: BaseException) -> str | None:
    """The message for a user, or None where a failure is ours and deserves its traceback."""
    if _is_interruption(failure):
        return str(failure)
    if isinstance(failure, UserError):
        return f"error: {failure}"
    if is_out_of_memory(failure):
        details = str(failure).strip().partition("\n")[0] or "of the machine"
        return (
            f"error: the memory ran out ({details}). Lower architecture.training.batch_size (mt "
            "train) or -b (mt eval), use a smaller cutoff or a smaller model, or a machine with "
            "more memory"
        )
    if not isinstance(failure, OSError):
        return None
    where = f": {shortened(str(failure.filename), 200)}" if failure.filename else ""
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"error: no space is left on the device{where}. What was saved before is whole; make "
            "room, or write elsewhere with -o"
        )
    # without a file it is no matter of the user's paths
    if not where:
        return None
    if failure.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        todo = "Change its permissions or name another path"
        return f"error: no right to read or write it{where}. {todo}"
    return f"error: {failure.strerror}{where}"


def reason(failure: BaseException) -> str:
    """What a failure says, as a part of another message: in short, whosoever it is."""
    said = explain(failure) or f"{type(failure).__name__}: {failure}"
    return shortened(said.removeprefix("error: "), _LONGEST_LINE)


def exit_status(failure: BaseException) -> int:
    """128 + signal for a training that a signal ended, as shells have it; 1 for an error."""
    return int(getattr(failure, "exit_code", 1)) if _is_interruption(failure) else 1


def _is_interruption(failure: BaseException) -> bool:
    # without the contract loaded, and with it torch, nothing can have raised it
    contract = sys.modules.get("mt_shared.contract")
    return contract is not None and isinstance(failure, contract.Interrupted)

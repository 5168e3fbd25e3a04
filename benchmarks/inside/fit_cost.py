"""Run the training command of this environment, and say what the fit of its gap took.

Usage: ``python fit_cost.py ours|metatrain train OPTIONS ...``

CPU time, because other work on the machine must not count; memory is the largest of the process.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any


def main() -> int:
    found: dict[str, float] = {}
    trainer: Any
    if sys.argv.pop(1) == "ours":
        from mt_core.cli import main as run
        from mt_gap.trainer import GapTrainer as trainer
    else:
        from metatrain.__main__ import main as run
        from metatrain.gap.trainer import Trainer as trainer
    train = trainer.train

    def measured(*arguments: Any, **more: Any) -> Any:
        started = time.process_time()
        result = train(*arguments, **more)
        found["seconds"] = time.process_time() - started
        # in kilobytes on Linux
        found["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return result

    trainer.train = measured
    status = run()
    print(json.dumps(found), flush=True)
    return status or 0


if __name__ == "__main__":
    sys.exit(main())

"""``mt train options.yaml`` whose final evaluation does not come to its end.

Run as a script by the suite: ``final_evaluation_process.py HOW``. It ends by an error of ours or of
the architecture's (``error``), or by a signal (its name).
"""

import os
import signal
import sys
from importlib import import_module
from typing import Any

ERROR = "the final evaluation is to fail"


def main_but(how: str) -> int:
    """The command, with something else in front of its table of final errors."""
    # the suite needs the command, and no more of its package than this one place
    run: Any = import_module("mt_core.training.run")
    make_table = run.error_table

    def disturbed(*arguments: Any) -> str:
        if how == "error":
            raise RuntimeError(ERROR)
        os.kill(os.getpid(), getattr(signal, how))
        return make_table(*arguments)

    run.error_table = disturbed
    status: int = import_module("mt_core.cli").main(["train", "options.yaml"])
    return status


if __name__ == "__main__":
    sys.exit(main_but(sys.argv[1]))

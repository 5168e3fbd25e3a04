"""What starts ``mt`` for the tests in a process of its own, without the imports of libraries anew.

Run as a script by the suite. It imports what ``mt`` imports of others, which takes most of the time
of a short command, and nothing of ours; for each line of its input, a command as JSON, it forks, is
``mt`` in the child, and prints the status.
"""

import atexit
import importlib
import json
import os
import runpy
import signal
import sys
import traceback
from typing import Any

LIBRARIES = ("torch", "metatomic.torch", "vesin.metatomic", "ase.io", "jsonschema", "yaml", "tqdm")


def main() -> None:
    # the folder of this file, in whose place Python puts that of a command
    del sys.path[0]
    for name in LIBRARIES:
        importlib.import_module(name)
    for line in sys.stdin:
        _, status = os.waitpid(_start(json.loads(line)), 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _start(command: dict[str, Any]) -> int:
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        status = _run(command)
    except SystemExit as leaving:
        status = _status(leaving)
    except BaseException:
        traceback.print_exc()
    finally:
        # as Python does at an end of its own
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(command: dict[str, Any]) -> int:
    signal.alarm(command["seconds"])
    os.chdir(command["folder"])
    os.environ.clear()
    os.environ.update(command["environment"])
    for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        os.dup2(os.open(command["files"][number], flags), number)
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [command["folder"], *filter(None, path)]
    importlib.invalidate_caches()
    sys.argv = ["mt", *command["arguments"]]
    runpy.run_module("mt_core", run_name="__main__", alter_sys=True)
    return 0


def _status(leaving: SystemExit) -> int:
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    print(leaving.code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    main()

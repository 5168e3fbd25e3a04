"""Run the training command of this environment until the first batch enters the model.

Usage: ``python first_batch.py ours|metatrain train OPTIONS``

Prints the moment, by the clock that the parent process reads too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def stop(*_: Any, **__: Any) -> None:
    """In the place of the first prediction of the training."""
    now = time.monotonic()
    print(json.dumps({"monotonic": now}), flush=True)
    # nothing of the run is wanted, least of all a line about an interruption
    os._exit(0)


if __name__ == "__main__":
    trainer: Any
    if sys.argv.pop(1) == "ours":
        from mt_core.cli import main
        from mt_soap_bpnn.trainer import SoapBpnnTrainer as trainer

        trainer.predict = stop
    else:
        import metatrain.soap_bpnn.trainer as trainer
        from metatrain.__main__ import main

        trainer.evaluate_model = stop
    sys.exit(main())

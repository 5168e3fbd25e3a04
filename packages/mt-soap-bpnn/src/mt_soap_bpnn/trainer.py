"""The trainer of SOAP-BPNN: the shared engine, with nothing to add."""

from mt_shared.engine import Trainer


class SoapBpnnTrainer(Trainer):
    """Trains by gradients; see :class:`mt_shared.engine.trainer.Trainer`."""

    __checkpoint_version__ = 1

"""The shared trainer as it is."""

from mt_shared.engine import Trainer


class PairTrainer(Trainer):
    """Trains by gradients, through the adapter."""

    __checkpoint_version__ = 1

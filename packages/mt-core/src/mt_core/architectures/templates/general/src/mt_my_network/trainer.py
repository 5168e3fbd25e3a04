"""The trainer: the shared engine, with nothing to add."""

from mt_shared.engine import Trainer


class MyNetworkTrainer(Trainer):
    """Trains by gradients. Single steps can be changed by the hooks of the base, such as
    ``transform``, which may augment a batch."""

    __checkpoint_version__ = 1

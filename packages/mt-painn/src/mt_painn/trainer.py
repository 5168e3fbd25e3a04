"""The trainer of PaiNN: the shared engine, with nothing to add."""

from mt_shared.mlip import MLIPTrainer


class PainnTrainer(MLIPTrainer):
    """Trains by gradients; the network is equivariant, so that nothing is turned at random."""

    __checkpoint_version__ = 1

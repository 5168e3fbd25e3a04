"""Sums over pairs of atoms, written to the interface of metatrain."""

from mt_soundtoy.__about__ import __version__
from mt_soundtoy.model import PairModel as __model__
from mt_soundtoy.trainer import PairTrainer as __trainer__

__authors__ = [("The mt developers <mt-developers@example.org>", "@mt-developers")]
__maintainers__ = __authors__

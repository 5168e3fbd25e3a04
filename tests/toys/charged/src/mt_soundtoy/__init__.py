"""Energies that depend on the total charge of a structure."""

from mt_soundtoy.__about__ import __version__
from mt_soundtoy.model import Charged as __model__
from mt_soundtoy.model import ChargedTrainer as __trainer__

__authors__ = [("The mt developers <mt-developers@example.org>", "@mt-developers")]
__maintainers__ = __authors__

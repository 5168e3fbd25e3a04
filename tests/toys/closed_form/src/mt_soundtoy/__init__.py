"""Ridge regression of energies on sums over pair distances."""

from mt_soundtoy.__about__ import __version__
from mt_soundtoy.model import Ridge as __model__
from mt_soundtoy.trainer import RidgeTrainer as __trainer__

__authors__ = [("The mt developers <mt-developers@example.org>", "@mt-developers")]
__maintainers__ = __authors__

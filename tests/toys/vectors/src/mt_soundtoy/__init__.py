"""Vectors of atoms, by a trainer that is not the shared one."""

from mt_soundtoy.__about__ import __version__
from mt_soundtoy.model import Vectors as __model__
from mt_soundtoy.trainer import VectorTrainer as __trainer__

__authors__ = [("The mt developers <mt-developers@example.org>", "@mt-developers")]
__maintainers__ = __authors__

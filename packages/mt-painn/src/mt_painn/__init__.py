"""PaiNN: equivariant message passing with scalar and vector features of the atoms."""

from mt_painn.__about__ import __version__
from mt_painn.model import Painn as __model__
from mt_painn.trainer import PainnTrainer as __trainer__

__authors__ = [("The mt developers <mt-developers@example.org>", "@mt-developers")]
__maintainers__ = __authors__

"""Sparse Gaussian approximation potentials: a fit in closed form on SOAP power spectra."""

from mt_gap.__about__ import __version__
from mt_gap.model import Gap as __model__
from mt_gap.trainer import GapTrainer as __trainer__

__authors__ = [("The mt developers <mt-developers@example.org>", "@mt-developers")]
__maintainers__ = __authors__

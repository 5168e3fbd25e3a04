"""SOAP-BPNN: SOAP power spectra of atomic environments, a neural network for each element."""

from mt_soap_bpnn.__about__ import __version__
from mt_soap_bpnn.model import SoapBpnn as __model__
from mt_soap_bpnn.trainer import SoapBpnnTrainer as __trainer__

__authors__ = [("The mt developers <mt-developers@example.org>", "@mt-developers")]
__maintainers__ = __authors__

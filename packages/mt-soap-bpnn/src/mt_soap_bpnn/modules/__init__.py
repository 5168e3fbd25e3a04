"""From the vectors of edges to the features of atoms: what TorchScript reads."""

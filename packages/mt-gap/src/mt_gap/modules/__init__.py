"""The descriptor and the kernel: what TorchScript reads, and an exported model carries."""

"""The contract between mt-core and the architectures, and the tools that architectures share."""

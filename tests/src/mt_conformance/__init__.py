"""What mt-core promises of every architecture, as one pytest suite."""

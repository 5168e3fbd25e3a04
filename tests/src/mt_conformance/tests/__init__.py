"""The tests themselves: what every architecture is held to."""

"""Widgets that several pages use, each one function with its own state."""

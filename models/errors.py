"""The one error that this package raises for a person to read."""


class ModelError(Exception):
    """Something wrong with an encoder's name, its weights or a checkpoint: one plain sentence, with the cure."""

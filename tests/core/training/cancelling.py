"""A person who cancels at a certain moment."""

from core.progress import CancelFlag, SilentProgress


class CancelAt(SilentProgress):
    """Cancels at the first message that has all these words."""

    def __init__(self, *words):
        self._flag = CancelFlag()
        super().__init__(self._flag)
        self._words = words

    def update(self, done, total, message):
        self._flag.raised |= all(word in message for word in self._words)
        super().update(done, total, message)

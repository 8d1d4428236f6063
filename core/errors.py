"""The errors that a person is meant to read.

Every message is one plain sentence that says what is wrong, where, and how to mend it. The command line
prints it and exits with status 2; a page shows it in a red box. Anything else that is raised is a bug.
"""


class InputError(Exception):
    """Bad input: the message tells what is wrong, where, and how to mend it."""


class NotSavedError(InputError):
    """The disk did not take it, full or read-only as it is: nothing was changed, and the same may succeed later."""


class CancelledError(Exception):
    """The work was cancelled on request; what was finished is kept."""

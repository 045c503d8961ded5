"""What the commands say when they cannot go on.

StackError                 the embedded stack cannot start or go on
+-- ServersMissingError    the wheels of the embedded servers are not installed
+-- ProcfileError          the Procfile is missing or not readable as one

InputError                 the command line asks for something that cannot be read
"""


class StackError(Exception):
    """The embedded stack cannot start or go on; the message is for its user."""


class ServersMissingError(StackError):
    """The wheels of the embedded servers are not installed."""


class ProcfileError(StackError):
    """The Procfile is missing or not readable as one."""


class InputError(Exception):
    """What was typed cannot be read; the message says what was expected."""

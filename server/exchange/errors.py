"""What is wrong with a file, in one sentence that names the place."""


class UnreadableError(Exception):
    """A file cannot be read as what it should be; the message names it, the place in it, and what is wrong there."""

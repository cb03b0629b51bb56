"""What goes wrong with a journal."""


class JournalError(Exception):
    """The journal cannot be read or written; the message names the file and what to do."""

"""The append-only record of a run: what was proposed, what came of it, in what order."""

from elm.journal.error import JournalError
from elm.journal.journal import Block, Commit, Draft, Journal

__all__ = ["Block", "Commit", "Draft", "Journal", "JournalError"]

"""Catalyst on one machine without Docker or root: Kafka, PostgreSQL, the paper exchange and the roles under one supervisor per home.

`kafka` and `postgres` start one broker and one database each and need nothing of ours; `supervisor` starts everything from a table of processes;
`driver` moves a lockstep run from minute to minute; `cli` is what people type.
"""


class CannotStart(RuntimeError):
    """A part of the stack cannot come up. The message says what is wrong, where, and what to do."""


class NoRoom(CannotStart):
    """The disk is full. Not the part's fault: what ran before is tried again until there is room."""

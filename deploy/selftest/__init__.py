"""`catalyst selftest`: six questions to a running stack, from "does it answer" to "does it trade", in under 30 seconds."""

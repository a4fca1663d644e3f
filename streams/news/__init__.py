"""News: where it comes from, what is the same, whom it concerns, how far it is believed, and what it says."""

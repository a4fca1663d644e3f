"""Risk: what may be traded. Pure."""

"""The analysis role: after every sealed minute, figures, shapes, candidates and signals of the whole market, from what was recorded before it."""

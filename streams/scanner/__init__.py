"""From the whole market to a handful of candidates, stage by stage, with the figure that decided at each; and from candidates to signals."""

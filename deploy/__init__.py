"""How it runs: the paper exchange, the embedded stack, and the files of production."""

"""Python's garbage collector in a process that reads the log in bulk. Call it once, when the process has imported what it needs.

Decoded events hold no cycles, but each counts as allocations, and with Python's defaults (700, 10, 10) a few of them make it walk the young ones and soon
all there are. Bars read and decoded in batches of 10,000, on 2 busy cores, per CPU second: defaults 68,000; (50,000, 20, 50) 62,000 to 88,000;
(200,000, 20, 50) 100,000 to 106,000; off 104,000 to 110,000, but then real cycles (tracebacks, tasks) pile up.
"""

import gc

THRESHOLDS = (200_000, 20, 50)


def spare_bulk_reads() -> None:
    """Move everything imported so far out of the collector's sight, and make it look at what comes much less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)

"""The kinds of frames. READY and END are marks: they have no sequence and go on every link.

A BLANK holds nothing and passes every stage untouched: it takes the turn of a worker that has enough to do.
"""

READY = 1
DATA = 2
FLUSH = 3
BARRIER = 4
END = 5
BLANK = 6

FIRST = 1
"""The epoch a run begins with; each restart begins the next."""

NAMES = {READY: "READY", DATA: "DATA", FLUSH: "FLUSH", BARRIER: "BARRIER", END: "END", BLANK: "BLANK"}

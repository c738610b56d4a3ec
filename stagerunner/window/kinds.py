"""The kinds of frames. READY and END are marks: they have no sequence and go on every link."""

READY = 1
DATA = 2
FLUSH = 3
BARRIER = 4
END = 5

NAMES = {READY: "READY", DATA: "DATA", FLUSH: "FLUSH", BARRIER: "BARRIER", END: "END"}

"""Plugin code for runs over records {"n": 0}, {"n": 1}, … whose parent is killed."""

PARTS = """
@stage
def fatal(record):
    "Kills the parent at the records in MOMENTS, and lets them pass in the next life."
    if record["n"] in MOMENTS and once(f"met {record['n']}"):
        os.kill(parent(), signal.SIGKILL)
    return record

@stage
def fussy(record):
    if record["n"] % 97 == 5:
        raise ValueError(f"{record['n']} will not do")
    return record

@stage
class Sum:
    def __init__(self):
        self.sum = 0
    def process(self, record):
        self.sum += record["n"]
        return record | {"sum": self.sum}
    def flush(self):
        yield {"n": -1, "text": "", "sum": self.sum}
    def snapshot(self):
        return self.sum
    def restore(self, data):
        self.sum = data
"""
"""The plugin says what MOMENTS are."""

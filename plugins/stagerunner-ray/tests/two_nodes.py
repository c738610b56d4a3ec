"""Run by test_two_nodes.py in a process of its own: a cluster with two nodes, and chains that lose an actor or a node.

Prints a line of JSON for each run: what was lost, whether the output is that of a run without faults, how often it was
restarted, who was said to have failed, and how many seconds it took. A run that takes long says where it is.
"""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

SURROUNDINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
os.environ.update(SURROUNDINGS)  # before Ray is imported

from ray.cluster_utils import Cluster  # noqa: E402

from stagerunner.api import prepare  # noqa: E402
from stagerunner.events import WorkerFailed  # noqa: E402

PARTS = """
import os, time
from stagerunner import stage

@stage
def told(record):
    if record == 0:
        with open("holder.new", "w") as file:
            file.write(f"{os.environ['RAY_RAYLET_PID']} {os.getppid()}")
        os.rename("holder.new", "holder")
    time.sleep(0.005)
    return record, bytes(30_000)  # a frame has more than Ray sends with its messages: its node holds the only copy

@stage
class Sum:
    def __init__(self):
        self.sum = 0
    def process(self, record):
        self.sum += record[0]
        return self.sum
    def flush(self):
        yield self.sum
    def snapshot(self):
        return self.sum
    def restore(self, data):
        self.sum = data
"""
RECORDS = 600

LONG = 120
"""Seconds after which a run says what its threads are doing, again and again."""


def main() -> None:
    """Lose so many actors, then so many nodes."""
    times = int(sys.argv[1])
    Path("parts.py").write_text(PARTS)
    expected = "".join(f"{n * (n + 1) // 2}\n" for n in range(RECORDS)) + f"{RECORDS * (RECORDS - 1) // 2}\n"
    folder = tempfile.mkdtemp(prefix="sr-nodes-", dir="/tmp")  # short: sockets lie in it
    head = {"num_cpus": 0, "object_store_memory": 80 * 2**20, "include_dashboard": False, "temp_dir": folder}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=2, object_store_memory=80 * 2**20) for _ in range(2)]
    try:
        for number in range(times):
            print(json.dumps(lose("actor", number, cluster, nodes, expected)), flush=True)
        for number in range(times):
            print(json.dumps(lose("node", number, cluster, nodes, expected)), flush=True)
            if number < times - 1:
                nodes.append(cluster.add_node(num_cpus=2, object_store_memory=80 * 2**20))
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def lose(what: str, number: int, cluster: Cluster, nodes: list, expected: str) -> dict:
    """Run the chain, and lose what holds its first stage as soon as that has begun."""
    faulthandler.dump_traceback_later(LONG, repeat=True)
    began = time.monotonic()
    Path("holder").unlink(missing_ok=True)
    out, done = Path(f"out-{what}-{number}.jsonl"), []
    Path("chain.yaml").write_text(json.dumps(chain(cluster.address, str(out))))
    events = []
    killer = threading.Thread(target=lambda: done.append(strike(what, cluster, nodes)))
    killer.start()
    summary = prepare("chain.yaml").execute(events.append)
    killer.join()
    failed = [[event.stage, event.how] for event in events if isinstance(event, WorkerFailed)]
    same, seconds = out.read_text() == expected, round(time.monotonic() - began, 1)
    told = {"restarts": summary.restarts, "failed": failed, "seconds": seconds}
    return {"lost": what, "held": done[0], "same": same, **told}


def chain(address: str, out: str) -> dict:
    on_a_node = {"resources": {"cpu": 1}}
    return {
        "version": 1,
        "plugins": ["./parts.py"],
        "source": {"use": "range", "with": {"stop": RECORDS}},
        "stages": [{"use": "told", **on_a_node}, {"use": "sum", **on_a_node}],
        "sink": out,
        "run": {"engine": {"use": "ray", "with": {"address": address}}, "frame": 5, "checkpoint": "100ms"},
    }


def strike(what: str, cluster: Cluster, nodes: list) -> str:
    """Kill what holds the first stage, which says itself where it is. Returns the stage."""
    while not Path("holder").exists():
        time.sleep(0.005)
    raylet, fork_server = map(int, Path("holder").read_text().split())
    if what == "actor":
        actor = int(Path(f"/proc/{fork_server}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(actor, signal.SIGKILL)
        return "told"
    (node,) = [node for node in nodes if raylet in pids(node)]
    nodes.remove(node)
    cluster.remove_node(node, allow_graceful=False)
    return "told"


def pids(node: object) -> list[int]:
    return [info.process.pid for infos in node.all_processes.values() for info in infos]


if __name__ == "__main__":
    main()

"""A tap that counts. Its config: stop, every (records between two STATEs), die (at), repeat, odd (at), said (there)."""

import argparse
import json
import os
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--config", required=True)
parser.add_argument("--state")
parser.add_argument("--catalog")
given = parser.parse_args()
config = json.load(open(given.config))
state = json.load(open(given.state)) if given.state else {}
begin = max(0, state.get("count", 0) - config.get("repeat", 0))


def say(**message):
    print(json.dumps(message), flush=True)


print("counting from", begin, file=sys.stderr)
say(type="SCHEMA", stream="numbers", schema={"properties": {"n": {"type": "integer"}}}, key_properties=["n"])
for number in range(begin, config["stop"]):
    if number == config.get("die") and not os.path.exists(config["died"]):
        open(config["died"], "w").close()
        os.kill(os.getpid(), 9)
    say(type="RECORD", stream="numbers" if number % 5 else "fives", record={"n": number})
    if config.get("every") and (number + 1) % config["every"] == 0:
        say(type="STATE", value={"count": number + 1})
    if number == config.get("odd"):
        print(config.get("said", "Not a message"))

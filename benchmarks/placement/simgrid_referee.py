"""An independent referee: replays plans in SimGrid, with one full-duplex network card per node that is shared fairly.

Run by the system's own Python (Debian's package python3-simgrid 3.32), never imported by the server:

    /usr/bin/python3 benchmarks/placement/simgrid_referee.py < plans.json > times.json

Standard input holds one JSON object a plan: `seconds` [n] on the node that was chosen, `node` [n], `order` [m] lists of
tasks per node, `edges` [from, to, bytes], `latency_seconds`, and the network: `cards` [m] seconds per byte, or `pairs`
[m][m] where no transfer disturbs another. Standard output holds `start` and `finish` [n]. Each task waits for its turn
on its node and for its data; each transfer starts when its sender ends. The whole host computes one task at a time.
"""

# This file runs on its own under an older Python, so it imports nothing of the project.
import json
import sys

import simgrid

SPEED = 1e9
LARGEST = 1e12
SETTINGS = (
    "network/model:CM02",
    "network/crosstraffic:0",
    "network/TCP-gamma:0",
    "network/bandwidth-factor:1",
    "network/latency-factor:1",
    "network/weight-S:0",
    "surf/precision:1e-9",
    "maxmin/precision:1e-9",
)


def main():
    """Replay the plan on standard input."""
    plan = json.load(sys.stdin)
    engine = simgrid.Engine(["referee", "--log=root.threshold:critical", *("--cfg=" + one for one in SETTINGS)])
    grain = LARGEST / max([size for _, _, size in plan["edges"]] + [1e-300])  # sizes are whole numbers there
    hosts = _cluster(plan, grain)
    start, finish = [None] * len(plan["node"]), [None] * len(plan["node"])
    receives, sends = {}, {}
    for number, (sender, receiver, size) in enumerate(plan["edges"]):
        if plan["node"][sender] != plan["node"][receiver]:
            box = simgrid.Mailbox.by_name(f"edge-{number}")
            receives.setdefault(receiver, []).append(box)
            sends.setdefault(sender, []).append((box, max(1, round(size * grain))))
    for node, order in enumerate(plan["order"]):
        simgrid.Actor.create("node", hosts[node], _worker, plan, order, receives, sends, start, finish)
    engine.run()
    json.dump({"start": start, "finish": finish}, sys.stdout)


def _cluster(plan, grain):
    """One host a node; cards are two links (out and in) each, pairs are one unshared link each."""
    zone = simgrid.NetZone.create_full_zone("cluster")
    count = len(plan["order"])
    hosts = [zone.create_host(f"node-{node}", SPEED) for node in range(count)]
    cards, latency = plan.get("cards"), plan["latency_seconds"]
    if cards is not None:
        out = [_link(zone, f"out-{node}", cards[node] / grain, 0.0) for node in range(count)]
        into = [_link(zone, f"in-{node}", cards[node] / grain, latency) for node in range(count)]
    for one in range(count):
        for other in range(count):
            if one != other:
                if cards is not None:
                    route = [out[one], into[other]]
                else:
                    own = _link(zone, f"link-{one}-{other}", plan["pairs"][one][other] / grain, latency)
                    own.set_sharing_policy(simgrid.Link.SharingPolicy.FATPIPE, None)
                    route = [own]
                ends = (hosts[one].netpoint, hosts[other].netpoint, None, None)
                zone.add_route(*ends, [simgrid.LinkInRoute(link) for link in route], False)
    zone.seal()
    return hosts


def _link(zone, name, seconds_per_byte, latency):
    return zone.create_link(name, 1.0 / max(seconds_per_byte, 1e-30)).set_latency(latency)


def _worker(plan, order, receives, sends, start, finish):
    """One node: asks for all its data at second 0, so that each transfer starts when it is sent."""
    coming = {task: [box.get_async() for box in receives.get(task, [])] for task in order}
    for task in order:
        for transfer, _buffer in coming[task]:
            transfer.wait()
        start[task] = simgrid.Engine.clock
        simgrid.this_actor.execute(plan["seconds"][task] * SPEED)
        finish[task] = simgrid.Engine.clock
        for box, size in sends.get(task, []):
            box.put_init(task, size).detach()


if __name__ == "__main__":
    main()

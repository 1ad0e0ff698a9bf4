"""A Ray cluster of several nodes on this machine, in one process that lives through all rounds.

    python -m nbest.experiments.bench.faults.nodes NODES CPUS

It prints the address when all nodes are up. Then each line of input is an order, and gets a line of
output when it is done: `lose I` kills all processes of the I-th oldest node at once; `add` starts
another node. Besides the nodes there is a head without CPUs, which is never lost.
"""

from __future__ import annotations

import sys


def main(num_nodes: int, cpus: int) -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    nodes = [cluster.add_node(num_cpus=cpus) for _ in range(num_nodes)]
    print(cluster.address, flush=True)
    for line in sys.stdin:
        order, _, place = line.strip().partition(" ")
        if order == "lose":
            cluster.remove_node(nodes.pop(int(place)), allow_graceful=False)
        else:
            nodes.append(cluster.add_node(num_cpus=cpus))
        print(line.strip(), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

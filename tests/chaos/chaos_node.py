"""Starts one more node on the loopback as `ray start --address` would, which refuses to: it is for machines that see each other.

Arguments: address of the head, bytes of the object store, ports of the metrics and of the dashboard's agent.
"""

import sys

from ray._private.node import Node
from ray._private.parameter import RayParams

if __name__ == "__main__":
    address, store, metrics, agent = sys.argv[1], *map(int, sys.argv[2:])
    node = RayParams(
        gcs_address=address,
        node_ip_address="127.0.0.1",
        num_cpus=1,
        object_store_memory=store,
        metrics_export_port=metrics,
        dashboard_agent_listen_port=agent,
        min_worker_port=0,
        max_worker_port=0,
    )
    Node(node, head=False, shutdown_at_exit=False, spawn_reaper=False)

"""SoFar: what the metrics of a command carry from one of its blocks to the next."""

from dataclasses import dataclass


@dataclass
class SoFar:
    """One command runs block after block, each as a run of Ray Tune of its own; who watches it sees one sweep."""

    gpu_s: float = 0.0  # that trials of the blocks before have held GPUs, times the GPUs
    n_later: int = 0  # trials of the blocks to come
    trials_wall_s: float = 0.0  # that trials of this command ran, from the first of a block to its last

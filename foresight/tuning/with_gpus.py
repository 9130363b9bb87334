"""`python -m foresight.tuning.with_gpus N COMMAND ...`: waits until the cluster has N GPUs, and becomes the command.

A sweep counts its slots once, when it starts: on a cluster that grows from nothing its GPUs have to be there first. What asks
for them is given back before the command starts, so that nothing is left which could keep machines.
Exit codes: the command's own; 1 when no GPU came, 2 the request is wrong.
"""

import os
import shutil
import time
from typing import Annotated, Any

import typer
from rich.console import Console

from foresight.errors import RequestError, RunEndedError
from foresight.tuning.exit_codes import one_sentence
from foresight.tuning.ray_runtime import in_cluster, start_ray

PAUSE_S = 5.0  # between two looks at the cluster
MOST_GPUS = 1024  # each is a request of its own to Ray; more is a slip of the finger

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def await_gpus(ray: Any, n_gpus: int, timeout_s: float, console: Console) -> int:
    """The number of GPUs once the cluster has `n_gpus`, or what it has after `timeout_s` seconds.

    Raises RunEndedError when it has none by then.
    """
    # One request for each: those that can be met bring machines, also where not all can.
    requests = [ray.util.placement_group([{"GPU": 1}]) for _ in range(n_gpus)]
    try:
        ends, shown = time.monotonic() + timeout_s, -1
        while True:
            n_here = int(ray.cluster_resources().get("GPU", 0))
            if n_here != shown:
                console.print(f"{n_here} of {n_gpus} GPUs are here", soft_wrap=True)
            if n_here >= n_gpus or time.monotonic() >= ends:
                break
            shown = n_here
            time.sleep(PAUSE_S)
    finally:
        for request in requests:
            ray.util.remove_placement_group(request)
    if not n_here:
        raise RunEndedError(
            f"no GPU came within {timeout_s / 60:g} minutes; 'ray status' on the head says what the autoscaler waits for"
        )
    return n_here


@app.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True})
def main(
    n_gpus: Annotated[int, typer.Argument(min=1, max=MOST_GPUS, help="GPUs to wait for.")],
    command: Annotated[list[str], typer.Argument(help="What runs then, with its flags.")],
    minutes: Annotated[float, typer.Option(min=0, help="How long to wait; then it goes on with those that came.")] = 30,
) -> None:
    """Waits until the cluster has N GPUs, and becomes the command."""
    console = Console(highlight=False, markup=False)
    with one_sentence(console, Console(stderr=True, highlight=False), kept="everything"):
        if shutil.which(command[0]) is None:
            raise RequestError(f"there is no command '{command[0]}' here")
        if not in_cluster():
            raise RequestError("there is no cluster to ask for GPUs: submit this as a Ray job, or set RAY_ADDRESS")
        ray = start_ray(None)
        try:
            await_gpus(ray, n_gpus, minutes * 60, console)
        finally:
            ray.shutdown()
    os.execvp(command[0], command)


if __name__ == "__main__":
    app()

"""What filling the feature cache would take: entries, images, bytes, encoder passes, time and money. Starts nothing."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from foresight.config import TrialConfig
from foresight.features.requests import Request, missing_requests, read_entries
from foresight.features.shards import pictures_done
from foresight.features.size import entry_sizes, flops_left, missing_bytes, pass_flops
from foresight.tuning.estimate import ASSUMED_EXTRACTION_FLOPS, ASSUMED_PRICE
from foresight.tuning.progress import clock
from foresight.tuning.sweep import Placement


def make_warm_plan(studies: Sequence[str], configs: Sequence[TrialConfig], placement: Placement) -> dict[str, Any]:
    """The plan as a plain tree (`--plan --json`)."""
    store = placement.store()
    sizes = entry_sizes(configs)
    readers = {key: Request(kind, (reading,)) for key, (kind, reading) in read_entries(configs).items()}
    requests = [request for stage in missing_requests(configs, store) for request in stage]
    seconds = sum(flops_left(request, store) for request in requests) / ASSUMED_EXTRACTION_FLOPS
    plan: dict[str, Any] = {
        "studies": list(studies),
        "scale": configs[0].scale,
        "data": configs[0].data.model_dump(),
        "cache": str(placement.place_of_features),
        "entries": [
            {
                "key": key,
                "kind": request.kind,
                "n_images": request.n_pictures,
                "n_images_done": request.n_pictures if store.has(key) else pictures_done(key, store),
                "bytes": sizes[key],
                "cached": store.has(key),
            }
            for key, request in readers.items()
        ],
        "passes": [
            {
                "label": request.label,
                "entries": request.keys,
                "pflop": pass_flops(request) / 1e15,
                "pflop_left": flops_left(request, store) / 1e15,
            }
            for request in requests
        ],
        "bytes": sum(sizes.values()),
        "bytes_needed": missing_bytes(configs, store, placement.processes),
        "slots": placement.processes,
        "cost": {"extraction_slot_s": seconds, "wall_s": seconds / placement.processes},
    }
    if configs[0].scale == "full":
        hours = seconds / 3600
        usd_per_gpu_hour = ASSUMED_PRICE.per_gpu_hour
        plan["cost"] |= {"gpu_hours": hours, "usd": hours * usd_per_gpu_hour, "usd_per_gpu_hour": usd_per_gpu_hour}
    return plan


def print_warm_plan(plan: dict[str, Any], console: Console) -> None:
    """The plan for people."""
    entries, cost = plan["entries"], plan["cost"]
    n_cached = sum(entry["cached"] for entry in entries)
    console.print(
        f"features of {', '.join(plan['studies'])} at {plan['scale']} scale, data {plan['data']['name']}: "
        f"{len(entries)} entries, {disk_size(plan['bytes'])}, {n_cached} cached, in {plan['cache']}",
        soft_wrap=True,
    )
    table = Table("entry", "images", "on disk", "done")
    for entry in entries:
        done = "cached" if entry["cached"] else f"{entry['n_images_done'] / entry['n_images']:.0%}"
        table.add_row(entry["key"], f"{entry['n_images']:,}", disk_size(entry["bytes"]), done)
    console.print(table)
    for encoder_pass in plan["passes"]:
        work = f", {encoder_pass['pflop_left']:,.2f} PFLOP" if encoder_pass["pflop"] else ""
        console.print(f"to compute: {encoder_pass['label']}{work}", soft_wrap=True)
    if not plan["passes"]:
        console.print("nothing to compute")
        return
    console.print(
        f"disk: up to {disk_size(plan['bytes_needed'])} more, with the copies that joining the largest entries takes"
    )
    if "usd" in cost:
        console.print(
            f"estimate: about {clock(cost['wall_s'])} on {plan['slots']} slots, {cost['gpu_hours']:.2f} GPU-hours, "
            f"${cost['usd']:.2f} at ${cost['usd_per_gpu_hour']:.2f} (encoders at an assumed "
            f"{ASSUMED_EXTRACTION_FLOPS / 1e12:,.0f} TFLOP/s a slot; reading the images and loading the encoders apart)",
            soft_wrap=True,
        )
    else:
        console.print("estimate: seconds, as the encoders are toys")


def disk_size(n_bytes: int) -> str:
    """`4.59 GB`, or `12.3 MB` below one."""
    return f"{n_bytes / 1e9:,.2f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"


def warm_plan_json(plan: dict[str, Any]) -> str:
    """The plan for machines."""
    return json.dumps(plan, indent=2, allow_nan=False)

"""Placement groups whose maker is dead. Ray frees those of a dead driver by itself, and those of a dead actor never."""

from typing import Any


def free_abandoned(ray: Any) -> int:
    """Removes the placement groups of this driver that were made by an actor which has died. Returns their number.

    Tune's own are made by the driver, and stay. The public table of placement groups does not name their makers.
    """
    from ray._private.state import state
    from ray.core.generated import gcs_pb2
    from ray.util.placement_group import PlacementGroup

    table: Any = gcs_pb2  # generated: its names are not there to be checked
    ours = bytes.fromhex(ray.get_runtime_context().get_job_id())
    abandoned = []
    for content in state._connect_and_get_accessor().get_placement_group_table():
        group = table.PlacementGroupTableData.FromString(content)
        is_gone = group.state == table.PlacementGroupTableData.PlacementGroupState.REMOVED
        if group.creator_job_id == ours and _is_actor(group) and group.creator_actor_dead and not is_gone:
            abandoned.append(group.placement_group_id)
    for identity in abandoned:
        ray.util.remove_placement_group(PlacementGroup(ray.PlacementGroupID(identity)))
    return len(abandoned)


def _is_actor(group: Any) -> bool:
    return set(group.creator_actor_id) not in (set(), {0xFF})  # of what a driver makes it is Ray's nil: all ones

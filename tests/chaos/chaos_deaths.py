"""Faults of which something dies: the driver, one of its processes, a node or the head."""

import signal

import psutil
from chaos_machines import Cluster, Jobs, wait_for
from chaos_room import titled
from chaos_scene import Scene

# What a head has of its own, titled as a driver's workers are: its agents, those that watch jobs, and idle ones kept ready.
OF_A_HEAD = ("ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray::JobSupervisor", "ray::IDLE")


def kill_driver(scene: Scene) -> str | None:
    if scene.command.driver is None or not scene.command.kill():
        return None
    if scene.rng.random() < 0.5:  # else the next command meets what it left behind
        return "driver killed, the next command at once"
    wait_for(lambda: not workers(), "the workers of a dead driver end")
    return "driver killed"


def workers() -> list[psutil.Process]:
    """Ray's workers that are at something for a driver."""
    of_a_head = {process.pid for title in OF_A_HEAD for process in titled(title)}
    return [process for process in titled("ray::") if process.pid not in of_a_head]


def kill_one(scene: Scene, *titles: str) -> str | None:
    """One of Ray's workers that are at this."""
    found = [process for title in titles for process in titled(title)]
    if not found:
        return None
    victim = scene.rng.choice(sorted(found, key=lambda process: process.pid))
    try:
        title = " ".join(victim.cmdline()).strip()
        victim.send_signal(signal.SIGKILL)
    except psutil.Error:
        return None
    return f"{title} killed"


def kill_trial(scene: Scene) -> str | None:
    return kill_one(scene, "ray::TrialActor", "Trainable.train")


def kill_train_worker(scene: Scene) -> str | None:
    return kill_one(scene, "ray::RayTrainWorker")


def kill_over_workers(scene: Scene) -> str | None:
    """What stands between the driver and Ray Train's workers: Tune's process of the trial, or Train's controller."""
    return kill_one(scene, "ray::TrainController", "Trainable.train")


def kill_cache_writer(scene: Scene) -> str | None:
    return kill_one(scene, "Extractor", "run_sensitivity")


def kill_measurement(scene: Scene) -> str | None:
    return kill_one(scene, "run_latency")


def kill_raylet(scene: Scene) -> str | None:
    """A node is lost; another one comes."""
    assert isinstance(scene.machine, Cluster)
    raylet = scene.rng.choice(scene.machine.nodes)
    scene.machine.nodes.remove(raylet)
    raylet.kill()
    scene.machine.start_node()
    return "raylet killed, and another node started"


def lose_node(scene: Scene) -> str | None:
    """A node is lost and none comes in its place; the last one of a round is lost only once another has come."""
    assert isinstance(scene.machine, Cluster)
    if len(scene.machine.nodes) < 2:
        scene.machine.start_node()
    raylet = scene.rng.choice(scene.machine.nodes)
    scene.machine.nodes.remove(raylet)
    raylet.kill()
    return "raylet killed, and no other node comes"


def restart_head(scene: Scene) -> str | None:
    """The job is submitted again at once, while the driver of the lost head may still live."""
    machine, first = scene.machine, scene.command
    assert isinstance(machine, Jobs)
    if first.driver is None:
        return None
    machine.kill_head()
    wait_for(lambda: machine.ask("/api/version") is None, "a killed head is silent")
    machine.start_head()
    second = machine.start()
    scene.watch(second)
    if second.code != 0:
        scene.expect(f"pid {first.driver}," in second.text(), f"submitted again it said\n{second.text()}")
    return f"head killed and started again, the job submitted again ended with {second.code}"

"""Reads what W&B has written offline: its records, as they would be uploaded."""

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

FILE_HEADER, BLOCK, RECORD_HEADER = 7, 32768, 7  # bytes: LevelDB's log format behind W&B's own header


@dataclass
class OfflineRun:
    """One run as its file holds it."""

    id: str = ""
    project: str = ""
    group: str = ""
    job_type: str = ""
    name: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    step_metrics: dict[str, str] = field(default_factory=dict)  # metric, or `*`, to the metric that is its step
    exit_code: int | None = None


def read_run(folder: Path) -> OfflineRun:
    """The run of one `offline-run-*` folder, once W&B's own process has written how it ended, which it may do a moment later."""
    (path,) = folder.glob("*.wandb")
    until = time.monotonic() + 30
    while (run := _read(path)).exit_code is None and time.monotonic() < until:
        time.sleep(0.1)
    return run


def _read(path: Path) -> OfflineRun:
    run = OfflineRun()
    names: dict[int, str] = {}
    for content in _records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            told = record.run
            run.id, run.project, run.group, run.job_type = told.run_id, told.project, told.run_group, told.job_type
            run.name = told.display_name
            run.config |= {item.key: json.loads(item.value_json) for item in told.config.update if item.key != "_wandb"}
        elif kind == "history":
            run.history.append(_values(record.history.item))
        elif kind == "summary":
            run.summary |= _values(record.summary.update)
        elif kind == "metric":
            name = record.metric.name or record.metric.glob_name
            names[len(names) + 1] = name
            run.step_metrics[name] = record.metric.step_metric
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


def _values(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def _records(content: bytes) -> Iterator[bytes]:
    at, part = FILE_HEADER, b""
    while at + RECORD_HEADER <= len(content):
        left = BLOCK - at % BLOCK
        if left < RECORD_HEADER:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + RECORD_HEADER])
        part += content[at + RECORD_HEADER : at + RECORD_HEADER + length]
        at += RECORD_HEADER + length
        if kind in (1, 4):  # whole, or the last piece of one
            yield part
            part = b""

"""A trial that another run log holds already is taken over from there: equal keys are one trial, and it runs once."""

from typing import Any

from foresight.runlog import RunLog
from foresight.split_log import names_a_split, read_split, write_split
from foresight.tuning.record import Planned


def adopt(log: RunLog, source: RunLog, planned: Planned) -> dict[str, Any]:
    """Copies a complete trial from `source` under the name that it has here, and returns its row.

    The row says where it was run (`env/adopted_from`). What proves its splits disjoint is copied as well.
    """
    theirs = source.trials_dir / planned.key
    row = source.read_trial(planned.key)
    mine = row | planned.identity() | {"provenance": row["provenance"], "env/adopted_from": source.root.name}
    for name in filter(names_a_split, row):
        hashes = read_split(source.root, str(row[name]))
        if hashes is not None:
            write_split(log, hashes)
    samples, epochs = source.read_samples(planned.key), source.read_epochs(planned.key)
    log.write_trial(
        mine,
        config=source.read_config(planned.key),
        epochs=[{str(name): value for name, value in epoch.items()} for epoch in epochs.to_dict("records")],
        samples=samples if len(samples) else None,
        pictures={path.stem: path.read_bytes() for path in sorted(theirs.glob("*.png"))},
    )
    return mine

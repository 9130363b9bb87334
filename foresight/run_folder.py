"""The folder of run logs that a person named, as a folder of this machine: for the commands that only read."""

from pathlib import Path

from foresight.runlog import RunLog
from foresight.storage.copies import ROW, WEIGHTS_FILE, CopiedFiles
from foresight.storage.objects import ObjectFiles, open_place
from foresight.storage.place import Place


def open_log(place: Place) -> RunLog:
    """The run log at a place."""
    return RunLog(place.path, place.url)


def bring_weights(place: Place, key: str) -> None:
    """Copies the model that a trial has trained, from whichever study keeps it; in a shared folder it is there anyway."""
    if place.url is not None:
        for study in ObjectFiles(place.url).folders(""):
            below = place.below(study)
            CopiedFiles(below.path, str(below.url)).fetch(f"trials/{key}", ROW, WEIGHTS_FILE)


def open_runs(text: str, study: str | None = None) -> Path:
    """The folder of run logs; of an object store the copy of one study or of all, with what is new there.

    Raises RequestError for a storage that is not known or cannot be used.
    """
    place = open_place(text)
    if place.url is not None:
        for name in [study] if study else ObjectFiles(place.url).folders(""):
            open_log(place.below(name)).refresh()
    return place.path


def open_study_log(text: str) -> RunLog:
    """The run log of one study by its folder, `runs/<study>` or `s3://bucket/runs/<study>`, with what is new there."""
    log = open_log(open_place(text))
    log.refresh()
    return log

"""The pictures that trials left, as the page shows them: one group for each name, with one picture for each arm.

In: a study. A picture's caption travels inside its file, since only the task that drew it knows what its rows are.
"""

import base64
from dataclasses import dataclass, field

from analysis.figure_pictures import FAILURES, SIDE_BY_SIDE
from analysis.kept_pictures import FIRST, read_caption
from analysis.load import StudyData
from foresight.space import BASELINE

MOST_PICTURES = 40  # of one group on the page; a factorial has more than a page can hold


@dataclass(frozen=True)
class Picture:
    """One file of one trial, as an address that holds it."""

    arm: str
    key: str
    uri: str


@dataclass
class PictureGroup:
    """The pictures of one name at one seed; `caption` is empty where the files carry none."""

    name: str
    seed: int
    caption: str
    pictures: list[Picture] = field(default_factory=list)


def read_pictures(data: StudyData) -> list[PictureGroup]:
    """Every picture of every arm at the first seed at which the baseline, or else any arm, is complete."""
    complete = data.complete
    seeds = complete.loc[complete["arm"] == BASELINE, "seed"]
    first = int((seeds if len(seeds) else complete["seed"]).min())
    groups: dict[str, PictureGroup] = {}
    for arm in data.arms:
        for key in complete.loc[(complete["arm"] == arm) & (complete["seed"] == first), "key"]:
            for path in sorted((data.log.trials_dir / key).glob("[!.]*.png")):
                if path.stem in (SIDE_BY_SIDE, FAILURES):
                    continue
                content = path.read_bytes()
                group = groups.setdefault(path.stem, PictureGroup(path.stem, first, read_caption(content)))
                if len(group.pictures) < MOST_PICTURES:
                    uri = "data:image/png;base64," + base64.b64encode(content).decode()
                    group.pictures.append(Picture(arm, key, uri))
    return sorted(groups.values(), key=lambda group: (group.name != FIRST, group.name))

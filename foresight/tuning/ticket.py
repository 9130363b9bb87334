"""Ticket: a planned trial in the config that Tune gets of it, to which Tune does many things that we have no use for."""

from typing import Any, Self

from foresight.tuning.record import Planned


class Ticket(str):
    """The key of a trial, with what is planned beside it.

    Tune copies, prints, hashes and writes each config again and again, into tags, results and snapshots that nobody reads. Of
    a text that takes no time; of a whole configuration it took more than the rest of the trial.
    """

    planned: Planned

    def __new__(cls, planned: Planned) -> Self:
        ticket = super().__new__(cls, planned.key)
        ticket.planned = planned
        return ticket

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.planned,)

    def __getstate__(self) -> None:
        """Nothing beside what it is made from, so that a pickle holds the trial once."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def tune_config(planned: Planned) -> dict[str, Any]:
    """What Tune is given of a trial."""
    return {"key": planned.key, "planned": Ticket(planned)}

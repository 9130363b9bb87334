"""How a command ends: its exit code, and one sentence for everything that a person can put right.

0 done, 1 some trials failed or the machine could not go on, 2 the request is wrong (nothing started), 130 interrupted.
"""

import contextlib
from collections.abc import Iterator

import typer
from pydantic import ValidationError
from rich.console import Console

from foresight.config import explain
from foresight.errors import RequestError, RunEndedError, StorageError
from foresight.interrupts import INTERRUPTED
from foresight.redaction import redact
from foresight.tuning.session import SOME_FAILED

WRONG_REQUEST = 2


@contextlib.contextmanager
def one_sentence(console: Console, errors: Console, kept: str) -> Iterator[None]:
    """Ends the command by its exit code. `kept` is what an interrupt leaves whole: `every finished trial`."""
    try:
        yield
    except ValidationError as error:
        _say(errors, explain(error))
        raise typer.Exit(WRONG_REQUEST) from error
    except RequestError as error:
        _say(errors, str(error))
        raise typer.Exit(WRONG_REQUEST) from error
    except RunEndedError as error:
        _say(errors, str(error))
        raise typer.Exit(SOME_FAILED) from error
    except StorageError as error:
        _say(errors, f"{error}; {kept} is kept, and the same command goes on here")
        raise typer.Exit(SOME_FAILED) from error
    except KeyboardInterrupt as error:
        console.print(f"interrupted; {kept} is kept, and the same command goes on here", soft_wrap=True, markup=False)
        raise typer.Exit(INTERRUPTED) from error


def _say(errors: Console, sentence: str) -> None:
    errors.print(f"error: {redact(sentence)}", style="red", soft_wrap=True, markup=False)

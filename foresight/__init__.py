"""The library behind the studies: configs, data, encoders, models, metrics, training, and running them by Ray."""

import foresight.interrupts  # noqa: F401  first of all, so that Ctrl-C during the other imports ends quietly

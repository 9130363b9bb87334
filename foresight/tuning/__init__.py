"""Running sweeps: the only package that imports ray or optuna, and only when trials are really started."""

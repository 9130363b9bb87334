"""Where run logs and features are kept: a POSIX folder, or a prefix of an object store with a local copy of it."""

"""What every test finds."""

import signal

# A job in a shell's background ignores Ctrl-C, and so would every command that a test starts to interrupt it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

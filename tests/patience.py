"""How long a test waits for another process before it takes it to hang, however busy the machine is."""

PATIENCE = 1800  # seconds

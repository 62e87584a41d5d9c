"""The `edgebn` command: one file a verb. Nothing in edgebn imports it."""

"""Every speed claim of this project, as a command that prints JSON."""

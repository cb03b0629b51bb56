"""String: programs that write a line of text."""

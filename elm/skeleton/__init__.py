"""What `elm new-environment` copies: a small environment that works, to be changed bit by bit."""

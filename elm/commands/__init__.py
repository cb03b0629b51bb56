"""What the command `elm` does beside reports and exports, one module for each command."""

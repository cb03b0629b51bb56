"""What evolves, and how it is scored. Imported by the search and by the sandbox alike."""

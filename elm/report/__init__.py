"""What a person sees of a run: the terminal while it goes, figures and a page afterwards."""

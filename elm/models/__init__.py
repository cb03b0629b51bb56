"""Language models: what completes a prompt, and what that costs."""

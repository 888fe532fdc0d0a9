"""What the application notebooks share: models, templates and training loops, one module a scenario."""

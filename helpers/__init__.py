"""Helpers of the course: one module a stage, in the order in which data flow. Importing this loads no framework."""

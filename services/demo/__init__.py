"""A simulated year of the trial, played through the public HTTP API alone: `marrow demo`."""

"""Keeps this machine's memory and the team's in step."""

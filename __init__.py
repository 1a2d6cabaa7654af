"""IncidentOS: the memory of every past incident, for AI coding assistants."""

__version__ = "0.1.0"

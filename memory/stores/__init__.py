"""Adapters of `ports.IncidentStore`."""

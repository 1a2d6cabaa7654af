"""The bed of Hindsight's tests: the real server, a proxy that spoils answers, machines, and an embedding server."""

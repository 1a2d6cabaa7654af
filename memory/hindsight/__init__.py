"""The adapter of `cloud.CloudMemory` on Hindsight."""

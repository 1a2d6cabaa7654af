"""What is known: incidents, their storage, recall, confidence and runbooks. Imports neither `tools` nor `prompts`."""

"""What is said to a person or to a language model: playbooks, and the templates of the MCP prompts."""

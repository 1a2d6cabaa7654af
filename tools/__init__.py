"""What an assistant can do: one file a tool. Each validates, orchestrates and shapes the answer."""

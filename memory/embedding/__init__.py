"""Embedding models: adapters of `ports.Embedder`, and the thread that loads one behind the server's back."""

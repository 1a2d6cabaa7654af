"""The in-memory search index: tokens, the lexical arm (BM25) and the semantic arm (exact cosine)."""

"""Model -> music: sampling under the grammar, and the engine that continues a performance."""

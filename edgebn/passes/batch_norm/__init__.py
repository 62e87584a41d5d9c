"""Where a batch norm stands and what becomes of it: the fold table, and the moves that it asks for."""

"""The search: ask, score, record, tell, until the budget is spent; then select, refit, export."""

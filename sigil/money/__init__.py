"""Money: prices, worst cases, budgets, and what a turn may spend."""

"""Which windows train, which choose, which judge; and what leaks between them."""

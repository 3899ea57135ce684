"""Networks: architectures two ideas share, their training, their weights."""

"""What runs inside the training: `init`, the run it returns, and everything that a `log` call touches."""

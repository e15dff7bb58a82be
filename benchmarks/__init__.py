"""What Kiseki costs, beside a floor and a peer measured in the same run (`python -m benchmarks`)."""

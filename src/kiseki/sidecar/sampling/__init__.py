"""Measuring machine and training: sampled once for all runs of a sidecar, stored as their system rows.

`table` names every metric; each source has a module; `guard` runs sources where a hang costs only themselves;
`sampler` says when, and for whom.
"""

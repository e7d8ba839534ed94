"""What breaks around a messenger: killed processes, clients that vanish, readers that stall, disks that fill, clocks.

Short in `make test`; `make faults` (the environment variable FAULTS=long) runs what takes minutes.
"""

"""Tests of failures: killed processes, vanishing clients, stalled readers, full disks, jumping clocks.

Short in `make test`; `make faults` (the environment variable FAULTS=long) runs what takes minutes.
"""

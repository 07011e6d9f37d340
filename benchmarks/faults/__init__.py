"""Fault injection: damaged files, full disks, kills, interrupts, wrong arguments, many kernels."""

"""Bad days on purpose: damaged files, full disks, kills, interrupts, wrong arguments, many kernels."""

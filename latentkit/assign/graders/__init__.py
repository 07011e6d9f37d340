"""Grade with the kit, with nbgrader or with otter; marks and report."""

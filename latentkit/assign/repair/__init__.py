"""Make notebooks that came back gradeable."""

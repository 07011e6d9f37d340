"""What the lessons compute beside the kit: one module for each lesson."""

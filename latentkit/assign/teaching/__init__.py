"""For the teacher: a check before class, slides, wheels for rooms without a network."""

from .slide import slide as slide

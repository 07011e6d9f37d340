"""Parts that the plots share: axes, labels of rows, colour bars, fonts, alt text and dark variants."""

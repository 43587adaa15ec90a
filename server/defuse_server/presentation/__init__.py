"""What the pages and the reports draw alike: figures in words, a correction's curve, a region's card."""

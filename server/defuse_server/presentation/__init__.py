"""What the pages and the reports show alike: figures, checks, a correction's curve, a region's card."""

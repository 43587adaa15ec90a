"""Small networks of our own that read images, and what they are trained with."""

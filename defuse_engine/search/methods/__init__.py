"""The search methods: each proposes candidates around seeds, and the search decodes and classifies them."""

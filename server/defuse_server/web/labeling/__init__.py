"""The annotators' pages: they show tasks under opaque handles, and never a prediction."""

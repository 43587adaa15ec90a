"""The annotators' page: tasks under opaque handles, and no prediction anywhere."""

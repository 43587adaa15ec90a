"""Jobs, as all processes see them: their queue, their inputs, and their failures."""

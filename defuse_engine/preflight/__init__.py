"""Step 0 of the method: whether an audit of these inputs would find anything but noise."""

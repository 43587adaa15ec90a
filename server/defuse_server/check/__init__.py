"""`defuse-server check`: tries everything that a process needs, and says what is wrong and what to do."""

"""The operations of the clients, each written once as a flow (see `defuse._calls.steps`)."""

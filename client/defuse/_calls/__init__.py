"""How the clients talk to the server: connections, calls, retries and resumed streams.

Every operation is a flow, a generator of `steps`. `Client` and `AsyncClient` perform its steps.
"""

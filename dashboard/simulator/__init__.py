"""A stand-in for the Email Security API, for demo, development and tests.

It follows the published schema by itself and shares no code with the client. In-process:
`httpx.Client(transport=httpx.WSGITransport(Simulator()))`; over a port: `manage.py simulator`.
"""

from dashboard.simulator.app import Simulator

__all__ = ["Simulator"]

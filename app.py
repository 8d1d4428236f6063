"""The server: Streamlit's app with our own routes beside it, in one process on one port.

Start it with ``make app`` or ``streamlit run app.py``. The pages are started by ``pages/shell.py``; this file
is not itself a Streamlit script (see the note on cold deep links in that module).
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.middleware.trustedhost import TrustedHostMiddleware  # noqa: E402

from core.serving import serving  # noqa: E402
from core.web import web_routes  # noqa: E402
from core.workspace import open_workspace  # noqa: E402

# Streamlit holds its own socket to these names; our routes and the page itself need the same guard against a
# foreign site whose name was made to point at this machine.
hosts = st.get_option("server.allowedHosts") or ["localhost", "127.0.0.1"]

app = st.App(
    ROOT / "pages" / "shell.py",
    routes=web_routes(open_workspace()),
    lifespan=serving,
    middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)],
)

"""`explore`: a store's counts in a browser."""

from __future__ import annotations

import contextlib
import os

from daskingest.logs import LogSettings, set_up
from daskingest.settings import ExploreSettings, ServeSettings

_LOG = LogSettings()


def explore(settings: ExploreSettings, log: LogSettings = _LOG) -> None:
    """Show a store's counts in a browser.

    It has the pages of `serve`, and takes no articles. It works while `run-csv` counts into the
    store. If DASKINGEST_API_KEY is set, the browser asks for a key: any user name, the key as
    password.
    """
    import uvicorn

    from daskingest.models import find_model
    from daskingest.service.listening import keys_from, lets_try, listen, url_of
    from daskingest.stores import absolute_url, open_store
    from daskingest.stores.aliases import aliases_from
    from daskingest.stores.urls import shown_url
    from daskingest.web.app import create_app
    from daskingest.web.prefix import root_path_of
    from daskingest.web.store_alone import open_store_alone

    aliases = aliases_from(settings.aliases)
    root_path = root_path_of(settings.root_path)
    keys = keys_from(os.environ.get("DASKINGEST_API_KEY"))
    set_up(log)
    with open_store(settings.store) as store:
        billed = store.billed
    listener = listen(settings.host, settings.port, keys)
    url, model = absolute_url(settings.store), find_model(settings.model)
    tries = lets_try(settings.trials, settings.host, bool(keys))
    shown = ServeSettings(keys=keys, root_path=root_path)
    app = create_app(shown, open_store_alone(url, model, billed, tries, aliases))
    address = url_of(settings.host, listener) + (f"{root_path}/" if root_path else "")
    print(f"{shown_url(settings.store)} is at {address}; press Ctrl-C to stop", flush=True)
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])

"""The dashboard at `/ui`: built pages that talk to the API like any other caller. Sources are in `web/`."""

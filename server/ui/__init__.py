"""The dashboard: pages that read the API and follow its event stream."""

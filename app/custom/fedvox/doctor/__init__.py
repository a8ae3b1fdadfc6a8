"""Checks of host, start-up kit, data and job before a site takes part."""

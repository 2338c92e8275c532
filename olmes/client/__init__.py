"""The client of a results server: records sent and read, progress shown while a run goes."""

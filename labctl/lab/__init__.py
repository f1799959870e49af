"""The laboratory: joins configuration, drivers, links, engine and storage into something that runs."""

"""A video → frames → faces → tracks → emotions → timeline. It does not know how a classifier is built."""


def __getattr__(name):  # temporary
    import importlib

    for module in ("batch", "errors", "faces", "session", "summary", "timeline", "video", "status"):
        found = importlib.import_module(f"pipeline.{module}")
        if not name.startswith("_") and hasattr(found, name):
            return getattr(found, name)
    raise AttributeError(name)

"""Files and directories that one run holds at a time; a killed one lets go of them."""


def lock(handle: int) -> bool:
    """Lock what is open under this number; return whether nobody else has it.

    Where the system has no such locks (Windows, some disks of a network), nobody has.
    """
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass
    return True

"""Print the lower bounds of pyproject.toml as constraints, for ``pip install -c``."""

import re
import tomllib

with open("pyproject.toml", "rb") as file:
    dependencies = tomllib.load(file)["project"]["dependencies"]
for dependency in dependencies:
    match = re.fullmatch(r"([\w.-]+)>=([\w.]+)", dependency)
    if match is None:
        raise SystemExit(f"pyproject.toml: expected name>=version, got {dependency!r}.")
    print(f"{match[1]}=={match[2]}")

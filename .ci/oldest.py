"""Print the lower bounds of pyproject.toml as constraints, for ``pip install -c``."""

import re
import tomllib

# Of the extras those that the library itself imports.
EXTRAS = ("plot", "xarray", "sweep", "arviz")

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
dependencies = [*project["dependencies"]]
for extra in EXTRAS:
    dependencies += project["optional-dependencies"][extra]
for dependency in dict.fromkeys(dependencies):
    match = re.fullmatch(r"([\w.-]+)>=([\w.]+)", dependency)
    if match is None:
        raise SystemExit(f"pyproject.toml: expected name>=version, got {dependency!r}.")
    print(f"{match[1]}=={match[2]}")
# The oldest matplotlib works with the newest pyparsing, but uses names that it warns of, and
# warnings are errors in the tests.
print("pyparsing<3.3")

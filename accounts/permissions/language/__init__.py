"""OpenFGA's modelling language: read, check, write, and change to and from its JSON.

model = parse(text)            # Model, or Faulty with every fault and its place
faults = check(model)          # what the grammar allows and the meaning does not
to_json(model), from_json(document), to_dsl(model)
"""

from accounts.permissions.language.faults import Fault, Faulty, Place
from accounts.permissions.language.interchange import from_json, to_json
from accounts.permissions.language.model import Model
from accounts.permissions.language.modules import combine
from accounts.permissions.language.parser import parse
from accounts.permissions.language.printer import to_dsl
from accounts.permissions.language.validation import check

__all__ = ["Fault", "Faulty", "Model", "Place", "check", "combine", "from_json", "parse", "to_dsl", "to_json"]

"""What the engine refuses, as errors of the house: which field is wrong, what would be right, OpenFGA's number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from accounts import errors
from accounts.permissions import names
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import Fault, Faulty
from core.errors import AppError, FieldFault

KINDS: Final[Mapping[Code, type[AppError]]] = {
    Code.VALIDATION: errors.QuestionInvalid,
    Code.MODEL_NOT_FOUND: errors.PermissionModelNotFound,
    Code.TOO_COMPLEX: errors.QuestionTooComplex,
    Code.INVALID_WRITE: errors.WriteInvalid,
    Code.DUPLICATE_TUPLES: errors.DuplicateTuples,
    Code.INVALID_CURSOR: errors.CursorInvalid,
    Code.WRITE_FAILED: errors.TupleWriteFailed,
    Code.TYPE_NOT_FOUND: errors.TypeNotFound,
    Code.RELATION_NOT_FOUND: errors.RelationNotFound,
    Code.INVALID_TUPLE: errors.TupleInvalid,
    Code.INVALID_MODEL: errors.PermissionModelInvalid,
}


def problem_of(refused: Refused, pointer: str = "") -> AppError:
    """Return the error that tells a refusal. `pointer` leads to the tuple or the question that it speaks of; the part
    of it that is wrong is added."""
    return problem_of_many([(pointer, refused)])


def problem_of_many(refusals: Sequence[tuple[str, Refused]]) -> AppError:
    """Return one error for several refusals, each with the pointer to what it speaks of: the first one names it."""
    _, first = refusals[0]
    allowed: dict[str, Any] = {"allowed_types": list(first.allowed)} if first.allowed else {}
    return KINDS[first.code](
        names.outward_within(str(first)),
        faults=[fault_of(refused, pointer) for pointer, refused in refusals],
        openfga_code=int(first.code),
        **allowed,
    )


def fault_of(refused: Refused, pointer: str = "") -> FieldFault:
    """Return a refusal as one entry of `errors`."""
    place = f"{pointer}/{refused.member}".replace("?/", "?", 1) if refused.member else pointer
    return FieldFault(place, KINDS[refused.code].code, names.outward_within(str(refused)))


def problem_of_model(faulty: Faulty, pointer: str = "") -> AppError:
    """Return the error that tells the faults of a model, with where each stands."""
    return errors.PermissionModelInvalid(
        f"The model has {len(faulty.faults)} fault(s). The first: {faulty.faults[0]}",
        faults=[FieldFault(pointer, str(fault.type), str(fault)) for fault in faulty.faults],
        openfga_code=int(Code.INVALID_MODEL),
        model_faults=[document_of(fault) for fault in faulty.faults],
    )


def document_of(fault: Fault) -> dict[str, Any]:
    """Return one fault of a model as it travels: `line` 0 for what was read from JSON."""
    place = fault.place
    return {
        "type": str(fault.type),
        "message": fault.message,
        "symbol": fault.symbol,
        "file": place.file,
        "line": place.line,
        "column": place.start,
        "end_column": place.end,
    }


@contextmanager
def told(pointer: str = "", *, among: Mapping[str, Sequence[Any]] | None = None) -> Iterator[None]:
    """Turn what the engine raises inside into errors of the house. `among` are the lists of the request by the pointer
    to them: a refusal that speaks of one tuple then points at it."""
    try:
        yield
    except Refused as refused:
        raise problem_of(refused, _place_of(refused, among) or pointer) from refused
    except Faulty as faulty:
        raise problem_of_model(faulty, pointer) from faulty


def _place_of(refused: Refused, among: Mapping[str, Sequence[Any]] | None) -> str:
    if refused.about is None or among is None:
        return ""
    for pointer, items in among.items():
        # Of two equal ones the later is too much.
        for number in range(len(items) - 1, -1, -1):
            if items[number] == refused.about:
                return f"{pointer}/{number}"
    return ""

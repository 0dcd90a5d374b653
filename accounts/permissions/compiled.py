"""What a stored model was compiled to, as the functions of the engine read it."""

from __future__ import annotations

from dataclasses import asdict

from accounts.permissions.compiler import Program, compile_model
from accounts.permissions.language import from_json
from accounts.permissions.models import PermissionHop, PermissionModel, PermissionNode


def compile_into(row: PermissionModel) -> Program:
    """Compile a stored model and keep its nodes and hops, if others than these are kept for it."""
    program = compile_model(from_json(row.document))
    if row.digest == program.digest:
        return program
    row.digest = program.digest
    row.save()
    PermissionNode.objects.filter(model=row).delete()
    PermissionHop.objects.filter(model=row).delete()
    PermissionNode.objects.bulk_create(
        PermissionNode(
            model=row,
            number=node.number,
            object_type=node.object_type,
            operator=node.operator,
            operands=list(node.operands),
            nested=list(map(program.has_operators, node.operands)),
            is_layered=program.is_layered(node.number),
            region=sorted(program.regions[node.number]),
        )
        for node in program.nodes
    )
    PermissionHop.objects.bulk_create(PermissionHop(model=row, **asdict(hop)) for hop in program.hops)
    return program

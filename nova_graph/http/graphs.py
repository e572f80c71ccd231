"""`/v1/graphs` and `/v1/nodes`: what there is to work with."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse

from engine.declaration import Declaration, type_name
from engine.registry import Registry
from engine.tuples import as_json
from nova_graph.http.library import Library
from nova_graph.http.problems import documented
from nova_graph.http.shared import Owner, Parts
from nova_graph.http.views import GraphsView, GraphView, NodesView, NodeView, PortView, answer

router = APIRouter(tags=["graphs"])

GraphName = Annotated[str, Path(pattern="^[A-Za-z0-9_.-]{1,100}$", description="A name from `/v1/graphs`.")]


@router.get("/v1/graphs", response_model=GraphsView, responses=documented())
async def list_graphs(owner: Owner, parts: Parts) -> Response:  # noqa: ARG001 - a key is needed
    """List the graphs that are known by name."""
    return answer(GraphsView(graphs=await parts.desk.do(lambda: _graphs(parts.desk.library))))


@router.get(
    "/v1/graphs/{name}/schema",
    response_class=JSONResponse,
    responses={
        200: {"description": "JSON Schema.", "content": {"application/json": {"schema": {"type": "object"}}}},
        **documented(404, 422),
    },
)
async def show_schema(owner: Owner, parts: Parts, name: GraphName) -> Response:  # noqa: ARG001 - a key is needed
    """Return the JSON Schema of a graph's inputs."""
    schema: dict[str, Any] = await parts.desk.do(lambda: parts.desk.schema(name))
    return JSONResponse(schema)


@router.get("/v1/nodes", response_model=NodesView, responses=documented())
async def list_nodes(owner: Owner, parts: Parts) -> Response:  # noqa: ARG001 - a key is needed
    """List the node types with their ports."""
    return answer(NodesView(nodes=_nodes(parts.desk.runtime.registry)))


def _graphs(library: Library) -> list[GraphView]:
    graphs = ((name, library.graph(name)) for name in library.names)
    return [
        GraphView(
            name=name,
            description=graph.description,
            inputs=list(graph.inputs),
            schema_url=f"/v1/graphs/{name}/schema",
        )
        for name, graph in graphs
    ]


def _nodes(registry: Registry) -> list[NodeView]:
    return [_node(declaration) for declaration in registry.values()]


def _node(declaration: Declaration) -> NodeView:
    inputs = [
        PortView(
            name=port.name,
            type=type_name(port.annotation),
            description=port.description,
            required=port.required,
            default=as_json(port.default),
        )
        for port in declaration.inputs.values()
    ]
    outputs = [
        PortView(name=port.name, type=type_name(port.annotation), description=port.description)
        for port in declaration.outputs.values()
    ]
    return NodeView(
        type=declaration.name,
        version=declaration.version,
        summary=declaration.summary,
        inputs=inputs,
        outputs=outputs,
    )

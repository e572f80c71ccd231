"""The kinds of problems that a service tells of, as URIs (RFC 9457, 3.1.1)."""

from typing import Final

GRAPH: Final = "urn:nova-graph:problem:graph"
ASSET: Final = "urn:nova-graph:problem:asset"
LIMIT: Final = "urn:nova-graph:problem:limit"
INPUT: Final = "urn:nova-graph:problem:request"
JOB: Final = "urn:nova-graph:problem:job"
PLAIN: Final = "about:blank"

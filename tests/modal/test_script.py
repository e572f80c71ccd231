"""A user's Python script: through the helper that checks first, and straight to the deployed class."""

from tests.modal.cloud import Cloud
from tests.modal.control_plane.plane import ControlPlane

THROUGH_THE_HELPER = """
import io
from PIL import Image
from engine.errors import GraphErrors
from nova_graph.modal.script import predict, predict_one
inputs = {"checkpoint": "nova-nano", "steps": 2, "face": False, "pag_scale": 0, "seed": 31, "count": 2}
pictures = predict(inputs)
one, other = (Image.open(io.BytesIO(data)) for data in (pictures[0], predict_one(inputs)))
print(len(pictures), one.tobytes() == other.tobytes())
"""

WITH_MISTAKES = """
from engine.errors import AssetError, GraphErrors
from nova_graph.modal.script import predict, predict_one
for inputs in ({"steps": 0}, {"promt": "1girl"}, "1girl", {1: 2}):
    for function in (predict, predict_one):
        try:
            function(inputs)
        except GraphErrors as error:
            print(error)
"""

WITHOUT_A_CHECKPOINT = """
from engine.errors import AssetError
from nova_graph.modal.script import predict
try:
    predict({"prompt": "1girl"})
except AssetError as error:
    print(error)
"""

STRAIGHT = """
import io, modal
from PIL import Image
from nova_graph.modal.documents import default_document
artist = modal.Cls.from_name("nova-anime-ilxl", "NovaAnime")()
inputs = {"checkpoint": "nova-nano", "steps": 2, "face": False, "pag_scale": 0, "seed": 31, "count": 2}
pictures = artist.predict.remote(inputs)
one, other = (Image.open(io.BytesIO(data)) for data in (pictures[0], artist.predict_one.remote(inputs)))
print(len(pictures), one.tobytes() == other.tobytes())
messages = artist.draw.spawn(default_document(inputs)).get()
print(pictures == [file["data"] for each in messages if each["event"] == "pictures" for file in each["files"]])
print(artist.get_timing_report.remote()["calls"] > 0)
print(modal.Function.from_name("nova-anime-ilxl", "timing_report").remote())
for method in (artist.predict, artist.predict_one):
    for wrong in ({"steps": 0}, "1girl", None):
        try:
            method.remote(wrong)
        except RuntimeError as error:
            print(error)
"""


def test_the_helper_draws(deployed: Cloud) -> None:
    assert deployed.python(THROUGH_THE_HELPER).stdout == "2 True\n"


def test_mistakes_ask_modal_for_nothing(deployed: Cloud, plane: ControlPlane) -> None:
    asked = len(plane.asked)
    told = deployed.python(WITH_MISTAKES).stdout
    mine = {name for name, _ in plane.asked[asked:]}
    assert told.count("steps must be at least 1, got 0") == 2
    assert told.count("promt") >= 2
    assert told.count("inputs are given by name, as {'prompt': '1girl, solo', 'seed': 7}, not as '1girl'") == 2
    assert told.count("not as '{1: 2}'") == 2
    assert not {"FunctionGet", "ClassGet", "FunctionMap"} & mine


def test_what_cannot_be_had_asks_for_no_gpu(deployed: Cloud, plane: ControlPlane) -> None:
    calls = len(plane.calls.calls)
    assert "No checkpoint was found; tried in this order:" in deployed.python(WITHOUT_A_CHECKPOINT).stdout
    made = [plane.functions.functions[each.function_id].name for each in list(plane.calls.calls.values())[calls:]]
    assert made == ["prepare_all"]


def test_the_class_itself_refuses_mistakes_with_their_text(deployed: Cloud) -> None:
    told = deployed.python(STRAIGHT).stdout
    assert told.startswith("2 True\nTrue\nTrue\n")
    assert "'prices_as_of': '2026-07-01'" in told
    assert told.count("steps must be at least 1, got 0") == 2
    assert told.count("not as '1girl'") == 2
    assert told.count("not as 'None'") == 2

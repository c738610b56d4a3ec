from stagerunner_parts.sinks.null import Null


def test_nothing_comes_of_it():
    sink = Null()
    sink.check()
    sink.open(None)
    assert sink.encode(["a"]) == b""
    sink.write(b"")
    sink.commit(None)
    assert sink.position() is None
    sink.finish()
    sink.abort()
    assert (sink.keeps, sink.target(), sink.describe()) == ("nothing", None, "nowhere")

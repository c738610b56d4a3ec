from stagerunner_parts.sinks.stdout import Stdout


def test_text_as_it_is_and_everything_else_as_json(capsysbinary):
    sink = Stdout()
    sink.write(sink.rendered(sink.encode(["one", {"a": 1}])))
    sink.commit(None)
    assert capsysbinary.readouterr().out == b'one\n{"a":1}\n'
    assert (sink.stdout, sink.keeps, sink.describe()) == (True, "nothing", "standard output")

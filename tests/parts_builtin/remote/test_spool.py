from stagerunner_parts.remote.address import Address
from stagerunner_parts.remote.spool import spool_of


def test_each_address_has_a_file_of_its_own_without_secrets(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    texts = ["s3://b/x.csv", "s3://b/x_csv", "s3://b%2Fx.csv", "sftp://a:hunter2@h/x.csv.gz", f"s3://b/{'x' * 300}.csv"]
    texts.append(texts[-1].replace("xxx.csv", "xxy.csv"))
    places = [spool_of(Address(text)) for text in texts]
    assert len(set(places)) == len(texts)
    assert {place.parent for place in places} == {tmp_path / "stagerunner"}
    assert "hunter2" not in places[3].name
    assert places[3].suffixes[-2:] == [".csv", ".gz"]
    assert places[4].suffix == ".csv"
    assert max(len(place.name) for place in places) < 200

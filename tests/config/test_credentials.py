from stagerunner.config.read import read_config

CONFIG = """version: 1
source: https://amy:hunter2@h/x.csv?page=10000&api_key=abcdefgh
stages:
  - {use: http, with: {url: "https://h/{id}?format=json&token=zyxwv"}}
sink:
  use: jsonl
  with: {path: s3://b/x.jsonl, options: {key: AKIA, secret: "very secret", more: {region: moon, pass: 12}}}
"""


def test_what_is_written_as_a_secret_is_one():
    config = read_config(CONFIG)
    assert set(config.secrets) == {"hunter2", "abcdefgh", "zyxwv", "AKIA", "very secret"}
    assert set(config.masked) == set(config.secrets)


def test_a_plain_config_has_none():
    text = "version: 1\nsource: x.csv\nstages: [{use: lookup, with: {key: person_id, path: t.csv}}]\n"
    assert read_config(text).secrets == ()

import logging

from core.labels import changes
from tests.core.labels.painting import new_workspace


def test_a_listener_hears_of_each_change_until_it_ends(tmp_path):
    workspace, [tile] = new_workspace(tmp_path)
    heard = []
    end = changes.listen(lambda *change: heard.append(change))
    changes.announce(workspace, tile.id)
    changes.announce(workspace, tile.id, "Ada")
    end()
    changes.announce(workspace, tile.id)
    assert heard == [(workspace, tile.id, ""), (workspace, tile.id, "Ada")]


def test_a_listener_that_fails_is_logged_and_the_others_still_hear(tmp_path, caplog):
    workspace, [tile] = new_workspace(tmp_path)
    heard = []

    def fail(*_change):
        raise ValueError("no features yet")

    ends = [changes.listen(fail), changes.listen(lambda *change: heard.append(change))]
    with caplog.at_level(logging.ERROR):
        changes.announce(workspace, tile.id)
    for end in ends:
        end()
    assert len(heard) == 1
    assert "no features yet" in caplog.text

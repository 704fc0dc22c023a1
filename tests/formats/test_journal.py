"""The journal of an unfinished file."""

import pytest

from mmdataseg.formats.journal import Journal


def test_records_of_several_runs_are_read_in_order(tmp_path):
    journal = Journal(tmp_path / "new/a.journal")
    assert journal.read() == []
    for number in range(2):
        with journal:
            journal.append({"number": number})
    assert journal.read() == [{"number": 0}, {"number": 1}]
    journal.remove()
    journal.remove()
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("damage", ['{"number": 2', '{"number": 2}', "\x00\x00\n", '{"num\n{"number": 3}\n'])
def test_the_journal_ends_before_the_first_broken_line(tmp_path, damage):
    whole = '{"number": 0}\n{"number": 1}\n'
    path = tmp_path / "a.journal"
    path.write_text(whole + damage)
    journal = Journal(path)
    assert journal.read() == [{"number": 0}, {"number": 1}]
    assert path.read_text() == whole, "a record starts on a line of its own"


def test_a_record_is_on_disk_at_once(tmp_path):
    journal = Journal(tmp_path / "a.journal")
    with journal:
        journal.append({"number": 0})
        assert Journal(journal.path).read() == [{"number": 0}]


def test_appending_to_a_closed_journal_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="not open"):
        Journal(tmp_path / "a.journal").append({})


def test_records_are_read_one_at_a_time_and_a_broken_end_is_cut_off(tmp_path):
    journal = Journal(tmp_path / "a.journal")
    assert list(journal.records()) == []
    journal.repair()
    whole = b'{"word": "\\u00e9"}\n{"number": 1}\n'
    journal.path.write_bytes(whole + b"\xff\xfe\n")
    records = journal.records()
    assert next(records) == {"word": "é"}
    assert list(records) == [{"number": 1}]
    journal.repair()
    assert journal.path.read_bytes() == whole

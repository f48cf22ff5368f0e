"""The offline verifier: what an export proves, and that each kind of tampering is found, named and placed.

Each test forges what somebody with the database, the file, or both could forge, down to leaf hashes, positions and
the tree; only the log's key and the checkpoints that the auditor kept are out of the forger's reach.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit import export, merkle, verifier
from services.audit.checkpoint import Checkpoint, MalformedKeyError, NoteError, SigningKey, sign_note
from services.audit.findings import Report
from services.audit.verifier import verify
from shared.eventstore import record as stored
from tests.audit.logs import FORGER, KEY, STARTED_AT, VKEY, Log, document, log, record


def altered(lines: Sequence[bytes], at: int, change: Callable[[dict[str, Any]], None]) -> list[bytes]:
    """The lines with the object of one of them changed; -1 is the closing line."""
    members = json.loads(lines[at])
    change(members)
    changed = list(lines)
    changed[at] = json.dumps(members, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    return changed


def found(report: Report) -> tuple[str, int | None]:
    """The code and the position of what was found."""
    assert report.wrong is not None, "nothing was found"
    assert report.proved == [], "what is wrong proves nothing"
    return report.wrong.code, report.wrong.position


class TestAWholeExport:
    def test_it_proves_every_event_in_its_place(self) -> None:
        report = verify(log().export(), VKEY)
        assert (report.ok, report.events, report.first, report.last) == (True, 20, 1, 20)
        assert report.proved == [
            "The events 1 to 20 stand, unaltered and in this order, in the log marrow.example/nct01129739 of 20 events."
        ]

    def test_without_a_key_it_says_that_the_files_own_key_proves_little(self) -> None:
        report = verify(log().export())
        assert report.ok
        assert report.open[0].startswith("WARNING: the key came with the file and is unauthenticated")
        assert not any("WARNING" in sentence for sentence in verify(log().export(), VKEY).open)

    def test_an_empty_log_verifies(self) -> None:
        report = verify(log(0).export(), VKEY, log(0).checkpoint())
        assert (report.ok, report.events) == (True, 0)
        assert "The log marrow.example/nct01129739 is empty." in report.proved

    @pytest.mark.parametrize("size", [0, 1, 7, 8, 19, 20])
    def test_it_extends_every_older_checkpoint(self, size: int) -> None:
        report = verify(log().export(), VKEY, log().checkpoint(size))
        assert report.ok
        assert f"The first {size} events are those of the checkpoint that you hold." in report.proved

    def test_spaces_and_line_ends_beside_the_record_do_not_matter(self) -> None:
        lines = [json.dumps(json.loads(line), indent=None).encode() + b"\r\n" for line in log().export()]
        assert verify(lines, VKEY).ok


class TestAPartOfTheLog:
    @settings(max_examples=40, deadline=None)
    @given(data=st.data(), size=st.integers(1, 40))
    def test_any_part_is_proved_to_stand_where_it_stands(self, data: st.DataObject, size: int) -> None:
        first = data.draw(st.integers(1, size))
        last = data.draw(st.integers(first - 1, size))
        report = verify(log(size).export(first, last), VKEY)
        assert (report.ok, report.events, report.first) == (True, last - first + 1, first)

    def test_it_says_what_it_does_not_prove(self) -> None:
        report = verify(log().export(5, 9), VKEY)
        assert "Nothing is said of the content of the events that the file does not hold." in report.open

    @pytest.mark.parametrize("size", [4, 5, 9, 20])
    def test_it_extends_an_older_checkpoint_that_it_reaches(self, size: int) -> None:
        assert verify(log().export(5, 9), VKEY, log().checkpoint(size)).ok

    @pytest.mark.parametrize("size", [3, 10])
    def test_it_cannot_be_compared_with_a_checkpoint_outside_it(self, size: int) -> None:
        report = verify(log().export(5, 9), VKEY, log().checkpoint(size))
        assert found(report) == ("held-checkpoint-outside", None)

    def test_it_cannot_be_passed_off_as_another_part(self) -> None:
        lines = log().export(5, 9)
        for at in range(5):
            lines = altered(lines, at, lambda event: event.update(position=event["position"] + 1))
        lines = altered(lines, -1, lambda closing: closing.update(first=6, last=10))
        assert found(verify(lines, VKEY)) == ("cover-mismatch", None)

    @pytest.mark.parametrize("side", ["left", "right"])
    def test_hashes_beside_it_cannot_be_left_out_or_exchanged(self, side: str) -> None:
        lines = log().export(6, 9)
        fewer = altered(lines, -1, lambda closing: closing[side].pop())
        exchanged = altered(lines, -1, lambda closing: closing[side].reverse())
        assert found(verify(fewer, VKEY)) == ("cover-mismatch", None)
        assert found(verify(exchanged, VKEY)) == ("root-mismatch", None)


class TestTamperingWithTheFile:
    def test_a_flipped_byte_of_a_record_is_found_at_its_position(self) -> None:
        lines = log().export()
        lines[6] = lines[6].replace(b'\\"41\\"', b'\\"40\\"')
        assert found(verify(lines, VKEY)) == ("leaf-hash-mismatch", 7)

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_no_byte_of_an_event_can_be_flipped(self, data: st.DataObject) -> None:
        lines = log(5).export()
        at = data.draw(st.integers(0, 4))
        line = bytearray(lines[at])
        line[data.draw(st.integers(0, len(line) - 2))] ^= 1 << data.draw(st.integers(0, 7))
        lines[at] = bytes(line)
        report = verify(lines, VKEY)
        assert report.wrong is not None
        assert report.wrong.line == at + 1

    def test_an_altered_time_is_found_at_its_position(self) -> None:
        lines = log().export()
        lines[6] = lines[6].replace(b"07:30:00.000000Z", b"06:30:00.000000Z")
        assert found(verify(lines, VKEY)) == ("leaf-hash-mismatch", 7)

    @pytest.mark.parametrize("position", [2, 7, 19])
    def test_a_deleted_line_is_found_where_it_is_missing(self, position: int) -> None:
        lines = log().export()
        del lines[position - 1]
        assert found(verify(lines, VKEY)) == ("position-wrong", position)

    def test_a_deleted_first_line_is_found(self) -> None:
        assert found(verify(log().export()[1:], VKEY)) == ("closing-mismatch", None)

    def test_a_line_that_stands_twice_is_found(self) -> None:
        lines = log().export()
        lines.insert(7, lines[6])
        assert found(verify(lines, VKEY)) == ("position-wrong", 8)

    def test_two_swapped_lines_are_found_at_the_first(self) -> None:
        lines = log().export()
        lines[6], lines[7] = lines[7], lines[6]
        assert found(verify(lines, VKEY)) == ("position-wrong", 7)

    def test_a_file_that_was_cut_off_is_found(self) -> None:
        lines = log().export()
        assert found(verify(lines[:-1], VKEY)) == ("closing-missing", 21)
        assert found(verify(lines[:12], VKEY)) == ("closing-missing", 13)
        assert found(verify([*lines[:6], lines[6][:40]], VKEY)) == ("malformed-line", 7)
        assert found(verify([], VKEY)) == ("closing-missing", None)

    def test_events_cut_off_before_the_closing_line_are_found(self) -> None:
        lines = log().export()
        assert found(verify([*lines[:17], lines[-1]], VKEY)) == ("closing-mismatch", None)
        closing = altered([lines[-1]], 0, lambda members: members.update(last=17))
        assert found(verify([*lines[:17], *closing], VKEY)) == ("cover-mismatch", None)

    def test_something_put_after_the_end_is_found(self) -> None:
        lines = log().export()
        assert found(verify([*lines, lines[0]], VKEY)) == ("line-after-closing", None)

    @pytest.mark.parametrize("junk", [b"\n", b"\x00\n", b"null\n", b"\xff\xfe\n", b"{}\n", b'"' * 1000])
    def test_a_malformed_line_is_found_by_its_number(self, junk: bytes) -> None:
        lines = log().export()
        lines.insert(6, junk)
        report = verify(lines, VKEY)
        assert found(report) == ("malformed-line", 7)
        assert report.wrong is not None
        assert report.wrong.line == 7

    def test_a_huge_line_is_refused_without_reading_it_whole(self) -> None:
        file = io.BytesIO(b"".join(log(3).export()[:2]) + b"x" * (3 * export.LINE_BYTES_MAX))
        assert found(verify(verifier.read_lines(file), VKEY)) == ("line-too-long", 3)
        assert file.tell() < 2 * export.LINE_BYTES_MAX

    def test_a_position_that_does_not_exist_is_found(self) -> None:
        lines = altered(log().export(), 0, lambda event: event.update(position=0))
        assert found(verify(lines, VKEY)) == ("position-wrong", None)


class TestTamperingWithTheDatabase:
    """The forger rewrites rows with matching leaf hashes and positions, and exports with the last true checkpoint."""

    def forged(self, rows: Sequence[bytes]) -> list[bytes]:
        """An export of these rows, with the checkpoint of the true log of twenty."""
        lines = Log(tuple(rows)).export()
        return altered(lines, -1, lambda closing: closing.update(checkpoint=log().checkpoint()))

    def test_a_rewritten_row_is_found(self) -> None:
        lines = self.forged(log().with_record(7, record(7, data={"platelets": "90"})).records)
        assert found(verify(lines, VKEY)) == ("root-mismatch", None)

    def test_a_back_dated_row_is_found_at_its_position(self) -> None:
        early = record(7, recorded_at="2026-03-02T08:01:00.000000Z")
        assert found(verify(self.forged(log().with_record(7, early).records), VKEY)) == ("time-goes-back", 7)

    def test_a_row_dated_forward_is_found_where_time_goes_back(self) -> None:
        late = record(7, recorded_at="2026-03-02T09:00:00.000000Z")
        assert found(verify(self.forged(log().with_record(7, late).records), VKEY)) == ("time-goes-back", 8)

    def test_a_deleted_row_is_found(self) -> None:
        rows = log().records
        assert found(verify(self.forged(rows[:6] + rows[7:]), VKEY)) == ("cover-mismatch", None)

    def test_an_inserted_row_is_found(self) -> None:
        rows = log().records
        lines = self.forged((*rows[:6], record(6), *rows[6:]))
        assert found(verify(lines, VKEY)) == ("checkpoint-too-small", 21)

    def test_two_swapped_rows_are_found_at_the_first_that_goes_back(self) -> None:
        rows = list(log().records)
        rows[6], rows[7] = rows[7], rows[6]
        assert found(verify(self.forged(rows), VKEY)) == ("time-goes-back", 8)

    def test_a_truncated_tail_is_found(self) -> None:
        assert found(verify(self.forged(log().records[:17]), VKEY)) == ("cover-mismatch", None)

    def test_a_tail_cut_back_to_an_older_checkpoint_is_found_by_who_holds_a_newer_one(self) -> None:
        cut = log(17).export()
        assert verify(cut, VKEY).ok, "the shorter log was a true one once"
        assert found(verify(cut, VKEY, log().checkpoint())) == ("log-cut", 18)


class TestTamperingWithTheTree:
    def test_a_tree_rebuilt_with_another_key_is_found(self) -> None:
        forged = replace(log().with_record(7, record(7, data={"platelets": "90"})), key=FORGER)
        assert found(verify(forged.export(), VKEY)) == ("checkpoint-by-another-key", None)

    def test_without_the_key_it_is_found_by_who_holds_a_checkpoint(self) -> None:
        forged = replace(log().with_record(7, record(7, data={"platelets": "90"})), key=FORGER)
        assert verify(forged.export()).ok, "which is why the report warns of the file's own key"
        assert found(verify(forged.export(), None, log().checkpoint())) == ("held-checkpoint-foreign", None)

    def test_a_tree_rebuilt_with_the_logs_own_key_is_found_by_who_holds_a_checkpoint(self) -> None:
        forged = log().with_record(7, record(7, data={"platelets": "90"}))
        assert verify(forged.export(), VKEY, log().checkpoint(6)).ok, "the first six are untouched"
        for size in (7, 12, 20):
            assert found(verify(forged.export(), VKEY, log().checkpoint(size))) == ("history-rewritten", None)
        assert found(verify(forged.export(5, 9), VKEY, log().checkpoint(8))) == ("history-rewritten", None)

    def test_a_copied_signature_is_found(self) -> None:
        rewritten = log().with_record(7, record(7, data={"platelets": "90"}))
        text = rewritten.checkpoint().partition("\n\n")[0]
        signature = log().checkpoint().partition("\n\n")[2]
        lines = altered(rewritten.export(), -1, lambda closing: closing.update(checkpoint=f"{text}\n\n{signature}"))
        assert found(verify(lines, VKEY)) == ("checkpoint-signature-wrong", None)

    def test_a_checkpoint_of_another_log_is_found(self) -> None:
        other = sign_note(Checkpoint("marrow.example/other", 20, merkle.root(20, log().node)).text(), KEY)
        lines = altered(log().export(), -1, lambda closing: closing.update(checkpoint=other))
        assert found(verify(lines, VKEY)) == ("checkpoint-by-another-key", None)

    def test_the_checkpoint_that_the_auditor_holds_must_be_of_this_log(self) -> None:
        foreign = SigningKey("elsewhere.example/log", FORGER.private_key)
        held = replace(log(), key=foreign).checkpoint(7)
        assert found(verify(log().export(), VKEY, held)) == ("held-checkpoint-foreign", None)

    @pytest.mark.parametrize("member", ["checkpoint", "vkey"])
    def test_what_cannot_be_read_is_found(self, member: str) -> None:
        lines = altered(log().export(), -1, lambda closing: closing.update({member: "nonsense"}))
        assert found(verify(lines)) == ("malformed-checkpoint", None)


class TestTheFormOfARecord:
    """Even a log that was built and signed in order must hold well-formed records."""

    def test_what_the_log_writes_is_well_formed(self) -> None:
        members = document(7)
        del members["recorded_at"]
        written = stored.seal(members, STARTED_AT + timedelta(minutes=7))
        assert verify(log().with_record(7, written).export(), VKEY).ok

    def judged(self, content: bytes) -> tuple[str, int | None]:
        return found(verify(log().with_record(7, content).export(), VKEY))

    @pytest.mark.parametrize("member", sorted(verifier.RECORD_MEMBERS))
    def test_every_member_is_required(self, member: str) -> None:
        members = document(7)
        del members[member]
        assert self.judged(json.dumps(members, sort_keys=True).encode()) == ("malformed-record", 7)

    def test_its_keys_are_sorted_at_every_depth(self) -> None:
        reversed_data = json.dumps(document(7, data={"b": "1", "a": "2"})).encode()
        assert self.judged(reversed_data) == ("malformed-record", 7)

    @pytest.mark.parametrize("content", [b"", b"[]", b"text", b'{"a":1,"a":2}'])
    def test_it_is_one_json_object(self, content: bytes) -> None:
        assert self.judged(content) == ("malformed-record", 7)

    @pytest.mark.parametrize(
        "time",
        ["", None, "2026-03-02T08:07:00Z", "2026-03-02T08:07:00.000000+00:00", "2026-02-30T08:07:00.000000Z"],
    )
    @pytest.mark.parametrize("member", ["recorded_at", "occurred_at"])
    def test_its_times_are_utc_with_microseconds(self, member: str, time: str | None) -> None:
        assert self.judged(record(7, **{member: time})) == ("malformed-record", 7)


class TestArguments:
    @pytest.mark.parametrize("vkey", ["", "nonsense"])
    def test_a_key_that_is_none_is_an_error_and_no_finding(self, vkey: str) -> None:
        with pytest.raises(MalformedKeyError):
            verify(log().export(), vkey)

    @pytest.mark.parametrize("held", ["", "nonsense", sign_note("a\n", KEY)])
    def test_a_checkpoint_that_is_none_is_an_error_and_no_finding(self, held: str) -> None:
        with pytest.raises(NoteError):
            verify(log().export(), VKEY, held)


class TestTheCommand:
    def test_it_ends_with_0_when_everything_holds(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "export").write_bytes(b"".join(log().export()))
        (tmp_path / "held").write_text(log().checkpoint(12), encoding="utf-8")
        arguments = [str(tmp_path / "export"), "--key", VKEY, "--checkpoint", str(tmp_path / "held")]
        assert verifier.main(arguments) == 0
        assert capsys.readouterr().out.splitlines() == [
            "20 events read, 1 to 20",
            "checkpoint  marrow.example/nct01129739, 20 events",
            f"root        {merkle.root(20, log().node).hex()}",
            f"key         {VKEY}",
            *verify(log().export(), VKEY).proved,
            "The first 12 events are those of the checkpoint that you hold.",
            "OK",
        ]

    def test_it_ends_with_1_and_names_what_is_wrong(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        lines = log().export()
        del lines[6]
        (tmp_path / "export").write_bytes(b"".join(lines))
        assert verifier.main([str(tmp_path / "export"), "--key", VKEY]) == 1
        last = capsys.readouterr().out.splitlines()[-1]
        assert last == "WRONG [position-wrong, position 7, line 7] position 7 is due, here stands 8"

    @pytest.mark.parametrize("options", [["--key", "nonsense"], ["--checkpoint", "absent"]])
    def test_it_ends_with_2_when_it_cannot_be_run(
        self, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "export").write_bytes(b"".join(log().export()))
        assert verifier.main([str(tmp_path / "export"), *options]) == 2
        assert capsys.readouterr().err.startswith("cannot verify: ")

    def test_it_needs_the_standard_library_and_cryptography_alone(self, tmp_path: Path) -> None:
        (tmp_path / "export").write_bytes(b"".join(log().export()))
        program = (
            "import runpy, sys\n"
            "sys.argv = ['verify', sys.argv[1]]\n"
            "try:\n    runpy.run_module('services.audit.verifier', run_name='__main__')\n"
            "except SystemExit as end:\n    assert end.code == 0\n"
            "print(*sorted({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))\n"
        )
        checkout = Path(__file__).parents[2]
        ran = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "export")],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout)},
            capture_output=True,
            text=True,
            check=True,
        )
        foreign = {name for name in ran.stdout.splitlines()[-1].split() if not name.startswith("_")}
        assert foreign <= {"cryptography", "services"}

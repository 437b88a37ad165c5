from __future__ import annotations

from pathlib import Path

from unionws.history.continuity import Continuity, boot_id


def test_it_holds_for_the_epoch_and_run_that_proved_it(tmp_path: Path) -> None:
    """Another epoch, another boot, or none at all prove nothing."""
    proof = Continuity(tmp_path / "c", "boot1")
    assert not proof.holds("e1")
    proof.prove("e1")
    assert proof.holds("e1")
    assert not proof.holds("e2")
    assert not Continuity(tmp_path / "c", "boot2").holds("e1")


def test_a_clean_end_outlives_the_machine(tmp_path: Path) -> None:
    """Until the next run begins."""
    Continuity(tmp_path / "c", "boot1").seal("e1")
    later = Continuity(tmp_path / "c", "boot2")
    assert later.holds("e1")
    later.prove("e1")
    assert not Continuity(tmp_path / "c", "boot3").holds("e1")


def test_withdrawn_it_holds_no_more(tmp_path: Path) -> None:
    """Withdrawing twice, or with the folder gone, is fine."""
    proof = Continuity(tmp_path / "c", "boot1")
    proof.prove("e1")
    assert proof.withdraw()
    assert not proof.holds("e1")
    assert proof.withdraw()
    assert Continuity(tmp_path / "none" / "c").withdraw()


def test_the_boot_id_stays_within_a_boot() -> None:
    """Two processes of one boot agree."""
    assert boot_id() == boot_id() != ""

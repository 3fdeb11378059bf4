"""Quota, reserve and expiry as the configuration says them."""

import mox

ALICE = "alice@test.example"


def test_quota_of_the_whole(start_suite):
    suite = mox.start_configured(start_suite, extra="storage { quota 1M; reserve 1M }")
    suite.deliver(mox.message(body="x\r\n" * 200000), ALICE)
    with suite.smtp() as smtp:
        smtp.envelope(ALICE)
        assert smtp.data(mox.message(body="x\r\n" * 200000)).code == 452


def test_reserve(start_suite):
    """More than any disk here has: nothing new is taken, and what is there can be read."""
    suite = mox.start_configured(start_suite, extra="storage { reserve 1024T }")
    with suite.smtp() as smtp:
        smtp.envelope(ALICE)
        assert smtp.data(mox.message()).code in (451, 452)
    assert suite.messages(user=ALICE, password=mox.PASSWORDS["alice"]) == []


def test_expire_is_accepted_and_reloads(start_suite):
    suite = mox.start_configured(start_suite, extra_domains="expire Trash 30d\nexpire Junk never")
    suite.deliver(mox.message(), ALICE)
    suite.control("reload")
    assert len(suite.messages(user=ALICE, password=mox.PASSWORDS["alice"])) == 1

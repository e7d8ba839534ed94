"""The certificates by which devices log in, in every kind of store."""

from __future__ import annotations

import pytest

from gmessenger.chat.records import Credential, DeviceLogin
from gmessenger.errors import AccountDeleted, PasswordRequired
from tests.store.test_contract import StoreDriver, driver, opened

__all__ = ["driver", "opened"]
FIRST, SECOND = "ab" * 32, "cd" * 32


@pytest.fixture
def phone(driver: StoreDriver) -> int:
    """Return a device of dale's that has a certificate, and is logged in, too."""
    device = driver.log_in(driver.dale, "phone").id
    assert [*driver.store.set_certificate(driver.dale, "phone", FIRST, 2.0, is_presented=True)] == []
    return device


def certificates(driver: StoreDriver, account: int | None = None) -> dict[str, str]:
    """Return the certificates of an account, or dale's, by device."""
    found = driver.store.devices(driver.dale if account is None else account)
    return {device.name: device.certificate for device in found}


def test_a_device_has_one_certificate_and_a_certificate_one_device(driver: StoreDriver, phone: int) -> None:
    store = driver.store
    assert store.find_certificate(driver.dale, FIRST) == "phone"
    assert store.find_certificate(driver.hank, FIRST) is None and store.find_certificate(driver.dale, SECOND) is None
    store.set_certificate(driver.dale, "phone", SECOND, 3.0, is_presented=True)
    assert certificates(driver) == {"phone": SECOND}
    store.set_certificate(driver.dale, "laptop", SECOND, 4.0, is_presented=True)
    assert certificates(driver) == {"phone": "", "laptop": SECOND}
    assert store.find_certificate(driver.dale, SECOND) == "laptop"


def test_a_login_by_it_is_its_devices_and_begins_where_the_others_are(driver: StoreDriver, phone: int) -> None:
    store = driver.store
    driver.create_room("#dev")
    store.join("#dev", driver.dale, 1.0)
    driver.append(*(driver.message(f"text {number}", "#dev") for number in range(5)))
    store.acknowledge(phone, "#dev", 4)
    store.flush()
    store.set_certificate(driver.dale, "laptop", SECOND, 4.0, is_presented=False)
    login = DeviceLogin("laptop", "token of laptop")
    device = store.begin_session(driver.dale, login, 5.0, Credential(certificate=SECOND))
    assert (device.name, device.cursors["#dev"]) == ("laptop", 4)
    assert store.find_token("token of laptop") == (driver.dale, "laptop")
    for account, fingerprint, after in (
        (driver.dale, "ef" * 32, 0.0),
        (driver.hank, SECOND, 0.0),
        (driver.dale, SECOND, 5.5),
    ):
        with pytest.raises(PasswordRequired):
            store.begin_session(account, login, 6.0, Credential(certificate=fingerprint, used_after=after))


def test_it_is_valid_as_long_as_its_device_is_used(driver: StoreDriver, phone: int) -> None:
    store = driver.store
    assert store.find_certificate(driver.dale, FIRST, used_after=2.0) == "phone"
    assert store.find_certificate(driver.dale, FIRST, used_after=2.5) is None
    store.note_use({phone: 9.0})
    assert store.find_certificate(driver.dale, FIRST, used_after=9.0) == "phone"
    store.drop_tokens(driver.dale, "phone")
    store.set_certificate(driver.dale, "phone", FIRST, 10.0, is_presented=True)
    assert [device.name for device in store.devices(driver.dale, used_after=10.0)] == ["phone"]
    assert [*store.devices(driver.dale, used_after=10.5)] == []


def test_an_account_is_told_by_what_it_has_presented_only(driver: StoreDriver, phone: int) -> None:
    store = driver.store
    store.set_certificate(driver.hank, "mine", FIRST, 3.0, is_presented=False)
    assert [*store.accounts_with_certificate(FIRST)] == [(driver.dale, True), (driver.hank, False)]
    assert [*store.accounts_with_certificate(FIRST, used_after=2.5)] == [(driver.hank, False)]
    store.begin_session(driver.hank, DeviceLogin("mine", "token"), 5.0, Credential(certificate=FIRST))
    store.set_certificate(driver.hank, "other", FIRST, 6.0, is_presented=False)  # which is not forgotten
    assert {*store.accounts_with_certificate(FIRST)} == {(driver.hank, True), (driver.dale, True)}


def test_it_is_removed_alone(driver: StoreDriver, phone: int) -> None:
    assert driver.store.drop_certificate(driver.hank, "phone") is False
    assert driver.store.drop_certificate(driver.dale, "phone") is True
    assert driver.store.drop_certificate(driver.dale, "phone") is False
    assert certificates(driver) == {"phone": ""}


@pytest.mark.parametrize("is_logged_in", [True, False])
def test_it_goes_when_its_device_is_dropped(driver: StoreDriver, phone: int, is_logged_in: bool) -> None:
    store = driver.store
    laptop = driver.log_in(driver.dale, "laptop").id
    if not is_logged_in:
        store.drop_tokens(driver.dale, "phone")
        store.set_certificate(driver.dale, "phone", FIRST, 3.0, is_presented=True)
    assert [*store.drop_tokens(driver.dale, "phone")] == [phone]
    assert store.find_certificate(driver.dale, FIRST) is None
    assert [*store.drop_tokens(driver.dale, "phone")] == []
    store.set_certificate(driver.dale, "phone", FIRST, 3.0, is_presented=True)
    store.set_certificate(driver.dale, "laptop", SECOND, 3.0, is_presented=True)
    assert [*store.drop_tokens(driver.dale, None, laptop)] == [phone]
    assert certificates(driver) == {"laptop": SECOND}


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_new_password_voids_those_of_the_devices_that_it_logs_out(
    driver: StoreDriver, phone: int, is_kept: bool
) -> None:
    store = driver.store
    store.set_certificate(driver.dale, "tablet", SECOND, 3.0, is_presented=False)
    store.set_certificate(driver.hank, "phone", SECOND, 3.0, is_presented=False)
    store.change_password(driver.dale, "hash", "new hash", "token of phone" if is_kept else "another")
    assert certificates(driver) == ({"phone": FIRST} if is_kept else {})
    store.set_password(driver.dale, "third hash")
    assert certificates(driver) == {}
    assert certificates(driver, driver.hank) == {"phone": SECOND}


def test_it_goes_with_the_device_and_with_the_account(driver: StoreDriver, phone: int) -> None:
    for number in range(20):  # evicts the phone, which is the longest unused
        driver.log_in(driver.dale, f"web{number}", 2.0 + number)
    assert driver.store.find_certificate(driver.dale, FIRST) is None
    driver.store.set_certificate(driver.dale, "tablet", SECOND, 90.0, is_presented=True)
    driver.store.delete_account(driver.dale)
    assert driver.store.find_certificate(driver.dale, SECOND) is None
    with pytest.raises(AccountDeleted):
        driver.store.set_certificate(driver.dale, "tablet", SECOND, 91.0, is_presented=True)


def test_a_device_that_is_made_for_one_takes_the_place_of_the_longest_unused(driver: StoreDriver) -> None:
    devices = [driver.log_in(driver.dale, f"web{number}", 2.0 + number) for number in range(20)]
    driver.store.drop_tokens(driver.dale, "web7")
    evicted = driver.store.set_certificate(driver.dale, "new", FIRST, 50.0, is_presented=False)
    assert [*evicted] == [devices[7].id]  # which was logged out
    live = [devices[0].id]
    evicted = driver.store.set_certificate(driver.dale, "next", SECOND, 51.0, is_presented=False, live_devices=live)
    assert [*evicted] == [devices[1].id]

//! Signing in on a device without a browser (RFC 8628): the device shows a short code, a person types it in a browser elsewhere and says
//! yes, and the device, which keeps asking, gets its tokens.

use super::Authenticator;
use super::browser_sessions::Living;
use super::clients::PublicClient;
use super::oauth::{OAuthError, missing_field};
use super::person::{Answer, Wanted, field, invalid_grant};
use super::ticket::{Shown, Ticket};
use crate::platform::Change;
use crate::repeats::source_of;
use crate::tables::DEVICE_CODES;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{self, READ_ROWS};
use ferrohub_store::{Pages, Put, Row};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::IpAddr;

/// Seconds for which a code can be typed (Entra's).
const CODE_SECONDS: i64 = 900;
/// Seconds between two questions of a device (Entra's).
const INTERVAL_SECONDS: i64 = 5;
/// Letters of the code that people type: consonants, so that no word comes of it (RFC 8628, 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// How many of them: 20^8 codes.
const TYPED: usize = 8;

/// A row of [`DEVICE_CODES`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeviceCode {
    /// SHA-256 of the device code's secret.
    hash: String,
    pub(super) user_code: String,
    address: String,
    pub(super) client: String,
    wanted: Wanted,
    v2: bool,
    /// Unix seconds at which it was made, and at which the device asked last.
    at: i64,
    asked: i64,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum State {
    Waiting,
    /// By the person of the session with this key.
    Approved(String),
    Declined,
}

/// A code that can be typed still.
struct Held {
    key: String,
    address: String,
    /// Of its row.
    version: u64,
}

impl DeviceCode {
    /// The client's name for people.
    pub(super) fn client_name(&self) -> &'static str {
        PublicClient::by_id(&self.client).map_or("", |client| client.name)
    }
}

impl Authenticator {
    /// Begins a sign-in of a device that asks from `address`; `base_url` is where the page for the code is.
    ///
    /// # Errors
    /// [`OAuthError`] with Entra's codes; `slow_down` where the address, or the client, has too many codes.
    pub async fn device_code(
        &self,
        tenant: &str,
        form: &[(String, String)],
        base_url: &str,
        address: Option<IpAddr>,
        v2: bool,
    ) -> Result<Value, OAuthError> {
        self.check_tenant(tenant)?;
        let named = field(form, "client_id").ok_or_else(|| missing_field("client_id"))?;
        let client = PublicClient::by_id(named).filter(|client| client.native).ok_or_else(|| {
            OAuthError::new(
                400,
                "unauthorized_client",
                700_016,
                "Application was not found among those that sign in with a code: Azure CLI, Azure PowerShell, Visual Studio and Visual Studio Code.",
            )
        })?;
        let wanted = Wanted::of(form)?;
        self.check_resource(&wanted.resource)?;
        let address = source_of(address.map(|address| address.to_canonical().to_string()).as_deref());
        let mut change = Change::new();
        if self.codes_where("address", &address).await?.len() >= limits::DEVICE_CODES.1 {
            return Err(too_many());
        }
        self.make_room_of(client.id, &mut change).await?;
        let (ticket, now) = (Ticket::new(&self.platform), self.now());
        let code = DeviceCode {
            hash: ticket.hash,
            user_code: self.typed_code(),
            address,
            client: client.id.to_owned(),
            wanted,
            v2,
            at: now,
            asked: 0,
            state: State::Waiting,
        };
        change.unit.put(put(&ticket.id, &code)?);
        let committed = self.platform.commit(change).await.map_err(Error::from)?;
        // Others, here or in another process, may have found the same last place: who was written last has none.
        let held = self.codes_where("address", &code.address).await?;
        let before =
            held.iter().filter(|held| committed.versions.first().is_some_and(|own| held.version < *own)).count();
        if before >= limits::DEVICE_CODES.1 {
            let mut change = Change::new();
            change.unit.delete(&DEVICE_CODES, ticket.id);
            self.platform.commit(change).await.map_err(Error::from)?;
            return Err(too_many());
        }
        let page = format!("{base_url}/devicelogin");
        Ok(json!({
            "user_code": code.user_code,
            "device_code": ticket.text.as_str(),
            "verification_uri": page,
            "verification_url": page,
            "expires_in": CODE_SECONDS,
            "interval": INTERVAL_SECONDS,
            "message": format!("To sign in, use a web browser to open the page {page} and enter the code {} to authenticate.", code.user_code)
        }))
    }

    /// The codes whose `column` is `value` and that can be typed still, the oldest first.
    async fn codes_where(&self, column: &'static str, value: &str) -> Result<Vec<Held>> {
        let (mut found, now) = (Vec::new(), self.now());
        let mut pages = Pages::find(self.platform.store.as_ref(), &DEVICE_CODES, column, value, READ_ROWS);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                let code = row.parse::<DeviceCode>()?;
                if now < code.at + CODE_SECONDS {
                    found.push(Held { key: row.key.clone(), address: code.address.clone(), version: row.version });
                }
            }
        }
        Ok(found)
    }

    /// Where a client has as many codes as it may, lets the oldest one go of the address that has most: whoever asks for many must not
    /// keep all others out. Where several came at once it has more, and so many more go.
    async fn make_room_of(&self, client: &str, change: &mut Change) -> Result<()> {
        let held = self.platform.store.count(&DEVICE_CODES, "client", client).await?;
        if usize::try_from(held).is_ok_and(|held| held < limits::DEVICE_CODES.0) {
            return Ok(());
        }
        let codes = self.codes_where("client", client).await?;
        let mut of_address: HashMap<&str, usize> = HashMap::new();
        for held in &codes {
            *of_address.entry(&held.address).or_default() += 1;
        }
        let fullest = of_address.values().max().copied().unwrap_or_default();
        let surplus = (codes.len() + 1).saturating_sub(limits::DEVICE_CODES.0);
        let oldest = codes.iter().filter(|held| of_address.get(held.address.as_str()) == Some(&fullest));
        for held in oldest.take(surplus) {
            change.unit.delete(&DEVICE_CODES, held.key.clone());
        }
        Ok(())
    }

    /// The answer to a device that asks whether somebody said yes.
    pub(super) async fn token_by_device_code(
        &self,
        form: &[(String, String)],
        basic: Option<(String, String)>,
    ) -> Result<Value, OAuthError> {
        let client = self.client_of_person(form, basic).await?;
        let text = field(form, "device_code").or_else(|| field(form, "code"));
        let shown = Shown::of(text.ok_or_else(|| missing_field("device_code"))?).ok_or_else(expired)?;
        let contended = || Error::conflict("The device code is used by many at the same time.");
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(contended).await?;
            let row = self.platform.store.get(&DEVICE_CODES, &shown.id).await.map_err(Error::from)?;
            let row = row.ok_or_else(expired)?;
            let code = DeviceCode::clone(&*row.parse::<DeviceCode>().map_err(Error::from)?);
            let now = self.now();
            if !shown.fits(&code.hash) || now >= code.at + CODE_SECONDS {
                return Err(expired());
            }
            if !code.client.eq_ignore_ascii_case(&client) {
                return Err(invalid_grant(70_000, "The device code was issued to another client."));
            }
            let mut change = Change::new();
            change.unit.expect_version(&DEVICE_CODES, shown.id.clone(), row.version);
            match &code.state {
                State::Waiting if now < code.asked + INTERVAL_SECONDS - 1 => {
                    return Err(OAuthError::new(400, "slow_down", 70_016, "Ask less often: every five seconds."));
                }
                State::Waiting => {
                    change.unit.put(put(&shown.id, &DeviceCode { asked: now, ..code.clone() })?);
                    // Who lost, against another question or a person's answer, looks again: of two questions at once one is too many.
                    if !self.platform.try_commit(change).await? {
                        continue;
                    }
                    return Err(OAuthError::new(
                        400,
                        "authorization_pending",
                        70_016,
                        "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
                    ));
                }
                State::Declined | State::Approved(_) => change.unit.delete(&DEVICE_CODES, shown.id.clone()),
            };
            if !self.platform.try_commit(change).await? {
                continue;
            }
            let State::Approved(session) = &code.state else {
                return Err(OAuthError::new(
                    400,
                    "authorization_declined",
                    70_015,
                    "The person said no to the sign-in.",
                ));
            };
            let session = self.living_session(session).await?.ok_or_else(|| {
                invalid_grant(50_173, "The session in which the code was typed has ended. Sign in again.")
            })?;
            return self.tokens_of_a_device(&code, &session).await;
        }
    }

    async fn tokens_of_a_device(&self, code: &DeviceCode, session: &Living) -> Result<Value, OAuthError> {
        let refresh = match code.wanted.refresh {
            true => Some(self.begin_chain(&session.person, &code.client, Some(session), None).await?),
            false => None,
        };
        let answer = Answer { client: &code.client, wanted: &code.wanted, nonce: None, refresh };
        self.answer(&session.person, answer, code.v2).await
    }

    /// The sign-in that waits under a code that a person typed, in any case and with blanks or dashes.
    pub(super) async fn waiting_device(&self, typed: &str) -> Result<Option<DeviceCode>> {
        let typed: String = typed.chars().filter(char::is_ascii_alphanumeric).take(TYPED + 1).collect();
        let store = self.platform.store.as_ref();
        let row = store.find_one(&DEVICE_CODES, "user_code", &typed.to_ascii_uppercase()).await?;
        let Some(row) = row else { return Ok(None) };
        let code = row.parse::<DeviceCode>()?;
        let waits = code.state == State::Waiting && self.now() < code.at + CODE_SECONDS;
        Ok(waits.then(|| DeviceCode::clone(&code)))
    }

    /// What a person said to a device that waits; `false` where it does not wait any more.
    pub(super) async fn answer_device(&self, typed: &str, session: &Living, yes: bool) -> Result<bool> {
        let contended = || Error::conflict("The code is used by many at the same time; try again.");
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(contended).await?;
            let row = self.platform.store.find_one(&DEVICE_CODES, "user_code", typed).await?;
            let Some(row) = row else { return Ok(false) };
            let code = DeviceCode::clone(&*row.parse::<DeviceCode>()?);
            if code.state != State::Waiting || self.now() >= code.at + CODE_SECONDS {
                return Ok(false);
            }
            let state = if yes { State::Approved(session.id.clone()) } else { State::Declined };
            let mut change = Change::new();
            change.unit.expect_version(&DEVICE_CODES, row.key.clone(), row.version);
            change.unit.put(put(&row.key, &DeviceCode { state, ..code })?);
            if self.platform.try_commit(change).await? {
                return Ok(true);
            }
        }
    }

    fn typed_code(&self) -> String {
        let mut bytes = [0; 64];
        self.platform.random.fill(&mut bytes);
        // Bytes above the last whole multiple of 20 would make some letters likelier.
        let fair = bytes.iter().filter(|byte| **byte < 240).map(|byte| char::from(LETTERS[usize::from(*byte) % 20]));
        fair.take(TYPED).collect()
    }
}

fn too_many() -> OAuthError {
    OAuthError::new(
        400,
        "slow_down",
        90_055,
        "Too many codes wait to be typed already. Use one of them, or try again in a quarter of an hour.",
    )
}

fn expired() -> OAuthError {
    OAuthError::new(400, "expired_token", 70_020, "The device code has expired or is none. Begin the sign-in again.")
}

/// Unix seconds at which the code of a row was made, where it is gone by `now`.
pub(crate) fn ended(row: &Row, now: i64) -> Option<i64> {
    let at = row.parse::<DeviceCode>().ok()?.at;
    (now >= at + CODE_SECONDS).then_some(at)
}

fn put(id: &str, code: &DeviceCode) -> Result<Put> {
    let columns = vec![Some(code.user_code.clone()), Some(code.address.clone()), Some(code.client.clone())];
    Ok(Put::new(&DEVICE_CODES, id.to_owned(), columns, code)?)
}

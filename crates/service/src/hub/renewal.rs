//! Renewing a device's certificate through its hub: what is accepted, and what the device is told of it
//! (reference: certificates.md section 3). `hub::issuing` carries it out.
//!
//! An operation is a row before it is accepted, and its outcome is one before the device hears of it, so neither is lost
//! with a connection or a process. The row keeps the outcome until the device has it, and for a while longer for one that
//! asks again under the same request id.

use super::contended;
use super::device_connection::DeviceConnection;
use super::issuing::{self, Slot};
use crate::allowance;
use crate::certificate;
use crate::platform::{self, Change, Platform};
use crate::sha256;
use crate::tables::{DEVICES, RENEWALS};
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{REGISTRATION_PERIOD, RENEWAL_LIFETIME};
use ferrohub_model::renewal::{
    CODE_NOTHING_TO_REPLACE, CODE_PENDING, Renewal, RenewalFailure, RenewalRequest, RenewalState, Renewals, Replace,
};
use ferrohub_model::time::nanoseconds;
use ferrohub_model::uid::uid_key;
use ferrohub_store::{Put, Row};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// An operation that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalAccepted {
    /// Our name for it.
    pub correlation_id: Uuid,
    /// Until when its outcome is kept.
    pub expires: Timestamp,
}

/// A request that was refused.
#[derive(Debug, Clone)]
pub struct RenewalRefused {
    /// Why.
    pub error: Error,
    /// What the device is told beside it.
    pub info: Option<Value>,
}

impl From<Error> for Box<RenewalRefused> {
    fn from(error: Error) -> Self {
        Self::new(RenewalRefused { error, info: None })
    }
}

/// An operation that has ended and of which the device does not know yet.
#[derive(Debug, Clone, PartialEq)]
pub struct RenewalEnded {
    /// The device's name for it.
    pub request_id: String,
    /// Ours.
    pub correlation_id: Uuid,
    /// The chain, base64 DER, leaf first; or why there is none.
    pub outcome: std::result::Result<Vec<String>, RenewalFailure>,
}

/// The operations of a device with the version of their row; no version: there is no row yet.
pub(super) struct StoredRenewals {
    pub(super) renewals: Renewals,
    version: Option<u64>,
}

impl StoredRenewals {
    pub(super) async fn load(platform: &Platform, device: Uuid) -> Result<Self> {
        Self::of(platform.store.get(&RENEWALS, &uid_key(device)).await?.as_deref())
    }

    fn of(row: Option<&Row>) -> Result<Self> {
        Ok(match row {
            Some(row) => Self { renewals: row.parse::<Renewals>()?.as_ref().clone(), version: Some(row.version) },
            None => Self { renewals: Renewals::default(), version: None },
        })
    }

    /// Adds the changed operations to `change`, whose unit does not hold when the row changed meanwhile, or the device is gone.
    pub(super) fn add(&self, device: Uuid, change: &mut Change) -> Result<()> {
        let key = uid_key(device);
        match self.version {
            // The row goes with its device.
            Some(version) => change.unit.expect_version(&RENEWALS, key.clone(), version),
            None => change.unit.expect_absent(&RENEWALS, key.clone()).expect_exists(&DEVICES, key.clone()),
        };
        let pending = self.renewals.operations.iter().any(Renewal::is_pending);
        let columns = vec![pending.then(|| issuing::PENDING.to_owned())];
        change.unit.put(Put::new(&RENEWALS, key, columns, &Document::of(&self.renewals))?);
        Ok(())
    }
}

/// The row's document: beside the operations, when the last one runs out, for the sweep.
#[derive(serde::Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    renewals: &'a Renewals,
    expires: Option<Timestamp>,
}

impl<'a> Document<'a> {
    fn of(renewals: &'a Renewals) -> Self {
        Self { expires: renewals.expires(), renewals }
    }
}

/// What becomes of a request, as the device's operations stand.
enum Verdict {
    /// It is a pending operation, asked for again.
    Known(RenewalAccepted),
    /// It is one that has ended well, asked for again.
    Again(Uuid, RenewalAccepted),
    /// It is a new one.
    New,
}

impl DeviceConnection {
    /// Accepts a request for a certificate of the device's policy; it is on disk when this returns `Ok`. What comes of it the
    /// session tells later. Asked again under the same request id, with the same certificate request, it is the same operation.
    ///
    /// # Errors
    /// 400004 for a payload against the rules; 409004 while another operation is pending, 412001 where none is pending that could
    /// give way, both with its names beside; 412005 where device, policy or hub are not set up for certificates; 403000 where the
    /// hub's identity may not have certificates issued; 429001 where the device asked too often of late, 429002 with too many waiting; when the
    /// store cannot be written.
    pub async fn renew(
        &self,
        request_id: &str,
        body: &Value,
    ) -> std::result::Result<RenewalAccepted, Box<RenewalRefused>> {
        self.check_open()?;
        self.present.heard();
        let request = RenewalRequest::parse(request_id, self.device_id(), body)?;
        let _turn = self.platform.twin_turn(self.device_id()).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(&format!("The renewals of '{}'", self.device_id()))).await?;
            self.check_own()?;
            let identity = issuing::check_set_up(&self.platform, self.hub, self.uid, self.credential_id).await?;
            let mut stored = StoredRenewals::load(&self.platform, self.uid).await?;
            let now = self.platform.now();
            let (accepted, slot) = match verdict(&stored.renewals, &request, now)? {
                Verdict::Known(accepted) => return Ok(accepted),
                Verdict::Again(id, accepted) => {
                    stored
                        .renewals
                        .operations
                        .iter_mut()
                        .filter(|one| one.correlation_id == id)
                        .for_each(|one| one.set_delivered(false));
                    (accepted, None)
                }
                Verdict::New => {
                    self.allow_renewal()?;
                    let slot = self.platform.renewals.slot(self.hub)?;
                    (self.begin(&mut stored.renewals, &request, now)?, Some(slot))
                }
            };
            let mut change = Change::new();
            stored.add(self.uid, &mut change)?;
            change.unit.expect_version(&DEVICES, uid_key(self.uid), identity);
            if slot.is_none() {
                platform::tell_of_renewal(self.hub, self.device_id(), &mut change);
            }
            if self.platform.try_commit(change).await? {
                if let Some(slot) = slot {
                    self.start(accepted.correlation_id, slot);
                }
                return Ok(accepted);
            }
        }
    }

    /// A device may not have certificates issued in a loop.
    fn allow_renewal(&self) -> Result<()> {
        let now = self.platform.clock.monotonic();
        self.platform.registrations.try_take(self.uid, REGISTRATION_PERIOD, now).map_err(|wait| {
            allowance::too_much(&format!("The device '{}' asks for certificates too often", self.device_id()), wait)
        })
    }

    fn begin(&self, renewals: &mut Renewals, request: &RenewalRequest, now: Timestamp) -> Result<RenewalAccepted> {
        let expires = now.checked_add(RENEWAL_LIFETIME).map_err(|e| Error::internal(format!("time: {e}")))?;
        let correlation_id = self.platform.random.uuid_v4();
        renewals.add(Renewal {
            request_id: request.request_id.clone(),
            correlation_id,
            csr_hash: sha256::hex(request.csr.as_bytes()),
            accepted: now,
            expires,
            state: RenewalState::Pending { csr: request.csr.clone() },
        });
        Ok(RenewalAccepted { correlation_id, expires })
    }

    fn start(&self, operation: Uuid, slot: Slot) {
        tokio::spawn(issuing::carry_out_in_turn(Arc::downgrade(&self.platform), self.uid, operation, slot));
    }

    /// The operations that have ended and of which the device does not know yet.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn ended_renewals(&self) -> Result<Vec<RenewalEnded>> {
        // The connection before this one may just be noting what arrived.
        let _turn = self.platform.twin_turn(self.device_id()).await;
        self.read_ended().await
    }

    /// The same for the session, which is not polled while its front door handles a packet, and so must not hold or wait for a turn.
    pub(super) async fn read_ended(&self) -> Result<Vec<RenewalEnded>> {
        let (stored, now) = (StoredRenewals::load(&self.platform, self.uid).await?, self.platform.now());
        let mut ended = Vec::new();
        for operation in stored.renewals.operations.iter().filter(|operation| operation.waits(now)) {
            let outcome = match &operation.state {
                RenewalState::Pending { .. } => continue,
                RenewalState::Failed { failure, .. } => Err(failure.clone()),
                RenewalState::Issued { leaf, authorities, .. } => {
                    let above = certificate::certificates_of(&self.platform, authorities).await?;
                    Ok(std::iter::once(leaf.clone()).chain(above).collect())
                }
            };
            let (request_id, correlation_id) = (operation.request_id.clone(), operation.correlation_id);
            ended.push(RenewalEnded { request_id, correlation_id, outcome });
        }
        Ok(ended)
    }

    /// Notes that the device has the outcomes of these operations.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn renewals_delivered(&self, operations: &[Uuid]) -> Result<()> {
        let _turn = self.platform.twin_turn(self.device_id()).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| contended(&format!("The renewals of '{}'", self.device_id()))).await?;
            let mut stored = StoredRenewals::load(&self.platform, self.uid).await?;
            let was = stored.renewals.clone();
            stored
                .renewals
                .operations
                .iter_mut()
                .filter(|one| operations.contains(&one.correlation_id))
                .for_each(|one| one.set_delivered(true));
            if stored.renewals == was {
                return Ok(());
            }
            let mut change = Change::new();
            stored.add(self.uid, &mut change)?;
            if self.platform.try_commit(change).await? {
                return Ok(());
            }
        }
    }
}

/// What becomes of `request` at `now`.
fn verdict(
    renewals: &Renewals,
    request: &RenewalRequest,
    now: Timestamp,
) -> std::result::Result<Verdict, Box<RenewalRefused>> {
    let hash = sha256::hex(request.csr.as_bytes());
    let same = renewals.operations.iter().find(|one| one.request_id == request.request_id && one.csr_hash == hash);
    if let Some(same) = same.filter(|same| now < same.expires) {
        let accepted = RenewalAccepted { correlation_id: same.correlation_id, expires: same.expires };
        match same.state {
            RenewalState::Pending { .. } => return Ok(Verdict::Known(accepted)),
            RenewalState::Issued { .. } => return Ok(Verdict::Again(same.correlation_id, accepted)),
            // What failed may go well by now.
            RenewalState::Failed { .. } => {}
        }
    }
    match (renewals.pending(now), &request.replace) {
        (Some(pending), None) => Err(Box::new(RenewalRefused {
            error: Error::conflict(format!(
                "The certificate request '{}' of this device is pending; wait for its answer, or name it in 'replace'.",
                pending.request_id
            ))
            .with_iot_code(CODE_PENDING),
            info: Some(json!({
                "requestId": pending.request_id,
                "correlationId": pending.correlation_id,
                "operationExpires": nanoseconds(pending.expires)
            })),
        })),
        (pending, Some(Replace::Only(id))) if pending.is_none_or(|pending| pending.request_id != *id) => {
            Err(Box::new(RenewalRefused {
                error: Error::precondition(format!(
                    "There is no pending certificate request '{id}' of this device that could be replaced."
                ))
                .with_iot_code(CODE_NOTHING_TO_REPLACE),
                info: Some(json!({ "requestId": id })),
            }))
        }
        _ => Ok(Verdict::New),
    }
}

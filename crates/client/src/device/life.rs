//! A device's life: register, connect, send, hear, get another certificate before the one it has ends, and go on after whatever
//! breaks.

use super::csr::DeviceKey;
use super::dial::ClientCertificate;
use super::hub::{Desired, HubDevice, Proof, Twin};
use super::network::Network;
use super::registration::{Registration, RegistrationRequest, register};
use ferrohub_model::clock::Moment;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_pki::certificate::Certificate;
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

/// First pause after a connection has ended: ours. It doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest such pause: ours.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Least time between two certificates, and between two tries to get one: ours.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);
/// Longest wait before the clock is looked at again: ours.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How a device proves who it is at DPS.
pub enum Onboarding {
    /// By its key, base64.
    Key(String),
    /// By a certificate.
    Certificate {
        /// DER certificates, leaf first.
        chain: Vec<Vec<u8>>,
        /// Key of the leaf.
        key: DeviceKey,
    },
}

/// What a device is and what it is to do.
pub struct Life {
    /// Where the services are.
    pub network: Network,
    /// Host name of DPS.
    pub dps_host: String,
    /// Id scope of the provisioning service.
    pub id_scope: String,
    /// Registration id.
    pub registration_id: String,
    /// How it proves who it is at DPS; at the hub too, where it gets no certificate.
    pub onboarding: Onboarding,
    /// Whether it asks for a certificate.
    pub wants_certificate: bool,
    /// Messages to send; `None`: without end.
    pub messages: Option<u32>,
    /// Time between two messages.
    pub interval: Duration,
    /// Part of a certificate's validity after which the device asks for another one, percent.
    pub renew_at_percent: u8,
}

/// What happens to it.
pub enum Event<'e> {
    /// DPS assigned it.
    Assigned(&'e Registration, Duration),
    /// It got this certificate, and asks for another one then.
    Certified(&'e Certificate, Timestamp),
    /// It is connected to its hub.
    Connected(Duration),
    /// Its twin, after it has connected.
    Twin(&'e Twin),
    /// So many messages were acknowledged.
    Acknowledged(u32, Duration),
    /// The back end changed its desired properties.
    Desired(&'e Desired),
    /// It asks the hub for another certificate.
    Renews,
    /// The hub gave none; it asks DPS.
    RenewalRefused(&'e Error),
    /// Neither did DPS; it asks again later.
    NotRenewed(&'e Error),
    /// The connection, or an attempt of one, ended; it goes on after so much time.
    Broken(&'e Error, Duration),
}

/// Is told what happens; an error ends the life.
pub type Tell<'t> = &'t mut (dyn FnMut(Event<'_>) -> Result<()> + Send);

/// The device at its hub.
struct Identity {
    hub: String,
    device_id: String,
    own: Option<Own>,
}

/// A certificate that was issued to it.
struct Own {
    chain: Vec<Vec<u8>>,
    key: DeviceKey,
    leaf: Certificate,
}

/// Why a connection is left.
enum Left {
    /// With a new certificate.
    Renewed(Box<Identity>),
    Broken(Error),
}

/// What it has done, whatever connections it took.
#[derive(Default)]
struct Done {
    /// Messages.
    sent: u32,
    /// When it last asked for another certificate.
    asked: Option<Moment>,
}

impl Life {
    /// Registers, connects, sends its messages and leaves.
    ///
    /// # Errors
    /// What went wrong on the way.
    pub async fn once(&self, tell: Tell<'_>) -> Result<()> {
        let clock = self.network.clock().clone();
        let identity = self.register(tell).await?;
        let device = self.connect(&identity, tell).await?;
        let begun = clock.monotonic();
        let messages = self.messages.unwrap_or_default();
        for number in 1..=messages {
            send(&device, number).await?;
            if number < messages && !self.interval.is_zero() {
                clock.sleep(self.interval).await;
            }
        }
        tell(Event::Acknowledged(messages, clock.monotonic().since(begun)))?;
        device.close().await;
        Ok(())
    }

    /// Registers, connects and lives on until `stop`; whatever breaks after the first connection is made good.
    ///
    /// # Errors
    /// What went wrong before the first connection; what `tell` said.
    pub async fn until(&self, stop: impl Future<Output = ()> + Send, tell: Tell<'_>) -> Result<()> {
        let mut device = None;
        let ended = tokio::select! {
            ended = self.live(&mut device, tell) => ended,
            () = stop => Ok(()),
        };
        if let Some(device) = device {
            device.close().await;
        }
        ended
    }

    /// Lives without end; `at_hub` is the connection that there is.
    async fn live(&self, at_hub: &mut Option<HubDevice>, tell: Tell<'_>) -> Result<()> {
        let mut identity = self.register(tell).await?;
        let device = at_hub.insert(self.connect(&identity, tell).await?);
        tell(Event::Twin(&device.twin().await?))?;
        let mut done = Done::default();
        loop {
            let mut failure = None;
            if let Some(device) = at_hub {
                match self.serve(device, &identity, &mut done, tell).await? {
                    Left::Renewed(newer) => identity = *newer,
                    Left::Broken(error) => failure = Some(error),
                }
            }
            if let Some(device) = at_hub.take() {
                device.close().await;
            }
            let mut pause = FIRST_PAUSE;
            while at_hub.is_none() {
                if let Some(error) = failure.take() {
                    tell(Event::Broken(&error, pause))?;
                    self.network.clock().sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                match self.again(&mut identity, tell).await {
                    Ok(device) => *at_hub = Some(device),
                    Err(error) => failure = Some(error),
                }
            }
        }
    }

    /// Connects with what the device has; registers anew where that has ended or is not accepted.
    async fn again(&self, identity: &mut Identity, tell: Tell<'_>) -> Result<HubDevice> {
        let now = self.network.clock().now();
        if identity.own.as_ref().is_none_or(|own| own.leaf.not_after() > now) {
            match self.connect(identity, tell).await {
                Err(error) if error.kind == ErrorKind::Unauthenticated => {}
                other => return other,
            }
        }
        *identity = self.register(tell).await?;
        self.connect(identity, tell).await
    }

    async fn register(&self, tell: Tell<'_>) -> Result<Identity> {
        let clock = self.network.clock();
        let key = DeviceKey::generate()?;
        let csr = self.wants_certificate.then(|| key.certificate_request(&self.registration_id)).transpose()?;
        let (device_key, certificate) = match &self.onboarding {
            Onboarding::Key(key) => (Some(key.clone()), None),
            Onboarding::Certificate { chain, key } => (None, Some(ClientCertificate { chain, key })),
        };
        let request = RegistrationRequest {
            id_scope: self.id_scope.clone(),
            registration_id: self.registration_id.clone(),
            device_key,
            csr,
            payload: None,
        };
        let begun = clock.monotonic();
        let registration = register(&self.network.dial(&self.dps_host, certificate).await?, &request).await?;
        tell(Event::Assigned(&registration, clock.monotonic().since(begun)))?;
        let Registration { assigned_hub: hub, device_id, chain, .. } = registration;
        let own = if self.wants_certificate { Some(self.own(chain, key, tell)?) } else { None };
        Ok(Identity { hub, device_id, own })
    }

    /// An issued certificate with its key.
    fn own(&self, chain: Vec<Vec<u8>>, key: DeviceKey, tell: Tell<'_>) -> Result<Own> {
        let Some(leaf) = chain.first() else {
            return Err(Error::invalid("DPS issued no certificate: its enrollment names no credential policy."));
        };
        let leaf = Certificate::from_der(leaf)?;
        tell(Event::Certified(&leaf, self.renewal_of(&leaf)))?;
        Ok(Own { chain, key, leaf })
    }

    /// When the device asks for another certificate.
    fn renewal_of(&self, leaf: &Certificate) -> Timestamp {
        let (begin, end) = (leaf.not_before().as_second(), leaf.not_after().as_second());
        let due = begin + (end - begin) * i64::from(self.renew_at_percent.min(100)) / 100;
        // Between two that are there already.
        Timestamp::from_second(due).unwrap_or(leaf.not_after())
    }

    async fn connect(&self, identity: &Identity, tell: Tell<'_>) -> Result<HubDevice> {
        let clock = self.network.clock();
        let (certificate, proof) = match (&identity.own, &self.onboarding) {
            (Some(own), _) => (Some(ClientCertificate { chain: &own.chain, key: &own.key }), Proof::Certificate),
            (None, Onboarding::Key(key)) => (None, Proof::Key(key.as_str())),
            (None, Onboarding::Certificate { chain, key }) => {
                (Some(ClientCertificate { chain, key }), Proof::Certificate)
            }
        };
        let begun = clock.monotonic();
        let dial = self.network.dial(&identity.hub, certificate).await?;
        let device = HubDevice::connect(&dial, &identity.hub, &identity.device_id, proof).await?;
        tell(Event::Connected(clock.monotonic().since(begun)))?;
        Ok(device)
    }

    /// Sends and hears until something else is to be done.
    async fn serve(
        &self,
        device: &mut HubDevice,
        identity: &Identity,
        done: &mut Done,
        tell: Tell<'_>,
    ) -> Result<Left> {
        let clock = self.network.clock().clone();
        let mut next_message = clock.monotonic();
        loop {
            let now = clock.monotonic();
            let mut wait = LONGEST_WAIT;
            if let Some(own) = &identity.own {
                let rest = done.asked.map_or(Duration::ZERO, |last| (last + RENEWAL_PAUSE).since(now));
                let due = self.renewal_of(&own.leaf).as_second() - clock.unix_seconds();
                let due = Duration::from_secs(u64::try_from(due).unwrap_or(0)).max(rest);
                if due.is_zero() {
                    done.asked = Some(now);
                    match self.renew(device, identity, tell).await? {
                        Some(left) => return Ok(left),
                        None => continue,
                    }
                }
                wait = wait.min(due);
            }
            if self.messages.is_none_or(|most| done.sent < most) {
                if next_message <= now {
                    let begun = clock.monotonic();
                    if let Err(error) = send(device, done.sent + 1).await {
                        return Ok(Left::Broken(error));
                    }
                    done.sent += 1;
                    next_message = now + self.interval;
                    tell(Event::Acknowledged(1, clock.monotonic().since(begun)))?;
                }
                wait = wait.min(next_message.since(clock.monotonic()));
            }
            match device.wait(wait).await {
                Ok(Some(change)) => tell(Event::Desired(&change))?,
                Ok(None) => {}
                Err(error) => return Ok(Left::Broken(error)),
            }
        }
    }

    /// Another certificate: from the hub, else from DPS. `None`: from neither, and the connection goes on.
    async fn renew(&self, device: &mut HubDevice, identity: &Identity, tell: Tell<'_>) -> Result<Option<Left>> {
        tell(Event::Renews)?;
        let key = DeviceKey::generate()?;
        let issued = device.renew(&key.certificate_request(&identity.device_id)?).await;
        let refused = match issued.and_then(|chain| self.own(chain, key, tell)) {
            Ok(own) => {
                let (hub, device_id) = (identity.hub.clone(), identity.device_id.clone());
                return Ok(Some(Left::Renewed(Box::new(Identity { hub, device_id, own: Some(own) }))));
            }
            Err(error) => error,
        };
        tell(Event::RenewalRefused(&refused))?;
        match self.register(tell).await {
            Ok(newer) => Ok(Some(Left::Renewed(Box::new(newer)))),
            Err(error) => tell(Event::NotRenewed(&error)).map(|()| None),
        }
    }
}

/// Sends the message with this number.
async fn send(device: &HubDevice, number: u32) -> Result<()> {
    let body = json!({ "number": number }).to_string();
    device.send(body, &[("$.ct", "application/json"), ("$.ce", "utf-8")]).await
}

#[cfg(test)]
mod tests {
    use super::super::network::Place;
    use super::*;
    use ferrohub_clock::SystemClock;
    use ferrohub_pki::algorithm::KeyKind;
    use ferrohub_pki::authority::create_self_signed;
    use ferrohub_pki::name::SubjectName;
    use ferrohub_pki::profile::Profile;
    use ferrohub_pki::random::SystemRandom;
    use ferrohub_pki::signer::SoftwareSigner;
    use std::sync::Arc;

    fn life(renew_at_percent: u8) -> Life {
        let place = Place::At(([127, 0, 0, 1], 1).into());
        Life {
            network: Network::new(place, Vec::new(), SystemClock::shared()),
            dps_host: "dps.example".into(),
            id_scope: "0ne00000000".into(),
            registration_id: "d1".into(),
            onboarding: Onboarding::Key("a2V5".into()),
            wants_certificate: true,
            messages: None,
            interval: Duration::from_secs(1),
            renew_at_percent,
        }
    }

    #[tokio::test]
    async fn a_certificate_is_renewed_at_its_part_of_the_validity() {
        // Who signs it does not count here, only from when to when it is good.
        let now = "2026-11-20T10:00:00Z".parse().unwrap();
        let profile = Profile::constrained_root(SubjectName::parse("CN=d1").unwrap(), 30, vec!["d1".into()]).unwrap();
        let key = Arc::new(SoftwareSigner::generate(KeyKind::P256).unwrap());
        let issued = create_self_signed(&profile, key, &SystemRandom, now).await.unwrap();
        let leaf = issued.certificate();
        let (begin, end) = ("2026-11-20T09:55:00Z", "2026-12-20T10:00:00Z");
        assert_eq!((leaf.not_before(), leaf.not_after()), (begin.parse().unwrap(), end.parse().unwrap()));
        for (percent, due) in
            [(80, "2026-12-14T09:59:00Z"), (50, "2026-12-05T09:57:30Z"), (0, begin), (100, end), (255, end)]
        {
            assert_eq!(life(percent).renewal_of(leaf), due.parse::<Timestamp>().unwrap(), "{percent} percent");
        }
    }
}

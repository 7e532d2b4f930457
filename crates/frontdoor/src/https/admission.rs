//! Who sends a request, proven by its head alone: a body is read for those only who may send one, except where the credentials
//! stand in it.

use super::request::Call;
use super::route::Route;
use super::{Https, arm, dps, dps_service, graph, hub, nothing_here, registry};
use crate::guesses::{Kind, Target};
use ferrohub_model::error::Result;
use ferrohub_service::authz::Actor;
use ferrohub_service::hub::HubRef;
use ferrohub_service::provisioning::DpsRef;
use ferrohub_wire::sas_token::SasToken;

/// A request that goes on, with what its service proved.
pub(super) enum Admitted {
    /// Resource Manager; `None` where anybody may ask.
    Arm(Option<Actor>),
    /// The token service, which finds the credentials in the body.
    Login,
    /// The portal's files, for everybody.
    Portal,
    /// Graph.
    Graph(Actor),
    /// A hub.
    Hub(HubRef, Actor),
    /// A provisioning service, for its operators.
    DpsService(DpsRef, Actor),
    /// A provisioning service, for a device.
    DpsDevice(dps::Asked),
}

impl Admitted {
    /// Whether the head said who it is.
    pub(super) fn is_proven(&self) -> bool {
        match self {
            Self::Arm(actor) => actor.is_some(),
            Self::Login | Self::Portal => false,
            Self::Graph(_) | Self::Hub(..) | Self::DpsService(..) => true,
            Self::DpsDevice(asked) => asked.is_proven(),
        }
    }
}

impl Https {
    /// Asks the service of the route who this is.
    ///
    /// # Errors
    /// The service's refusal; `Throttled` after many wrong credentials.
    pub(super) async fn admit(&self, route: Route, call: &Call) -> Result<Admitted> {
        let service = &self.service;
        match route {
            Route::Arm => arm::admit(service, call).await.map(Admitted::Arm),
            Route::Login => Ok(Admitted::Login),
            Route::Portal => Ok(Admitted::Portal),
            Route::Graph => graph::admit(service, call).await.map(Admitted::Graph),
            Route::Hub => {
                let admission = async { hub::admit(service, call).await.map(|(hub, actor)| Admitted::Hub(hub, actor)) };
                self.guessed(self.policy(call), admission).await
            }
            Route::DpsService => {
                let admission = async {
                    dps_service::admit(service, call).await.map(|(dps, actor)| Admitted::DpsService(dps, actor))
                };
                self.guessed(self.policy(call), admission).await
            }
            Route::DpsDevice => {
                let asked = dps::asked(call)?;
                if asked.may_be_challenged(service, call).await? {
                    return Ok(Admitted::DpsDevice(asked));
                }
                let target = self.guesses.target(Kind::DeviceKey, &asked.name(), call.client.origin());
                self.guessed(Some(target), async { asked.prove(service).await.map(Admitted::DpsDevice) }).await
            }
            Route::Registry => Err(registry::refuse(service, call).await),
            Route::WebSocket | Route::Unknown => Err(nothing_here(call)),
        }
    }

    /// The policy whose key a SAS token claims to be signed with.
    fn policy(&self, call: &Call) -> Option<Target> {
        let token = call.authorization().and_then(|text| SasToken::parse(text).ok())?;
        let name = format!("{}/{}", call.host(), token.policy.unwrap_or_default());
        Some(self.guesses.target(Kind::PolicyKey, &name, call.client.origin()))
    }

    /// Has credentials looked at, and notes how it went; after too many wrong ones for the same name, another one is told to wait.
    async fn guessed(
        &self,
        target: Option<Target>,
        admission: impl Future<Output = Result<Admitted>>,
    ) -> Result<Admitted> {
        let Some(target) = target else { return admission.await };
        self.guesses.judge(&target, admission.await)
    }
}

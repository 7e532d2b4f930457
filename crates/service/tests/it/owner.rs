//! The owner of an installation, who makes over ARM what a test needs: fixtures write no rows that ARM would write.

use crate::installation::{Installation, Turns};
use ferrohub_model::error::Result;
use ferrohub_model::random::Random;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_pki::random::SystemRandom;
use ferrohub_service::arm::types::Types;
use ferrohub_service::arm::{ArmRequest, ArmResponse, Engine};
use ferrohub_service::authn::Audience;
use ferrohub_service::authz::Actor;
use ferrohub_service::platform::{Engines, Platform, Settings};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

pub(super) const GROUP_API: &str = "2024-11-01";
pub(super) const IDENTITY_API: &str = "2025-05-31-preview";
pub(super) const ROLE_API: &str = "2022-04-01";
pub(super) const REGISTRY_API: &str = "2026-03-01-preview";
pub(super) const HUB_API: &str = "2025-08-01-preview";
pub(super) const DPS_API: &str = "2025-02-01-preview";

const BASE_URL: &str = "https://localhost:8443";

pub(super) struct Owner {
    engines: Vec<Engine>,
    turns: Turns,
    pub(super) actor: Actor,
    pub(super) subscription: String,
}

impl Owner {
    /// Makes an installation in empty engines, or opens the one that is there with a new secret for its owner.
    pub(super) async fn install(engines: Engines, settings: Settings) -> (Installation, Self) {
        let (installation, credential) = Installation::start(engines, settings, Types::built_in()).await;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &credential.client_id),
            ("client_secret", &credential.client_secret),
            ("scope", "https://management.azure.com/.default"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let token = installation.service().authn.token(&credential.tenant_id, &form, None, None, true).await.unwrap();
        let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let actor = installation.service().authn.bearer(Some(&bearer), Audience::Arm).await.unwrap();
        let owner = Self::at(installation.platforms(), installation.turns.clone(), actor);
        (installation, owner)
    }

    /// The owner `actor` at these platforms.
    pub(super) fn at(platforms: &[Arc<Platform>], turns: Turns, actor: Actor) -> Self {
        let engines = platforms.iter().map(|platform| Engine::new(Arc::clone(platform))).collect();
        Self { engines, turns, actor, subscription: platforms[0].tenancy.subscription_id.clone() }
    }

    pub(super) fn id(&self) -> &str {
        self.actor.id()
    }

    pub(super) async fn ask(
        &self,
        method: &str,
        id: &ResourceId,
        version: &str,
        body: Option<Value>,
    ) -> Result<ArmResponse> {
        self.send(method, &id.to_string(), version, body, None).await
    }

    /// [`Owner::ask`] under a condition.
    pub(super) async fn ask_if(
        &self,
        method: &str,
        id: &ResourceId,
        version: &str,
        body: Option<Value>,
        if_match: Option<&str>,
    ) -> Result<ArmResponse> {
        self.send(method, &id.to_string(), version, body, if_match).await
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        version: &str,
        body: Option<Value>,
        if_match: Option<&str>,
    ) -> Result<ArmResponse> {
        self.turns
            .next(&self.engines)
            .handle(ArmRequest {
                method: method.into(),
                path: path.into(),
                query: vec![("api-version".into(), version.into())],
                body,
                if_match: if_match.map(str::to_owned),
                if_none_match: None,
                actor: self.actor.clone(),
                base_url: BASE_URL.into(),
                request_id: Uuid::nil(),
                correlation_id: Uuid::nil(),
                client: ferrohub_service::arm::Client::default(),
            })
            .await
    }

    /// What ARM answers to a request that succeeds at once.
    async fn answer(&self, method: &str, path: &str, version: &str, body: Option<Value>) -> Option<Value> {
        // A hub's certificates are deleted under a condition only.
        let if_match = (method == "DELETE").then_some("*");
        let answer = self.send(method, path, version, body, if_match).await;
        let answer = answer.unwrap_or_else(|e| panic!("{method} {path}: {} {e} {:?}", e.code, e.context));
        assert!([200, 201, 204].contains(&answer.status), "{method} {path}: {}", answer.status);
        answer.body
    }

    pub(super) async fn put(&self, id: &ResourceId, version: &str, body: Value) -> Value {
        self.answer("PUT", &id.to_string(), version, Some(body)).await.unwrap()
    }

    pub(super) async fn get(&self, id: &ResourceId, version: &str) -> Value {
        self.answer("GET", &id.to_string(), version, None).await.unwrap()
    }

    pub(super) async fn post(&self, id: &ResourceId, action: &str, version: &str) -> Value {
        self.answer("POST", &format!("{id}/{action}"), version, None).await.unwrap()
    }

    /// A look at a path that is no resource's.
    pub(super) async fn look(&self, path: &str, version: &str) -> Result<ArmResponse> {
        self.send("GET", path, version, None, None).await
    }

    /// An action, whatever it answers.
    pub(super) async fn act(&self, path: &str, version: &str, body: Option<Value>) -> Result<ArmResponse> {
        self.send("POST", path, version, body, None).await
    }

    pub(super) async fn delete(&self, id: &ResourceId, version: &str) {
        self.answer("DELETE", &id.to_string(), version, None).await;
    }

    /// Assigns a role at a scope and gives the assignment's id.
    pub(super) async fn assign(&self, principal: &str, role: &str, scope: &ResourceId) -> ResourceId {
        let name = SystemRandom.uuid_v4().to_string();
        let assignment = scope.resource("Microsoft.Authorization", "roleAssignments", &name);
        let role =
            ResourceId::subscription(&self.subscription).resource("Microsoft.Authorization", "roleDefinitions", role);
        let body = json!({"properties": {"roleDefinitionId": role.to_string(), "principalId": principal, "principalType": "ServicePrincipal"}});
        self.put(&assignment, ROLE_API, body).await;
        assignment
    }
}

//! PUT and PATCH: read, check, build one unit of work, commit; again when somebody else was faster.

use super::context::PutContext;
use super::declaration::Scope;
use super::read::group_of;
use super::tags::tags;
use super::{ArmResponse, Call, activity, region, view};
use crate::platform::Change;
use crate::resources::{self, RowExtra, Stored};
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::{Resource, SystemData};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::time::rfc3339;
use ferrohub_store::{ConflictKind, StoreError};
use ferrohub_wire::etag::EtagCondition;
use serde_json::{Map, Value};

/// Times a write is tried anew after another one was faster.
const RETRIES: usize = 16;

/// What a write asks for.
enum Body {
    /// The resource as it should be.
    Put(Value),
    /// What should change.
    Patch(Value),
}

impl Call<'_> {
    pub(super) async fn put(&self, id: &ResourceId) -> Result<ArmResponse> {
        let body = self.object_body()?;
        self.write(id, &Body::Put(body)).await
    }

    /// A PATCH is merged into what a GET shows, and written like a PUT of the result.
    pub(super) async fn patch(&self, id: &ResourceId) -> Result<ArmResponse> {
        let patch = self.object_body()?;
        self.write(id, &Body::Patch(patch)).await
    }

    async fn patched(&self, id: &ResourceId, patch: &Value, existing: Option<&Stored>) -> Result<Value> {
        let stored = existing.ok_or_else(|| resources::missing(id))?;
        let mut doc = self.render(&stored.resource).await?;
        for (name, value) in patch.as_object().into_iter().flatten() {
            match (name.as_str(), doc.as_object_mut()) {
                // ARM replaces the tags of a PATCH as a whole.
                ("tags", Some(map)) => drop(map.insert("tags".into(), value.clone())),
                ("identity" | "sku" | "properties", Some(map)) => {
                    view::merge_patch(map.entry(name.clone()).or_insert(Value::Null), value);
                }
                _ => {}
            }
        }
        Ok(doc)
    }

    fn object_body(&self) -> Result<Value> {
        match &self.request.body {
            Some(body @ Value::Object(_)) => Ok(body.clone()),
            Some(_) => Err(Error::invalid(
                "The request content was invalid and could not be deserialized: 'a JSON object is expected'.",
            )
            .with_code("InvalidRequestContent")),
            None => Err(Error::invalid(
                "The request content was invalid and could not be deserialized: 'the body is missing'.",
            )
            .with_code("InvalidRequestContent")),
        }
    }

    async fn write(&self, id: &ResourceId, body: &Body) -> Result<ArmResponse> {
        let _turn = self.platform.turn(&id.key()).await;
        for _ in 0..RETRIES {
            if let Some(answer) = self.try_write(id, body).await? {
                return Ok(answer);
            }
        }
        Err(Error::conflict(format!("'{id}' is being changed by others at the same time; try again."))
            .with_code("AnotherOperationInProgress"))
    }

    /// One try; `None` when another write came between reading and committing.
    async fn try_write(&self, id: &ResourceId, body: &Body) -> Result<Option<ArmResponse>> {
        let row = self.platform.store.get(&RESOURCES, &id.key()).await?;
        let extra = row.as_deref().map(RowExtra::of).unwrap_or_default();
        let existing = row.as_deref().map(resources::from_row).transpose()?;
        if existing.as_ref().is_some_and(|stored| stored.resource.text(&["provisioningState"]) == Some("Deleting")) {
            return Err(Error::conflict(format!("'{id}' is being deleted and cannot be changed."))
                .with_code("ResourceBeingDeleted"));
        }
        let body = match body {
            Body::Put(body) => body.clone(),
            Body::Patch(patch) => self.patched(id, patch, existing.as_ref()).await?,
        };
        self.check_conditions(existing.as_ref())?;
        if existing.is_none() {
            self.check_name(id)?;
        }
        let parent = self.parents(id).await?;
        let resource = self.build(id, &body, existing.as_ref(), parent.as_ref())?;
        let mut change = Change::new();
        match &existing {
            Some(stored) => change.unit.expect_version(&RESOURCES, id.key(), stored.version),
            None => change.unit.expect_absent(&RESOURCES, id.key()),
        };
        self.expect_parents(id, &mut change);
        let mut context = PutContext {
            platform: self.platform,
            actor: &self.request.actor,
            id,
            existing: existing.as_ref(),
            parent: parent.as_ref(),
            body: &body,
            resource,
            extra,
            change,
        };
        if let Some(prefix) = self.decl.global_name {
            context.extra.unique_name = Some(format!("{prefix}/{}", id.name().to_lowercase()));
        }
        self.apply_identity(&mut context).await?;
        self.decl.behavior.before_put(&mut context).await?;
        self.commit(context).await
    }

    async fn commit(&self, context: PutContext<'_>) -> Result<Option<ArmResponse>> {
        let (id, created) = (context.id, context.existing.is_none());
        let PutContext { resource, extra, mut change, .. } = context;
        let status = if created { self.decl.put.0 } else { self.decl.put.1 };
        change.unit.put(resources::put(&resource, extra)?);
        change.unit.put(activity::success_row(self.platform, self.request, id, &self.decl.action("write"), status)?);
        match self.platform.commit(change).await {
            Ok(_) => {
                let mut answer = ArmResponse::new(status, Some(self.render(&resource).await?));
                answer.headers.push(("ETag", format!("\"{}\"", resource.etag)));
                Ok(Some(answer))
            }
            Err(StoreError::Conflict { kind: ConflictKind::Unique, table, key_or_column })
                if table == RESOURCES.name =>
            {
                Err(self.decl.behavior.taken(id, &key_or_column).unwrap_or_else(|| self.name_taken(id)))
            }
            Err(StoreError::Conflict { .. }) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    fn name_taken(&self, id: &ResourceId) -> Error {
        Error::conflict(format!(
            "The name '{}' is not available: names of type '{}' are unique over all subscriptions, ignoring case. Choose another name.",
            id.name(),
            self.decl.full()
        ))
        .with_code("NameNotAvailable")
    }

    /// RFC 9110 conditions, as ARM's matrix has them (reference: resource-manager.md section 4).
    fn check_conditions(&self, existing: Option<&Stored>) -> Result<()> {
        let etag = existing.map(|stored| stored.resource.etag.as_str());
        if let Some(text) = &self.request.if_match
            && !EtagCondition::parse(text).allows_match(etag)
        {
            return Err(Error::precondition(
                "The condition of If-Match is not met: the resource has another ETag or does not exist. Read it again and repeat.",
            ));
        }
        if let Some(text) = &self.request.if_none_match
            && !EtagCondition::parse(text).allows_none_match(etag)
        {
            return Err(Error::precondition("The condition of If-None-Match is not met: the resource exists."));
        }
        Ok(())
    }

    fn check_name(&self, id: &ResourceId) -> Result<()> {
        if let Some(only) = self.decl.singleton {
            if id.name().eq_ignore_ascii_case(only) {
                return Ok(());
            }
            return Err(Error::invalid(format!(
                "A resource of type '{}' can only be named '{only}'.",
                self.decl.full()
            ))
            .with_code("InvalidResourceName"));
        }
        self.decl.name.check(&self.decl.full(), id.name())
    }

    /// The parent resource; also checks that the group exists and is not going away.
    async fn parents(&self, id: &ResourceId) -> Result<Option<Stored>> {
        if self.decl.scope != Scope::InGroup {
            return Ok(None);
        }
        let store = self.platform.store.as_ref();
        if let Some(group) = group_of(id) {
            let stored = resources::require(store, &group).await?;
            if stored.resource.text(&["provisioningState"]) == Some("Deleting") {
                return Err(Error::conflict(format!(
                    "The resource group '{}' is in deprovisioning state and cannot perform this operation.",
                    group.name()
                ))
                .with_code("ResourceGroupBeingDeleted"));
            }
        }
        if self.decl.kinds.len() < 2 {
            return Ok(None);
        }
        let Some(parent) = id.parent() else { return Ok(None) };
        match resources::get(store, &parent).await? {
            Some(stored) if stored.resource.text(&["provisioningState"]) == Some("Deleting") => {
                Err(Error::conflict(format!("'{parent}' is being deleted; nothing can be made in it."))
                    .with_code("ParentResourceBeingDeleted"))
            }
            Some(stored) => Ok(Some(stored)),
            None => Err(Error::not_found(format!(
                "Failed to perform 'write' on resource(s) of type '{}', because the parent resource '{parent}' could not be found.",
                self.decl.kinds.join("/")
            ))
            .with_code("ParentResourceNotFound")),
        }
    }

    fn expect_parents(&self, id: &ResourceId, change: &mut Change) {
        if self.decl.scope != Scope::InGroup {
            return;
        }
        if let Some(group) = group_of(id) {
            change.unit.expect_exists(&RESOURCES, group.key());
        }
        if self.decl.kinds.len() > 1
            && let Some(parent) = id.parent()
        {
            change.unit.expect_exists(&RESOURCES, parent.key());
        }
    }

    /// The resource as the body wants it, with everything kept that this view cannot express.
    fn build(
        &self,
        id: &ResourceId,
        body: &Value,
        existing: Option<&Stored>,
        parent: Option<&Stored>,
    ) -> Result<Resource> {
        let old = existing.map(|stored| &stored.resource);
        let now = rfc3339(self.platform.now());
        let sent = match body.get("properties") {
            Some(Value::Object(map)) => map.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(_) => return Err(Error::invalid_property("properties", "'properties' must be a JSON object.")),
        };
        let properties = view::merge_properties(self.decl, self.view, &sent, old);
        self.check_create_only(&properties, old)?;
        let location = self.location(id, body, old, parent)?;
        let tags = if self.decl.tracked && view::shows(self.view, "tags") {
            tags(body.get("tags"))?
        } else {
            old.and_then(|resource| resource.tags.clone())
        };
        let sku = match body.get("sku") {
            Some(sku) if self.decl.sku && !sku.is_null() => Some(sku.clone()),
            _ => old.and_then(|resource| resource.sku.clone()),
        };
        let mut system_data = old.map(|resource| resource.system_data.clone()).unwrap_or_else(|| SystemData {
            created_by: self.request.actor.name().into(),
            created_by_type: self.request.actor.kind_name().into(),
            created_at: now.clone(),
            ..SystemData::default()
        });
        system_data.last_modified_by = self.request.actor.name().into();
        system_data.last_modified_by_type = self.request.actor.kind_name().into();
        system_data.last_modified_at = now;
        Ok(Resource {
            // ARM answers with the casing that was used last; the id of an existing resource follows it.
            id: id.to_string(),
            uid: old.map_or_else(|| self.platform.new_id(), |resource| resource.uid),
            name: id.name().into(),
            kind: if self.decl.scope == Scope::Group {
                "Microsoft.Resources/resourceGroups".into()
            } else {
                self.decl.full()
            },
            location,
            tags,
            sku,
            identity: old.and_then(|resource| resource.identity.clone()),
            properties,
            secrets: old.map(|resource| resource.secrets.clone()).unwrap_or_default(),
            system_data,
            etag: self.platform.random.uuid_v4().to_string(),
        })
    }

    fn check_create_only(&self, properties: &Map<String, Value>, old: Option<&Resource>) -> Result<()> {
        let Some(old) = old else { return Ok(()) };
        let (now, before) = (Value::Object(properties.clone()), Value::Object(old.properties.clone()));
        for path in self.decl.create_only {
            let steps: Vec<&str> = path.split('.').collect();
            let (now, before) = (view::get(&now, &steps), view::get(&before, &steps));
            if now.is_some() && before.is_some() && !same(now, before) {
                return Err(Error::conflict(format!(
                    "The property 'properties.{path}' of '{}' cannot be changed after creation. Delete the resource and make it anew.",
                    old.id
                ))
                .with_code("PropertyChangeNotAllowed")
                .with_target(format!("properties.{path}")));
            }
        }
        Ok(())
    }

    fn location(
        &self,
        id: &ResourceId,
        body: &Value,
        old: Option<&Resource>,
        parent: Option<&Stored>,
    ) -> Result<Option<String>> {
        let visible = view::shows(self.view, "location");
        let sent = body.get("location").and_then(Value::as_str).filter(|text| visible && !text.is_empty());
        let sent =
            sent.filter(|_| self.decl.tracked).map(|text| region::normalize(text, &self.decl.full())).transpose()?;
        match (sent, old.and_then(|resource| resource.location.as_deref())) {
            (Some(now), Some(before)) if now != before && self.decl.scope == Scope::Group => Err(Error::conflict(format!(
                "Invalid resource group location '{now}'. The Resource group already exists in location '{before}'."
            ))
            .with_code("InvalidResourceGroupLocation")),
            (Some(now), Some(before)) if now != before => Err(Error::conflict(format!(
                "The resource '{}' already exists in location '{before}' in resource group '{}'. A resource with the same name cannot be created in location '{now}'. Please select a new resource name.",
                id.name(),
                id.resource_group.as_deref().unwrap_or_default()
            ))
            .with_code("InvalidResourceLocation")),
            (_, Some(before)) => Ok(Some(before.into())),
            (Some(now), None) => Ok(Some(now.into())),
            (None, None) if !self.decl.tracked => Ok(parent.and_then(|stored| stored.resource.location.clone())),
            (None, None) => match parent.and_then(|stored| stored.resource.location.clone()) {
                Some(inherited) => Ok(Some(inherited)),
                None => Err(Error::invalid("The location property is required for this definition.").with_code("LocationRequired")),
            },
        }
    }
}

/// Ids compare ignoring case; everything else exactly.
fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a.and_then(Value::as_str), b.and_then(Value::as_str)) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => a == b,
    }
}

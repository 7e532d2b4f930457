//! PUT and PATCH: read, check, build one unit of work, commit; again when somebody else was faster.

use super::call::Call;
use super::context::PutContext;
use super::identity::merge_identity;
use super::read::group_of;
use super::request::ArmResponse;
use super::tags::{TagChange, tags};
use super::{activity, body, providers, region, schema, usages, view};
use crate::locks::Operation;
use crate::platform::Change;
use crate::resources::{self, Entry, Kind, Scope, Stored, Told};
use crate::tables::RESOURCES;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource::Resource;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_store::{ConflictKind, StoreError};
use ferrohub_wire::etag::EtagCondition;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// What a write asks for.
enum Body<'a> {
    /// The resource as it should be.
    Put(&'a Value),
    /// What should change.
    Patch(&'a Value),
    /// What should become of the tags, and the right that it is done by.
    Tags(&'static str, TagChange),
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

    /// What the tags API asks for is a PATCH of the tags.
    pub(super) async fn write_tags(&self, id: &ResourceId, action: &'static str, change: TagChange) -> Result<()> {
        self.write(id, &Body::Tags(action, change)).await.map(drop)
    }

    async fn patched(&self, id: &ResourceId, patch: &Value, existing: Option<&Stored>) -> Result<Value> {
        let stored = existing.ok_or_else(|| resources::missing(id))?;
        let mut doc = self.render(stored).await?;
        for (name, value) in patch.as_object().into_iter().flatten() {
            match (name.as_str(), doc.as_object_mut()) {
                // ARM replaces the tags of a PATCH as a whole.
                ("tags", Some(map)) => drop(map.insert("tags".into(), value.clone())),
                ("identity", Some(map)) => merge_identity(map.entry("identity").or_insert(Value::Null), value),
                ("sku" | "properties", Some(map)) => {
                    view::merge_patch(map.entry(name.clone()).or_insert(Value::Null), value);
                }
                // Whether it may be said at all is looked at with the rest of the body.
                (_, Some(map)) => drop(map.insert(name.clone(), value.clone())),
                (_, None) => {}
            }
        }
        Ok(doc)
    }

    fn object_body(&self) -> Result<&Value> {
        match &self.request.body {
            Some(body @ Value::Object(_)) => Ok(body),
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

    async fn write(&self, id: &ResourceId, body: &Body<'_>) -> Result<ArmResponse> {
        let _turn = self.platform.turn(&id.key()).await;
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(|| resources::contended(id)).await?;
            if let Some(answer) = self.try_write(id, body).await? {
                return Ok(answer);
            }
        }
    }

    /// One try; `None` when another write came between reading and committing.
    async fn try_write(&self, id: &ResourceId, body: &Body<'_>) -> Result<Option<ArmResponse>> {
        let existing = resources::get(self.platform, id).await?;
        if existing.as_ref().is_some_and(Stored::is_going) {
            return Err(match self.decl.kind.scope {
                Scope::Group => resources::group_going(id),
                _ => Error::conflict(format!("'{id}' is being deleted and cannot be changed."))
                    .with_code("ResourceBeingDeleted"),
            });
        }
        providers::require_registered(self.platform, id)?;
        let mut change = Change::new();
        self.unlocked(Operation::Write, id, &mut change).await?;
        let action = match body {
            Body::Tags(action, _) => (*action).to_owned(),
            Body::Put(_) | Body::Patch(_) => self.decl.action("write"),
        };
        let mut body = match body {
            Body::Put(body) => (*body).clone(),
            Body::Tags(_, tags) => {
                let former = existing.as_ref().and_then(|stored| stored.resource.tags.clone()).unwrap_or_default();
                self.patched(id, &json!({"tags": tags.apply(&former)}), existing.as_ref()).await?
            }
            Body::Patch(patch) => self.patched(id, patch, existing.as_ref()).await?,
        };
        (self.view.from)(&mut body);
        self.check_conditions(existing.as_ref())?;
        if existing.is_none() {
            self.check_name(id)?;
        }
        let parent = self.parents(id).await?;
        let (kind, above) = self.home(id, existing.as_ref(), parent.as_ref()).await?;
        if existing.is_none() {
            usages::check(self.platform, kind, id, parent.as_ref()).await?;
        }
        body::Body { decl: self.decl, view: self.view, version: &self.version }.check(&body)?;
        let resource = self.build(id, &body, existing.as_ref(), parent.as_ref())?;
        self.check_create_only(id, &resource.properties, existing.as_ref().map(|stored| stored.resource.as_ref()))?;
        self.expect_parents(parent.as_ref(), &mut change);
        let mut context = PutContext {
            platform: self.platform,
            actor: &self.request.actor,
            request: self.request,
            id,
            uid: existing.as_ref().map_or_else(|| self.platform.new_id(), |stored| stored.uid),
            kind,
            existing: existing.as_ref(),
            parent: parent.as_ref(),
            view: self.view,
            body: &body,
            resource,
            extra: existing.as_ref().map(|stored| stored.extra.clone()).unwrap_or_default(),
            change,
        };
        if let Some(prefix) = self.decl.global_name {
            context.extra.unique_name = Some(format!("{prefix}/{}", id.name().to_lowercase()));
        }
        self.apply_identity(&mut context).await?;
        self.decl.behavior.before_put(&mut context).await?;
        self.commit(context, above, &action).await
    }

    /// Type and parent of the row: the resource's own, or those of what the type shows.
    async fn home(
        &self,
        id: &ResourceId,
        existing: Option<&Stored>,
        parent: Option<&Stored>,
    ) -> Result<(&'static Kind, Uuid)> {
        if let Some(stored) = existing {
            return Ok((stored.kind, stored.parent));
        }
        if self.decl.kind.face.is_some() {
            let parent = parent.ok_or_else(|| Error::internal(format!("'{id}' lies below nothing")))?;
            let stored_as = self.decl.behavior.stored_as(self.platform, parent).await?;
            let (kind, above) =
                stored_as.ok_or_else(|| Error::internal(format!("'{}' is stored nowhere", self.decl.full())))?;
            return Ok((kind, above.uid));
        }
        let above = id.parent().unwrap_or_else(|| id.clone());
        let uid = match parent {
            Some(parent) => Some(parent.uid),
            None => resources::uid_of(self.platform, &above).await?,
        };
        Ok((&self.decl.kind, uid.ok_or_else(|| resources::missing(&above))?))
    }

    async fn commit(&self, context: PutContext<'_>, above: Uuid, action: &str) -> Result<Option<ArmResponse>> {
        let PutContext { id, uid, kind, existing, resource, extra, mut change, .. } = context;
        let status = if existing.is_none() { self.decl.put.0 } else { self.decl.put.1 };
        let entry =
            Entry { uid, kind, parent: above, id: id.clone(), below_new: false, was: existing, resource, extra };
        let told = Told::Row(activity::success_row(self.platform, self.request, id, action, status)?);
        let stored = resources::put(self.platform, &self.request.actor, entry, told, &mut change)?;
        match self.platform.commit(change).await {
            Ok(_) => {
                let mut answer = ArmResponse::new(status, Some(self.render(&stored).await?));
                answer.headers.push(("ETag", format!("\"{}\"", stored.resource.etag)));
                Ok(Some(answer))
            }
            Err(StoreError::Conflict { kind: ConflictKind::Unique, table, key_or_column })
                if table == RESOURCES.name && key_or_column != "place" =>
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

    /// Refuses what a lock stands against, and makes `change` hold only as long as no lock changes.
    async fn unlocked(&self, operation: Operation, id: &ResourceId, change: &mut Change) -> Result<()> {
        if !self.decl.lockable {
            return Ok(());
        }
        let locks = self.platform.locks().await?;
        locks.check(operation, id)?;
        locks.expect(change);
        Ok(())
    }

    /// Refuses a delete that conditions or locks stand against; looked at again with every try.
    pub(super) async fn may_delete(&self, stored: &Stored, change: &mut Change) -> Result<()> {
        self.check_conditions(Some(stored))?;
        self.unlocked(Operation::Delete, &stored.id, change).await
    }

    /// RFC 9110 conditions, as ARM's matrix has them (reference: resource-manager.md section 4).
    fn check_conditions(&self, existing: Option<&Stored>) -> Result<()> {
        if let Some(existing) = existing {
            self.require_if_match(existing)?;
        }
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

    /// Refuses what would overwrite or delete `existing` unseen, for types that ask for the condition.
    fn require_if_match(&self, existing: &Stored) -> Result<()> {
        if !self.decl.needs_if_match || self.request.if_match.is_some() {
            return Ok(());
        }
        Err(Error::precondition(format!(
            "'{}' exists: send its etag in If-Match (--etag), or '*', to change or delete it.",
            existing.name()
        )))
    }

    fn check_name(&self, id: &ResourceId) -> Result<()> {
        self.decl.name.check(&self.decl.full(), id.name())
    }

    /// The parent resource or group, which must exist and not be going away.
    async fn parents(&self, id: &ResourceId) -> Result<Option<Stored>> {
        if self.decl.kind.scope != Scope::InGroup {
            return Ok(None);
        }
        let mut nearest = None;
        if let Some(group) = group_of(id) {
            let stored = resources::require(self.platform, &group).await?;
            if stored.is_going() {
                return Err(resources::group_going(&group));
            }
            nearest = Some(stored);
        }
        let Some(parent) = id.parent().filter(|_| self.decl.kind.is_nested()) else { return Ok(nearest) };
        match resources::get(self.platform, &parent).await? {
            Some(stored) if stored.is_going() => {
                Err(Error::conflict(format!("'{parent}' is being deleted; nothing can be made in it."))
                    .with_code("ParentResourceBeingDeleted"))
            }
            Some(stored) => Ok(Some(stored)),
            None => Err(Error::not_found(format!(
                "Failed to perform 'write' on resource(s) of type '{}', because the parent resource '{parent}' could not be found.",
                self.decl.kind.path.join("/")
            ))
            .with_code("ParentResourceNotFound")),
        }
    }

    /// What the resource lies below must still be there, and unmarked, when it is written.
    fn expect_parents(&self, parent: Option<&Stored>, change: &mut Change) {
        if let Some(parent) = parent {
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
        let old = existing.map(|stored| stored.resource.as_ref());
        let sent = match body.get("properties") {
            Some(Value::Object(map)) => map.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(_) => return Err(Error::invalid_property("properties", "'properties' must be a JSON object.")),
        };
        let properties = view::merge_properties(self.decl.properties, self.view, &sent, old);
        let location = self.location(id, body, old, parent)?;
        // A shape without tags takes them all the same: clients of older shapes send them.
        let sent = body.get("tags").filter(|tags| !tags.is_null());
        let tags = if self.decl.tracked && (sent.is_some() || view::shows(self.view, "tags")) {
            tags(sent)?
        } else {
            old.and_then(|resource| resource.tags.clone())
        };
        let sku = match body.get("sku") {
            Some(sku) if self.decl.sku && !sku.is_null() => Some(sku.clone()),
            _ => old.and_then(|resource| resource.sku.clone()),
        };
        let extended_location = self.extended_location(id, body, old)?;
        // What no body says: everything else of the old resource is replaced anyway.
        let kept = old.map_or_else(Resource::default, |old| Resource {
            identity: old.identity.clone(),
            links: old.links.clone(),
            secrets: old.secrets.clone(),
            ..Resource::default()
        });
        // ARM answers with the casing that was used last; a singleton that another generation shows keeps its own name.
        let name = match existing {
            Some(stored) if self.decl.kind.singleton => stored.name().to_owned(),
            _ => id.name().to_owned(),
        };
        Ok(Resource { name, location, extended_location, tags, sku, properties, ..kept })
    }

    /// Where Azure Arc would act on the resource; it never changes.
    fn extended_location(&self, id: &ResourceId, body: &Value, old: Option<&Resource>) -> Result<Option<Value>> {
        let before = old.and_then(|resource| resource.extended_location.as_ref());
        let Some(sent) = body.get("extendedLocation").filter(|sent| !sent.is_null()) else {
            return Ok(before.cloned());
        };
        let differs = |member| !same(sent.get(member), before.and_then(|before| before.get(member)));
        match before {
            Some(_) if differs("name") || differs("type") => Err(unchangeable(id, "extendedLocation")),
            Some(before) => Ok(Some(before.clone())),
            None => Ok(Some(sent.clone())),
        }
    }

    fn check_create_only(
        &self,
        id: &ResourceId,
        properties: &Map<String, Value>,
        old: Option<&Resource>,
    ) -> Result<()> {
        let Some(old) = old else { return Ok(()) };
        for steps in schema::paths(self.decl.properties, |property| property.create_only) {
            let (now, before) = (view::member(properties, &steps), view::member(&old.properties, &steps));
            if now.is_some() && before.is_some() && !same(now, before) {
                return Err(unchangeable(id, &format!("properties.{}", steps.join("."))));
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
        let sent = body.get("location").and_then(Value::as_str).filter(|text| !text.is_empty());
        let sent =
            sent.filter(|_| self.decl.tracked).map(|text| region::normalize(text, &self.decl.full())).transpose()?;
        match (sent, old.and_then(|resource| resource.location.as_deref())) {
            (Some(now), Some(before)) if now != before && self.decl.kind.scope == Scope::Group => Err(Error::conflict(format!(
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
            (None, None) => match parent.filter(|_| self.decl.kind.is_nested()).and_then(|stored| stored.resource.location.clone()) {
                Some(inherited) => Ok(Some(inherited)),
                None => Err(Error::invalid("The location property is required for this definition.").with_code("LocationRequired")),
            },
        }
    }
}

fn unchangeable(id: &ResourceId, path: &str) -> Error {
    Error::conflict(format!(
        "The property '{path}' of '{id}' cannot be changed after creation. Delete the resource and make it anew."
    ))
    .with_code("PropertyChangeNotAllowed")
    .with_target(path)
}

/// Ids compare ignoring case; everything else exactly.
fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a.and_then(Value::as_str), b.and_then(Value::as_str)) {
        (Some(a), Some(b)) if a.starts_with('/') => a.eq_ignore_ascii_case(b),
        _ => a == b,
    }
}

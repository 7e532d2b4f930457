//! The subscriptions of the installation: rows, with a copy in memory that is renewed with the roles, because each request
//! asks whether its subscription is one of ours.

use crate::locks::Operation;
use crate::platform::{Change, Platform};
use crate::tables::SUBSCRIPTIONS;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_model::subscription::Subscription;
use ferrohub_store::{Pages, Put};
use std::sync::Arc;
use uuid::Uuid;

/// Name of the subscription that the first start makes.
const FIRST: &str = "Ferrohub";
/// Rows read at once: ours.
const PAGE: usize = 500;

/// Key of a subscription's row.
pub(crate) fn key(id: Uuid) -> String {
    id.to_string()
}

/// The row of a subscription.
///
/// # Errors
/// Internal, when it does not serialize.
pub(crate) fn put(subscription: &Subscription) -> Result<Put> {
    let alias = subscription.alias.as_ref().map(|alias| alias.to_lowercase());
    Ok(Put::new(&SUBSCRIPTIONS, key(subscription.id), vec![alias], subscription)?)
}

impl Platform {
    /// Every subscription, the first one first, as they stood when the roles were looked at last.
    pub(crate) fn subscriptions(&self) -> Arc<Vec<Arc<Subscription>>> {
        self.subscriptions.load_full()
    }

    /// Whether a uid is that of a subscription.
    pub(crate) fn is_subscription(&self, uid: Uuid) -> bool {
        self.subscriptions.load().iter().any(|known| known.id == uid)
    }

    /// A subscription by its id, however it is written.
    pub(crate) fn subscription(&self, id: &str) -> Option<Arc<Subscription>> {
        let id = Uuid::parse_str(id).ok()?;
        self.subscriptions.load().iter().find(|known| known.id == id).cloned()
    }

    /// Reads the subscriptions; makes the row of the first one where an older program, or nobody, did.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn load_subscriptions(&self) -> Result<()> {
        let mut all = Vec::new();
        let mut pages = Pages::scan(self.store.as_ref(), &SUBSCRIPTIONS, "", PAGE);
        while let Some(rows) = pages.next().await? {
            for row in rows {
                all.push(row.parse::<Subscription>()?);
            }
        }
        let first = self.first_subscription()?;
        if !all.iter().any(|known| known.id == first) {
            let made = Subscription::new(first, FIRST);
            let mut change = Change::new();
            change.unit.expect_absent(&SUBSCRIPTIONS, key(first));
            change.unit.put(put(&made)?);
            // Where another process was faster, it made the same.
            self.try_commit(change).await?;
            all.push(Arc::new(made));
        }
        all.sort_by_key(|known| (known.id != first, known.name.to_lowercase(), known.id));
        self.subscriptions.store(Arc::new(all));
        Ok(())
    }

    /// The subscription that the first start made.
    ///
    /// # Errors
    /// Internal, when its id in the store is no GUID.
    pub(crate) fn first_subscription(&self) -> Result<Uuid> {
        let id = &self.tenancy.subscription_id;
        Uuid::parse_str(id).map_err(|e| Error::internal(format!("subscription {id}: {e}")))
    }

    /// Whether the store has a subscription that another process may have made a moment ago.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn finds_subscription(&self, uid: Uuid) -> Result<bool> {
        Ok(self.is_subscription(uid) || self.store.get(&SUBSCRIPTIONS, &key(uid)).await?.is_some())
    }

    /// Changes a subscription, together with what `write` adds to the unit; nothing is written where it changes nothing.
    ///
    /// # Errors
    /// `SubscriptionNotFound`; `ScopeLocked`; those of `write`; when the store fails.
    pub(crate) async fn change_subscription(
        &self,
        id: Uuid,
        write: &(dyn Fn(&mut Subscription, &mut Change) -> Result<()> + Sync),
    ) -> Result<Subscription> {
        let _turn = self.turn(&key(id)).await;
        let mut attempts = self.attempts();
        loop {
            attempts
                .begin(|| {
                    Error::conflict(format!(
                        "The subscription '{id}' is being changed by others at the same time; try again."
                    ))
                    .with_code("AnotherOperationInProgress")
                })
                .await?;
            let row = self.store.get(&SUBSCRIPTIONS, &key(id)).await?;
            let row = row.ok_or_else(|| not_found(&id.to_string()))?;
            let was = row.parse::<Subscription>()?;
            let mut now = was.as_ref().clone();
            let mut change = Change::new();
            let locks = self.locks().await?;
            locks.check(Operation::Write, &ResourceId::subscription(&id.to_string()))?;
            write(&mut now, &mut change)?;
            if now != *was {
                change.unit.expect_version(&SUBSCRIPTIONS, row.key.clone(), row.version);
                change.unit.put(put(&now)?);
                change.access = true;
                locks.expect(&mut change);
            }
            if change.unit.is_empty() || self.try_commit(change).await? {
                return Ok(now);
            }
        }
    }
}

/// The subscription with this id.
///
/// # Errors
/// Where it is not one of ours: `InvalidSubscriptionId` for what is no GUID, else `SubscriptionNotFound`.
pub(crate) fn require(platform: &Platform, subscription: &str) -> Result<Arc<Subscription>> {
    if let Some(known) = platform.subscription(subscription) {
        return Ok(known);
    }
    let shown: String = subscription.chars().take(80).collect();
    if Uuid::parse_str(subscription).is_err() {
        return Err(Error::invalid(format!(
            "The provided subscription identifier '{shown}' is malformed or invalid. It must be a GUID; `az account show --query id` prints yours."
        ))
        .with_code("InvalidSubscriptionId"));
    }
    Err(not_found(&shown))
}

/// Azure's error for a subscription that there is not.
pub(crate) fn not_found(shown: &str) -> Error {
    Error::not_found(format!("The subscription '{shown}' could not be found.")).with_code("SubscriptionNotFound")
}

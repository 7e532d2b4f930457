//! Reading the activity log: newest first, page by page, what the caller may see of it.

use super::entry::Entry;
use super::event::{self, MEMBERS};
use super::filter::{self, FIELDS};
use crate::arm::query::{self, decode_token, next_link};
use crate::arm::read::envelope;
use crate::arm::request::{ArmRequest, ArmResponse};
use crate::log_query::{self, LogFilter};
use crate::platform::Platform;
use crate::tables::ACTIVITY;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::resource_id::ResourceId;
use ferrohub_store::Row;
use serde_json::Value;

/// Reading the log.
pub(in crate::arm) const READ: &str = "Microsoft.Insights/eventtypes/values/read";

/// The events of the subscription, or those of the tenant alone, which are of no subscription.
pub(in crate::arm) async fn answer(
    platform: &Platform,
    request: &ArmRequest,
    subscription: Option<&str>,
) -> Result<ArmResponse> {
    check_version(request)?;
    query::check(request, &["$filter", "$select", "$skipToken"])?;
    let filter = match LogFilter::parse(request.query("$filter"), FIELDS) {
        Ok(filter) => filter,
        // Who may read nothing is told that first.
        Err(error) => return Err(Reader::of(platform, request, subscription, None).err().unwrap_or(error)),
    };
    let select = selected(request.query("$select"))?;
    let reader = Reader::of(platform, request, subscription, Some(&filter))?;
    let after = request.query("$skipToken").filter(|token| !token.is_empty()).map(decode_token).transpose()?;
    let shown = |row: &Row| Ok(reader.event(row, &filter)?.map(|event| only(event, select.as_deref())));
    let (value, next) = log_query::newest(platform, &ACTIVITY, &filter, after, shown).await?;
    Ok(envelope(value, next.map(|after| next_link(request, &after))))
}

/// The categories of events.
pub(in crate::arm) fn categories(request: &ArmRequest) -> Result<ArmResponse> {
    check_version(request)?;
    query::check(request, &[])?;
    Ok(envelope(event::categories(), None))
}

/// Who reads, and which rows that shows.
struct Reader<'a> {
    platform: &'a Platform,
    request: &'a ArmRequest,
    subscription: Option<&'a str>,
    /// Every row that the filter wants; else each is asked for.
    all: bool,
}

impl<'a> Reader<'a> {
    /// Refuses whoever can read nothing of what is asked for; who has rights below it reads what they cover.
    fn of(
        platform: &'a Platform,
        request: &'a ArmRequest,
        subscription: Option<&'a str>,
        filter: Option<&LogFilter>,
    ) -> Result<Self> {
        // Who may read the log of the subscription may read what is of none: roles reach from there to all that there is.
        let whole = ResourceId::subscription(subscription.unwrap_or(&platform.tenancy.subscription_id));
        let named = subscription.zip(filter).and_then(|(own, filter)| filter::scope(filter, own));
        let scope = named.filter(|scope| scope.is_within(&whole));
        let scope = scope.unwrap_or(whole);
        let allowed = platform.authorize(&request.actor, READ, &scope);
        if let Err(refusal) = &allowed
            && !platform.access().reaches_into(request.actor.id(), &scope)
        {
            return Err(refusal.clone());
        }
        Ok(Self { platform, request, subscription, all: allowed.is_ok() })
    }

    fn event(&self, row: &Row, filter: &LogFilter) -> Result<Option<Value>> {
        let entry = row.part::<Entry<'static>>()?;
        let Ok(id) = ResourceId::parse(&entry.resource_id) else { return Ok(None) };
        let ours = match (self.subscription, &id.subscription) {
            (Some(own), Some(subscription)) => own.eq_ignore_ascii_case(subscription),
            (own, subscription) => own.is_none() && subscription.is_none(),
        };
        let wanted = ours && filter::wants(filter, &entry, &id);
        let seen = wanted && (self.all || self.platform.authorize(&self.request.actor, READ, &id).is_ok());
        Ok(seen.then(|| event::event(&self.platform.tenancy, &row.key, &entry)))
    }
}

/// The log is older than most api-versions, and clients ask with many: any that is one will do.
fn check_version(request: &ArmRequest) -> Result<()> {
    query::version(request).map(drop)
}

/// The members that `$select` names; none where everything is wanted.
fn selected(text: Option<&str>) -> Result<Option<Vec<&'static str>>> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let each = text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(|name| {
        MEMBERS.iter().copied().find(|known| known.eq_ignore_ascii_case(name)).ok_or_else(|| {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
            Error::invalid(format!("The $select '{shown}' is not served here; there are {}.", MEMBERS.join(", ")))
                .with_code("InvalidQueryParameter")
                .with_target("$select")
        })
    });
    each.collect::<Result<_>>().map(Some)
}

fn only(mut event: Value, names: Option<&[&str]>) -> Value {
    if let (Some(names), Some(map)) = (names, event.as_object_mut()) {
        map.retain(|name, _| names.contains(&name.as_str()));
    }
    event
}

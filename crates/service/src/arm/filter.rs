//! `$filter` of lists of resources (reference: resource-manager.md section 10): by name, type, group, place and identity,
//! or by a tag.

use crate::resources::Stored;
use ferrohub_model::error::{Error, Result};
use ferrohub_wire::odata::{Asked, Filter, Relation, Terms};

/// What resources and resource groups are asked about.
static TERMS: Terms = Terms {
    fields: &[
        "resourceGroup",
        "resourceType",
        "name",
        "location",
        "identity",
        "identity/principalId",
        TAG_NAME,
        TAG_VALUE,
    ],
    marks: &[],
};
const TAG_NAME: &str = "tagName";
const TAG_VALUE: &str = "tagValue";

/// A filter of resources.
pub(super) struct ResourceFilter {
    filter: Filter,
    /// Whether it is asked of each tag.
    by_tag: bool,
}

impl ResourceFilter {
    /// Parses it; a blank one is none.
    ///
    /// # Errors
    /// `InvalidFilterInQueryString`, also where tags are mixed with other members, as ARM has it.
    pub(super) fn parse(text: Option<&str>) -> Result<Option<Self>> {
        let Some(filter) = Filter::parse(text.unwrap_or_default(), &TERMS)? else { return Ok(None) };
        let (tags, others): (Vec<&str>, Vec<&str>) =
            filter.names().into_iter().partition(|name| [TAG_NAME, TAG_VALUE].contains(name));
        let by_tag = !tags.is_empty();
        if by_tag && !others.is_empty() {
            return Err(refused("tagName and tagValue cannot be joined with other members"));
        }
        if by_tag {
            check_tags(&filter, false)?;
        }
        Ok(Some(Self { filter, by_tag }))
    }

    /// Whether the resource is one of those that are wanted.
    pub(super) fn matches(&self, stored: &Stored) -> bool {
        if !self.by_tag {
            return self.filter.matches(&Resource(stored));
        }
        let tags = stored.resource.tags.iter().flatten();
        tags.into_iter().any(|(name, value)| self.filter.matches(&Tag(name, value.as_str().unwrap_or_default())))
    }

    /// Whether it asks for tags.
    pub(super) fn is_by_tag(&self) -> bool {
        self.by_tag
    }
}

/// A filter by tags is asked of one tag after the other, so a term that no single tag can answer is refused.
fn check_tags(filter: &Filter, named: bool) -> Result<()> {
    match filter {
        Filter::Not(_) | Filter::Is(_, Relation::Unequal, _) => {
            Err(refused("tags are asked for with eq, startswith, and, or; not with ne or not"))
        }
        Filter::Is(name, ..) if *name == TAG_VALUE && !named => {
            Err(refused("tagValue stands beside a tagName: tagName eq 'a' and tagValue eq 'b'"))
        }
        Filter::And(all) => {
            let names = all.iter().flat_map(Filter::names).filter(|name| *name == TAG_NAME).count();
            if names > 1 {
                return Err(refused("one tag at a time can be asked for between and"));
            }
            all.iter().try_for_each(|filter| check_tags(filter, named || names == 1))
        }
        Filter::Or(some) => some.iter().try_for_each(|filter| check_tags(filter, named)),
        Filter::Is(..) | Filter::Any(..) | Filter::Mark(..) => Ok(()),
    }
}

fn refused(why: &str) -> Error {
    Error::invalid(format!("The $filter is not served here: {why}.")).with_code("InvalidFilterInQueryString")
}

struct Resource<'a>(&'a Stored);

impl Asked for Resource<'_> {
    fn values(&self, field: &str) -> Vec<String> {
        let stored = self.0;
        let identity = stored.resource.identity.as_ref();
        let one = match field {
            "resourceGroup" => Some(stored.group().to_owned()),
            "resourceType" => Some(stored.full_type()),
            "name" => Some(stored.name().to_owned()),
            "location" => stored.resource.location.clone(),
            "identity" => identity.filter(|identity| !identity.is_none()).map(|identity| {
                let kinds = [
                    identity.system_principal_id.as_ref().map(|_| "SystemAssigned"),
                    identity.user_assigned.first().map(|_| "UserAssigned"),
                ];
                kinds.into_iter().flatten().collect::<Vec<_>>().join(",")
            }),
            _ => identity.and_then(|identity| identity.system_principal_id.clone()),
        };
        one.into_iter().collect()
    }
}

struct Tag<'a>(&'a str, &'a str);

impl Asked for Tag<'_> {
    fn values(&self, field: &str) -> Vec<String> {
        vec![if field == TAG_NAME { self.0 } else { self.1 }.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_stand_alone_and_in_pairs() {
        for good in [
            "tagName eq 'a'",
            "tagname eq 'a' and tagvalue eq 'b'",
            "startswith(tagName, 'a')",
            "(tagName eq 'a' and tagValue eq 'b') or tagName eq 'c'",
            "tagName eq 'a' and (tagValue eq 'b' or tagValue eq 'c')",
        ] {
            assert!(ResourceFilter::parse(Some(good)).unwrap().unwrap().is_by_tag(), "{good}");
        }
        for bad in [
            "tagName eq 'a' and name eq 'b'",
            "tagValue eq 'b'",
            "tagName eq 'a' or tagValue eq 'b'",
            "tagName ne 'a'",
            "not (tagName eq 'a')",
            "tagName eq 'a' and tagName eq 'b'",
        ] {
            let error = ResourceFilter::parse(Some(bad)).err().unwrap_or_else(|| panic!("{bad}"));
            assert_eq!(error.code, "InvalidFilterInQueryString");
        }
        assert!(ResourceFilter::parse(None).unwrap().is_none() && ResourceFilter::parse(Some(" ")).unwrap().is_none());
    }
}

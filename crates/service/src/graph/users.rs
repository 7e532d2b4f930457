//! People: made, changed, deleted, and what they may do for themselves.

use super::applications::{display_name, is_hidden, object};
use super::objects::{refuse_unbuilt, refuse_unknown, time, unknown};
use super::{Answer, Graph, GraphRequest};
use crate::authn;
use crate::departure::remove_principal;
use crate::directory;
use crate::guesses::{self, Guess};
use crate::passwords::RULE;
use crate::platform::Change;
use crate::tables::PRINCIPALS;
use ferrohub_model::error::{Error, Result};
use ferrohub_model::limits::{NICKNAME_CHARS, USER_NAME_CHARS};
use ferrohub_model::principal::{Principal, PrincipalKind, User};
use ferrohub_pki::password;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Members that are kept and shown, each a text.
const FACTS: &[&str] = &[
    "givenName",
    "surname",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "department",
    "companyName",
    "usageLocation",
    "employeeId",
    "onPremisesImmutableId",
    "streetAddress",
    "city",
    "state",
    "postalCode",
    "country",
];
/// Members that are acted upon, beside [`FACTS`].
const ACTED_UPON: &[&str] = &["displayName", "accountEnabled", "mailNickname", "userPrincipalName", "passwordProfile"];
/// Longest fact: ours.
const FACT_CHARS: usize = 256;

/// What a body wants a person to be; what it does not say stays.
struct Wanted {
    display_name: Option<String>,
    enabled: Option<bool>,
    nickname: Option<String>,
    name: Option<String>,
    /// The hash of a new password.
    password: Option<String>,
    must_change: Option<bool>,
    facts: Vec<(&'static str, Option<String>)>,
}

impl Graph {
    /// A new person.
    pub(super) async fn create_user(&self, request: &GraphRequest) -> Result<Answer> {
        let body = object(request)?;
        for name in ["accountEnabled", "displayName", "mailNickname", "passwordProfile", "userPrincipalName"] {
            if body.get(name).is_none_or(Value::is_null) {
                return Err(bad(name, format!("A value is required for property '{name}' of resource 'User'.")));
            }
        }
        let new_id = self.platform.random.uuid_v4().to_string();
        let mut user = Principal {
            user: Some(User::default()),
            made: self.platform.clock.unix_seconds(),
            ..Principal::new(PrincipalKind::User, new_id, String::new(), String::new())
        };
        let wanted = self.wanted(body, &user_view(&user)).await?;
        if wanted.password.is_none() {
            return Err(bad("passwordProfile", "A password must be specified to create a new user."));
        }
        self.refuse_taken(&wanted, &user.id).await?;
        wanted.write(&mut user);
        let mut change = Change::new();
        change.unit.expect_absent(&PRINCIPALS, user.id.clone());
        change.unit.put(directory::put(&user)?);
        if !self.platform.try_commit(change).await? {
            return Err(taken());
        }
        Ok((201, Some(user_view(&user))))
    }

    /// PATCH of a person.
    pub(super) async fn update_user(&self, request: &GraphRequest, id: &str) -> Result<Answer> {
        let person = self.user(id).await?;
        let wanted = self.wanted(object(request)?, &user_view(&person)).await?;
        self.refuse_taken(&wanted, &person.id).await?;
        self.change(&person.id, |person| {
            wanted.write(person);
            Ok(())
        })
        .await?;
        if wanted.password.is_some() || wanted.enabled == Some(false) {
            authn::end_all_of(&self.platform, &person.id).await?;
        }
        if wanted.password.is_some() {
            guesses::forgive(&self.platform, &person).await;
        }
        Ok((204, None))
    }

    /// Deletes a person, with its roles and memberships, unless it is the last Owner. There is no way back.
    pub(super) async fn delete_user(&self, request: &GraphRequest, id: &str) -> Result<Answer> {
        let person = self.user(id).await?;
        self.delete_principal(request, &person.id).await
    }

    /// Deletes what has one row and no application.
    pub(super) async fn delete_principal(&self, request: &GraphRequest, id: &str) -> Result<Answer> {
        let contended = || Error::conflict("The principal is being changed by others at the same time; try again.");
        let mut attempts = self.platform.attempts();
        loop {
            attempts.begin(contended).await?;
            let row = self.platform.store.get(&PRINCIPALS, id).await?;
            let row = row.ok_or_else(|| unknown(id))?;
            let mut change = Change::new();
            change.unit.expect_version(&PRINCIPALS, id, row.version);
            remove_principal(&self.platform, &request.actor, id, &mut change).await?;
            if self.platform.try_commit(change).await? {
                authn::end_all_of(&self.platform, id).await?;
                return Ok((204, None));
            }
        }
    }

    /// The person who asks.
    ///
    /// # Errors
    /// Graph's refusal of a token that is no person's.
    pub(super) fn me<'a>(&self, request: &'a GraphRequest) -> Result<&'a Principal> {
        let person = request.actor.principal().filter(|principal| principal.kind == PrincipalKind::User);
        person.ok_or_else(|| {
            Error::invalid("/me request is only valid with delegated authentication flow: sign in as a person.")
                .with_code("Request_BadRequest")
        })
    }

    /// `POST /me/changePassword`: whoever knows the password sets another one.
    pub(super) async fn change_own_password(&self, request: &GraphRequest) -> Result<Answer> {
        let me = self.me(request)?;
        refuse_unknown(request.body.as_ref(), "", &["currentPassword", "newPassword"])?;
        let body = object(request)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        // Whoever holds a token of a person has the same tries as whoever has none.
        let guess = Guess { name: me.name(), person: Some(me), address: request.address };
        if !guesses::try_password(&self.platform, guess, text("currentPassword")).await? {
            return Err(bad("currentPassword", "The current password is not right."));
        }
        let hash = self.hashed(text("newPassword"), "newPassword").await?;
        self.change(&me.id, |person| {
            // Whoever set another one meanwhile has the last word: what was found right is not the password any more.
            let stored = person.user.as_ref().map(|user| user.password.as_str());
            if stored != me.user.as_ref().map(|user| user.password.as_str()) {
                return Err(bad("currentPassword", "The current password is not right."));
            }
            person.set_password(&hash);
            Ok(())
        })
        .await?;
        authn::end_all_of(&self.platform, &me.id).await?;
        Ok((204, None))
    }

    /// No token of before counts any more.
    pub(super) async fn revoke_sign_ins(&self, id: &str) -> Result<Answer> {
        self.change(id, |person| {
            person.end_what_was_given();
            Ok(())
        })
        .await?;
        authn::end_all_of(&self.platform, id).await?;
        Ok((200, Some(json!({"value": true}))))
    }

    /// A person by object id or sign-in name.
    pub(super) async fn user(&self, id: &str) -> Result<Arc<Principal>> {
        let store = self.platform.store.as_ref();
        let found = match directory::by_id(store, id).await? {
            Some(found) => Some(found),
            None => directory::by_user_name(store, id).await?,
        };
        found.filter(|found| found.kind == PrincipalKind::User).ok_or_else(|| unknown(id))
    }

    async fn refuse_taken(&self, wanted: &Wanted, own: &str) -> Result<()> {
        let Some(name) = &wanted.name else { return Ok(()) };
        match directory::by_user_name(self.platform.store.as_ref(), name).await? {
            Some(other) if other.id != own => Err(taken()),
            _ => Ok(()),
        }
    }

    async fn wanted(&self, body: &Map<String, Value>, shown: &Value) -> Result<Wanted> {
        let acted: Vec<&str> = ACTED_UPON.iter().chain(FACTS).copied().collect();
        refuse_unbuilt(body, shown, &acted)?;
        let given = |name: &str| body.get(name).filter(|value| !value.is_null());
        let mut wanted = Wanted {
            display_name: given("displayName").map(display_name).transpose()?,
            enabled: given("accountEnabled").map(|value| truth(value, "accountEnabled")).transpose()?,
            nickname: given("mailNickname").map(nickname).transpose()?,
            name: given("userPrincipalName").map(sign_in_name).transpose()?,
            password: None,
            must_change: None,
            facts: Vec::new(),
        };
        for fact in FACTS.iter().copied() {
            let Some(value) = body.get(fact) else { continue };
            wanted.facts.push((fact, if value.is_null() { None } else { Some(text(value, fact, FACT_CHARS)?) }));
        }
        let Some(profile) = given("passwordProfile") else { return Ok(wanted) };
        let known = ["password", "forceChangePasswordNextSignIn", "forceChangePasswordNextSignInWithMfa"];
        refuse_unknown(Some(profile), "passwordProfile", &known)?;
        if profile.get("forceChangePasswordNextSignInWithMfa").is_some_and(|value| value == &Value::Bool(true)) {
            return Err(Error::not_implemented(
                "Ferrohub has no second factors: leave 'forceChangePasswordNextSignInWithMfa' out.",
            ));
        }
        let force = profile.get("forceChangePasswordNextSignIn").filter(|value| !value.is_null());
        wanted.must_change =
            force.map(|value| truth(value, "passwordProfile.forceChangePasswordNextSignIn")).transpose()?;
        if let Some(password) = profile.get("password").filter(|value| !value.is_null()) {
            let text = password.as_str().unwrap_or_default();
            wanted.password = Some(self.hashed(text, "passwordProfile.password").await?);
        }
        Ok(wanted)
    }

    /// The stored form of a password that is complex enough.
    async fn hashed(&self, text: &str, path: &str) -> Result<String> {
        if !password::is_complex(text) {
            return Err(bad(
                path,
                format!(
                    "The specified password does not comply with password complexity requirements: {RULE}. Please provide a different password."
                ),
            ));
        }
        self.platform.passwords.hash(text).await
    }
}

impl Wanted {
    fn write(&self, person: &mut Principal) {
        if let Some(name) = &self.display_name {
            person.display_name.clone_from(name);
        }
        if let Some(enabled) = self.enabled {
            set_enabled(person, enabled);
        }
        if let Some(hash) = &self.password {
            person.set_password(hash);
        }
        let user = person.user.get_or_insert_default();
        if let Some(must) = self.must_change {
            user.must_change = must;
        }
        if let Some(nickname) = &self.nickname {
            user.mail_nickname.clone_from(nickname);
        }
        if let Some(name) = &self.name {
            user.name.clone_from(name);
        }
        for (fact, value) in &self.facts {
            match value {
                Some(value) => drop(user.facts.insert((*fact).to_owned(), value.clone())),
                None => drop(user.facts.remove(*fact)),
            }
        }
    }
}

/// Lets somebody sign in, or not; what it got before does not come back with it.
pub(super) fn set_enabled(principal: &mut Principal, enabled: bool) {
    principal.disabled = !enabled;
    if !enabled {
        principal.end_what_was_given();
    }
}

/// A person as Graph shows it.
pub(super) fn user_view(person: &Principal) -> Value {
    let nobody = User::default();
    let user = person.user.as_ref().unwrap_or(&nobody);
    let mut view = json!({
        "@odata.type": "#microsoft.graph.user",
        "id": person.id,
        "deletedDateTime": null,
        "accountEnabled": !person.disabled,
        "businessPhones": [],
        "createdDateTime": time(person.made),
        "displayName": person.display_name,
        "mailNickname": user.mail_nickname,
        "userPrincipalName": user.name,
        "userType": "Member"
    });
    for fact in FACTS {
        view[*fact] = user.facts.get(*fact).cloned().map_or(Value::Null, Value::String);
    }
    view
}

fn sign_in_name(sent: &Value) -> Result<String> {
    let path = "userPrincipalName";
    let name = text(sent, path, USER_NAME_CHARS)?;
    let legal = |c: char| c.is_ascii_alphanumeric() || "'.-_!#^~".contains(c);
    let well_formed = name.split_once('@').is_some_and(|(alias, domain)| {
        !alias.is_empty()
            && alias.chars().all(legal)
            && !alias.ends_with('.')
            && !domain.is_empty()
            && domain.split('.').all(|label| {
                !label.is_empty()
                    && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                    && !label.starts_with('-')
            })
    });
    if well_formed {
        return Ok(name);
    }
    Err(bad(
        path,
        "Property userPrincipalName is invalid: it is written as alias@domain, with letters, digits and '.-_!#^~ in the alias.",
    ))
}

/// An alias for mail.
pub(super) fn nickname(sent: &Value) -> Result<String> {
    let name = text(sent, "mailNickname", NICKNAME_CHARS)?;
    let legal = |c: char| c.is_ascii_graphic() && !"@()\\[]\";:<>,".contains(c);
    if !name.is_empty() && name.chars().all(legal) {
        return Ok(name);
    }
    Err(bad(
        "mailNickname",
        "Invalid value specified for property 'mailNickname': letters, digits and most symbols, no blanks and no '@'.",
    ))
}

/// A text of so many characters, none of them hidden.
pub(super) fn text(sent: &Value, path: &str, most: usize) -> Result<String> {
    let text = sent.as_str().map(str::trim);
    let fits = |text: &&str| text.chars().count() <= most && !text.chars().any(is_hidden);
    let text = text.filter(fits).ok_or_else(|| {
        bad(path, format!("'{path}' is a text of at most {most} characters, none of them a control character."))
    })?;
    Ok(text.to_owned())
}

pub(super) fn truth(sent: &Value, path: &str) -> Result<bool> {
    sent.as_bool().ok_or_else(|| bad(path, format!("'{path}' is true or false.")))
}

fn taken() -> Error {
    bad("userPrincipalName", "Another object with the same value for property userPrincipalName already exists.")
}

pub(super) fn bad(path: &str, message: impl Into<String>) -> Error {
    Error::invalid(message).with_code("Request_BadRequest").with_target(path)
}

//! What is written in an api-version is read in it as it was written, and what another one cannot express survives a change
//! through it: every type and every pair of its api-versions, found by iteration, with generated documents.
//!
//! `FERROHUB_VIEWS_SEEDS=50` runs more seeds, `FERROHUB_VIEWS_SEED=17` one alone. A failure names its seed.

use super::fixture::World;
use super::generator::{Generator, Wanted};
use super::properties::one_of_each;
use super::views::{everything, stable, world_of_everything};
use super::written::{RESOURCE, Written, differences};
use ferrohub_model::api_version::ApiVersion;
use ferrohub_model::error::Error;
use ferrohub_model::resource_id::ResourceId;
use ferrohub_service::arm::declaration::{TypeDecl, View};
use ferrohub_service::arm::schema::{Check, Meaning, Property};
use ferrohub_service::resources;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

const SEEDS: u64 = 1;
/// Members that the product acts on and that documents say in two ways, at least. Others are ids, keys and the like, of which there is one.
const ACTED: usize = 40;
/// Values that are tried for a member whose rules only its type knows.
const TRIES: usize = 3;

/// Members that say keys once and then masked ones: whoever took them away could not put them back.
const NOT_GIVEN_BACK: [&str; 2] = ["iotHubs", "authorizationPolicies"];

#[tokio::test]
async fn generated_documents_survive_every_pair_of_versions() {
    let wanted = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match wanted("FERROHUB_VIEWS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..wanted("FERROHUB_VIEWS_SEEDS").unwrap_or(SEEDS),
    };
    let (mut world, mut written) = (world_of_everything().await, Written::default());
    for seed in seeds {
        let mut generator = Generator::new(seed);
        for (at, decl) in one_of_each(&world).await.into_iter().map(|(decl, ..)| decl).enumerate() {
            for (index, version) in decl.versions().into_iter().enumerate() {
                generator.know(texts(&world).await);
                let number = seed * 10_000 + (at * 100 + index) as u64;
                let (_, path, _) = one_of_each(&world).await.swap_remove(at);
                let case = Case { world: &world, decl, version, seed };
                if !Box::pin(case.run(&path, number, &mut generator, &mut written)).await {
                    world = world_of_everything().await;
                }
            }
        }
    }
    let written_to: Vec<&TypeDecl> = one_of_each(&world).await.into_iter().map(|(decl, ..)| decl).collect();
    let missed: Vec<String> = written_to.iter().flat_map(|decl| written.missed(decl)).collect();
    assert_eq!(missed, Vec::<String>::new(), "no document said these members");
    let acted: usize = written_to.iter().map(|decl| written.acted(decl)).sum();
    assert!(acted >= ACTED, "of what the product acts on only {acted} members were said in two ways");
}

/// Texts that mean something to types: what is there by its id, and actions of roles.
async fn texts(world: &World) -> Vec<String> {
    let mut texts: Vec<String> = everything(world).await.into_iter().map(|(_, path)| path).collect();
    texts.extend(["*/read", "Microsoft.Devices/IotHubs/read", "line-7", ""].map(str::to_owned));
    texts
}

/// One type in one api-version, in which a document is written.
struct Case<'a> {
    world: &'a World,
    decl: &'static TypeDecl,
    version: &'static str,
    seed: u64,
}

/// A member of a resource: its path from the root, in the newest shape.
struct Member {
    steps: Vec<String>,
    property: &'static Property,
}

impl Case<'_> {
    /// Whether the world is as it was afterwards.
    async fn run(&self, path: &str, number: u64, generator: &mut Generator, written: &mut Written) -> bool {
        let original = self.shapes(path).await;
        let base = newest(self.decl, self.version, self.world.get(path, self.version).await);
        let (at, mut doc) = match self.made(path, number, &base, generator).await {
            Some((fresh, doc)) => (fresh, doc),
            None => (path.to_owned(), base),
        };
        self.vary(&at, &mut doc, generator).await;
        let sent = self.shape(&doc);
        if let Err(error) = self.put(&at, self.version, sent.clone()).await {
            panic!("{}: what was taken is refused: {error} {sent}", self.named(&at, self.version));
        }
        let (mut sent, mut read) = (newest(self.decl, self.version, sent), self.read(&at).await);
        for doc in [&mut sent, &mut read] {
            self.name_once(doc).await;
        }
        let mut lost = Vec::new();
        differences(&self.known(), &sent, &read, "", &mut lost);
        assert!(lost.is_empty(), "{}: {lost:#?}\nsent {sent}\nread {read}", self.named(&at, self.version));
        written.note(self.decl, &sent);
        self.put_back_by_all(&at, generator).await;
        if at == path {
            return self.restore(path, &original).await;
        }
        self.world.send(&self.world.owner, "DELETE", &at, self.version, None).await.unwrap();
        true
    }

    /// Writes what was read before in every shape: what one of them only reads, another one writes.
    async fn restore(&self, path: &str, original: &BTreeMap<String, Value>) -> bool {
        for view in self.decl.views {
            let through = Case { version: version_of(self.decl, view), ..*self };
            let shown = format!("{} {}", path.to_lowercase(), through.version);
            let _ = self.put(path, through.version, through.shape(&original[&shown])).await;
        }
        self.shapes(path).await == *original
    }

    fn named(&self, path: &str, other: &str) -> String {
        format!("seed {}: {path} written in {}, asked in {other}", self.seed, self.version)
    }

    /// A resource of its own, with members that never change; `None` where the type has no second one like `path`.
    async fn made(&self, path: &str, number: u64, base: &Value, generator: &mut Generator) -> Option<(String, Value)> {
        let (above, name) = path.rsplit_once('/')?;
        let name = match name.parse::<Uuid>() {
            Ok(_) => Uuid::from_u128(u128::from(number) | 0x4000_8000_0000_0000_0000).to_string(),
            Err(_) => format!("{}{number}", &name[..name.len().min(self.decl.name.max.saturating_sub(8)).min(20)]),
        };
        let fresh = format!("{above}/{name}");
        let mut refused = None;
        let kinds: [fn(&Property) -> bool; 2] =
            [|_| true, |property| matches!(property.meaning, Meaning::Descriptive(_))];
        for wanted in kinds {
            let mut doc = base.clone();
            for member in self.members().into_iter().filter(|member| wanted(member.property)) {
                self.draw(&member, Wanted::All, &mut doc, generator);
            }
            match self.put(&fresh, self.version, self.shape(&doc)).await {
                Ok(()) => return Some((fresh, doc)),
                // A word that only newer ones have.
                Err(error) if error.message.contains("came with the api-version") => {}
                Err(error) => refused = Some((error, doc)),
            }
        }
        let without = self.put(&fresh, self.version, self.shape(base)).await;
        assert!(without.is_err() || refused.is_none(), "{}: {refused:?}", self.named(&fresh, self.version));
        None
    }

    /// Changes as much of a resource as it takes: everything at once, or one member after the other.
    async fn vary(&self, path: &str, doc: &mut Value, generator: &mut Generator) {
        let members = || self.members().into_iter().filter(|member| !member.property.create_only);
        let mut all = doc.clone();
        members().for_each(|member| self.draw(&member, Wanted::All, &mut all, generator));
        if self.put(path, self.version, self.shape(&all)).await.is_ok() {
            *doc = all;
            return;
        }
        for member in members() {
            self.vary_member(path, &member, doc, generator).await;
        }
    }

    async fn vary_member(&self, path: &str, member: &Member, doc: &mut Value, generator: &mut Generator) {
        for attempt in 0..TRIES {
            let (mut changed, wanted) = (doc.clone(), if attempt % 2 == 0 { Wanted::All } else { Wanted::Kept });
            self.draw(member, wanted, &mut changed, generator);
            if changed == *doc {
                continue;
            }
            match self.put(path, self.version, self.shape(&changed)).await {
                Ok(()) => {
                    *doc = changed;
                    return;
                }
                Err(error) => assert!(
                    !member.is_only_kept(),
                    "{}: '{}' is only kept and is refused: {error} {changed}",
                    self.named(path, self.version),
                    member.steps.join(".")
                ),
            }
        }
        for member in member.below(doc) {
            Box::pin(self.vary_member(path, &member, doc, generator)).await;
        }
    }

    /// Each api-version puts back what it reads, and nothing changes in any; then it changes a member, and what it does not
    /// know stays.
    async fn put_back_by_all(&self, path: &str, generator: &mut Generator) {
        let mut before = self.shapes(path).await;
        for other in self.decl.versions() {
            let through = Case { version: other, ..*self };
            let named = self.named(path, other);
            let doc = self.world.get(path, other).await;
            if let Err(error) = self.put(path, other, doc.clone()).await {
                panic!("{named}: what was read is refused: {error} {:?} {doc}", error.context);
            }
            let after = self.shapes(path).await;
            assert_eq!(before, after, "{named}");
            let members: Vec<Member> = through.members().into_iter().filter(|m| !m.property.create_only).collect();
            if members.is_empty() {
                continue;
            }
            let mut changed = newest(self.decl, other, doc);
            through.draw(&members[generator.below(members.len())], Wanted::All, &mut changed, generator);
            if self.put(path, other, through.shape(&changed)).await.is_ok() {
                let now = self.shapes(path).await;
                for (shown, was) in &after {
                    if let Some(what) = unseen(through.view(), was, &now[shown]) {
                        panic!(
                            "{named}: a change {changed} through it changed {what}, as {shown} shows: {was} {}",
                            now[shown]
                        );
                    }
                }
                before = now;
            }
        }
    }

    /// What every id that shows the resource answers, once in each shape that its type has; in the newest shape.
    async fn shapes(&self, path: &str) -> BTreeMap<String, Value> {
        let platform = self.world.platform();
        let stored = resources::get(platform, &ResourceId::parse(path).unwrap()).await.unwrap().unwrap();
        let mut shapes = BTreeMap::new();
        for id in resources::ids_of(platform, stored.uid).await.unwrap() {
            // An authority without a certificate policy is none of the older generation's policies yet.
            if resources::get(platform, &id).await.unwrap().is_none() {
                continue;
            }
            let decl = platform.types.tagged(platform.kinds.of(&id).unwrap().tag).unwrap();
            for view in decl.views {
                let version = version_of(decl, view);
                let doc = newest(decl, version, stable(self.world.get(&id.to_string(), version).await));
                shapes.insert(format!("{} {version}", id.to_string().to_lowercase()), doc);
            }
        }
        shapes
    }

    fn view(&self) -> &'static View {
        view_of(self.decl, self.version)
    }

    /// Members beside those of `properties`, and all of these.
    fn known(&self) -> (Vec<&'static Property>, &'static [Property]) {
        let roots = self.decl.members().into_iter().filter(|(path, _)| !path.contains(['.', '[', '{']));
        (roots.map(|(_, property)| property).collect(), self.decl.properties)
    }

    /// The members that a client may write in this api-version. Those at the root that have rules of their own are left alone.
    fn members(&self) -> Vec<Member> {
        let (roots, properties) = self.known();
        let roots = roots.into_iter().filter(|root| ["tags", "extendedLocation", "sku"].contains(&root.name));
        let roots = roots.map(|property| Member { steps: vec![property.name.into()], property });
        let all = roots.chain(
            properties
                .iter()
                .map(|property| Member { steps: vec!["properties".into(), property.name.into()], property }),
        );
        let all = all.filter(|member| !NOT_GIVEN_BACK.contains(&member.property.name));
        all.filter(|member| !self.view().hidden.contains(&member.steps.join(".").as_str())).collect()
    }

    /// Gives a member another value, or takes it away where it may be left out.
    fn draw(&self, member: &Member, wanted: Wanted, doc: &mut Value, generator: &mut Generator) {
        let Some(value) = generator.value(member.property, wanted) else { return };
        let (last, above) = member.steps.split_last().unwrap();
        let Some(at) = above.iter().try_fold(doc, |at, step| match at {
            Value::Array(list) => list.get_mut(step.parse::<usize>().ok()?),
            at => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                Some(&mut at[step.as_str()])
            }
        }) else {
            return;
        };
        match at.as_object_mut() {
            Some(at) if !member.property.required && generator.below(5) == 0 => drop(at.shift_remove(last)),
            _ => at[last.as_str()] = value,
        }
    }

    /// A document in the newest shape as this api-version says it.
    fn shape(&self, doc: &Value) -> Value {
        let mut doc = doc.clone();
        for path in self.view().hidden {
            remove(&mut doc, &path.split('.').collect::<Vec<_>>());
        }
        (self.view().to)(&mut doc);
        doc
    }

    /// Gives what a document names one name, by whichever of its ids it is named: those of two generations, in any case.
    async fn name_once(&self, doc: &mut Value) {
        match doc {
            Value::Object(map) => {
                for entry in map.values_mut() {
                    Box::pin(self.name_once(entry)).await;
                }
            }
            Value::Array(list) => {
                for entry in list {
                    Box::pin(self.name_once(entry)).await;
                }
            }
            Value::String(text) => {
                let Ok(id) = ResourceId::parse(text) else { return };
                if let Some(stored) = resources::get(self.world.platform(), &id).await.unwrap() {
                    *text = format!("{RESOURCE}{}", stored.uid);
                }
            }
            _ => {}
        }
    }

    async fn read(&self, path: &str) -> Value {
        newest(self.decl, self.version, self.world.get(path, self.version).await)
    }

    /// A write of the owner. What is refused is refused for what it says.
    async fn put(&self, path: &str, version: &str, body: Value) -> Result<(), Error> {
        let stands = resources::get(self.world.platform(), &ResourceId::parse(path).unwrap()).await.unwrap().is_some();
        let if_match = (self.decl.needs_if_match && stands).then_some("*");
        let answer = self.world.request(&self.world.owner, "PUT", path, version, Some(body.clone()), if_match).await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => {
                let status = error.http_status();
                assert!(status < 500 || status == 501, "{path} {version}: {error} {:?} {body}", error.context);
                Err(error)
            }
        }
    }
}

fn view_of(decl: &'static TypeDecl, version: &str) -> &'static View {
    decl.view(&ApiVersion::parse(version).unwrap(), None).unwrap()
}

/// The newest api-version that has a shape.
fn version_of(decl: &'static TypeDecl, view: &'static View) -> &'static str {
    decl.versions().into_iter().find(|version| std::ptr::eq(view_of(decl, version), view)).unwrap()
}

/// What an api-version says, in the newest shape.
fn newest(decl: &'static TypeDecl, version: &str, mut doc: Value) -> Value {
    (view_of(decl, version).from)(&mut doc);
    doc
}

impl Member {
    /// Whether nothing acts on it, so that nothing but its declaration can refuse it.
    fn is_only_kept(&self) -> bool {
        self.steps[0] == "properties" && matches!(self.property.meaning, Meaning::Descriptive(_))
    }

    /// The members in it, and in what a document has in it.
    fn below(&self, doc: &Value) -> Vec<Self> {
        let mut found = Vec::new();
        let value = self.steps.iter().try_fold(doc, |at, step| match at {
            Value::Array(list) => list.get(step.parse::<usize>().ok()?),
            at => at.get(step),
        });
        Self::within(&self.property.check, &self.steps, value.unwrap_or(&Value::Null), &mut found);
        found
    }

    fn within(check: &'static Check, steps: &[String], value: &Value, found: &mut Vec<Self>) {
        let with = |step: &str| [steps, &[step.to_owned()]].concat();
        match (check, value) {
            (Check::Members(known), _) => {
                let known = known.iter().filter(|property| !property.create_only);
                found.extend(known.map(|property| Self { steps: with(property.name), property }));
            }
            (Check::Each(inner, _), Value::Array(list)) => {
                list.iter()
                    .enumerate()
                    .for_each(|(at, entry)| Self::within(inner, &with(&at.to_string()), entry, found));
            }
            (Check::Named(inner, _), Value::Object(map)) => {
                map.iter().for_each(|(name, entry)| Self::within(inner, &with(name), entry, found));
            }
            _ => {}
        }
    }
}

fn remove(doc: &mut Value, steps: &[&str]) {
    match (steps, doc) {
        (["*", rest @ ..], Value::Array(list)) => list.iter_mut().for_each(|entry| remove(entry, rest)),
        (["*", rest @ ..], Value::Object(map)) => map.values_mut().for_each(|entry| remove(entry, rest)),
        ([last], Value::Object(map)) => drop(map.shift_remove(*last)),
        ([step, rest @ ..], Value::Object(map)) => {
            if let Some(below) = map.get_mut(*step) {
                remove(below, rest);
            }
        }
        _ => {}
    }
}

/// What `view` does not know and differs all the same, where the object that it belongs to is still there.
fn unseen(view: &View, before: &Value, after: &Value) -> Option<String> {
    let hidden = view.hidden.iter().filter(|path| !["etag", "systemData"].contains(*path));
    hidden.filter(|path| differs(before, after, &path.split('.').collect::<Vec<_>>())).map(ToString::to_string).next()
}

fn differs(before: &Value, after: &Value, steps: &[&str]) -> bool {
    match (steps, before, after) {
        (["*", rest @ ..], Value::Object(before), Value::Object(after)) => {
            before.iter().any(|(name, was)| after.get(name).is_some_and(|now| differs(was, now, rest)))
        }
        ([last], Value::Object(before), Value::Object(after)) => before.get(*last) != after.get(*last),
        ([step, rest @ ..], Value::Object(before), Value::Object(after)) => match (before.get(*step), after.get(*step))
        {
            (Some(was), Some(now)) => differs(was, now, rest),
            _ => false,
        },
        _ => false,
    }
}

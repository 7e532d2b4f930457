//! Documents that a declaration allows, at random: a seed decides, and a failure names it.

use ferrohub_service::arm::schema::{Check, Meaning, Property};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::sample::select;
use proptest::strategy::{BoxedStrategy, Just, Strategy, Union, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

/// Longest list and map, and longest short text.
const MOST: usize = 3;
const CHARS: usize = 12;
/// Texts that rules in words may be about: the generator asks the rule which of them it takes.
const KNOWN: &[&str] = &[
    "2026-04-02T07:59:00Z",
    "1999-12-31T23:59:59.123456789Z",
    "2026-04-02T07:59:00+05:30",
    "plant7-schemas",
    "abc",
    "https://account.blob.core.windows.net/schemas",
    "https://st7.blob.core.windows.net/others",
    "PT1H",
    "P1D",
    "10.0.0.0/8",
];
/// Characters that formats, paths and queries make much of, and some that are more than a byte.
const LETTERS: &[char] = &[
    'a', 'B', 'z', '0', '9', ' ', '.', ',', '*', '/', '\\', '"', '\'', '{', '$', '%', '<', '-', 'é', '漢', '😀', '\n',
];
/// Names of a client's choice.
const NAMES: &[&str] = &["a", "B2", "two.2", "*", "x y", "é", "properties", "address"];

/// Draws values.
pub(super) struct Generator {
    runner: TestRunner,
    /// Texts that mean something where they are drawn, such as ids of what is there.
    texts: Vec<String>,
}

/// Which members are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All that a client may write.
    All,
    /// Those that are only kept, and what they lie in: nothing but the declaration refuses them.
    Kept,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        let bytes: Vec<u8> = (0..4).flat_map(|part: u64| (seed ^ (part << 56)).to_le_bytes()).collect();
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self { runner: TestRunner::new_with_rng(Config::default(), rng), texts: Vec::new() }
    }

    /// From now on these texts are drawn too.
    pub(super) fn know(&mut self, texts: Vec<String>) {
        self.texts = texts;
    }

    /// A value that a member may have; `None` where only the type itself knows what that is.
    pub(super) fn value(&mut self, property: &'static Property, wanted: Wanted) -> Option<Value> {
        let strategy = Drawing { texts: &self.texts, wanted }.strategy(property)?;
        Some(self.draw(&strategy))
    }

    /// One of several.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.draw(&(0..limit))
    }

    fn draw<T: Strategy>(&mut self, strategy: &T) -> T::Value {
        strategy.new_tree(&mut self.runner).expect("nothing is filtered").current()
    }
}

/// How one value is drawn.
#[derive(Clone, Copy)]
struct Drawing<'a> {
    texts: &'a [String],
    wanted: Wanted,
}

impl Drawing<'_> {
    fn strategy(self, property: &'static Property) -> Option<BoxedStrategy<Value>> {
        let holds = matches!(property.check, Check::Members(_) | Check::Each(..) | Check::Named(..));
        match property.meaning {
            Meaning::ReadOnly | Meaning::Unbuilt(_) => None,
            Meaning::Acted if self.wanted == Wanted::Kept && !holds => None,
            Meaning::Acted | Meaning::Descriptive(_) if property.name == "tags" => Some(tags()),
            Meaning::Acted | Meaning::Descriptive(_) => self.of(&property.check),
        }
    }

    fn of(self, check: &'static Check) -> Option<BoxedStrategy<Value>> {
        Some(match check {
            Check::Bool => select(vec![json!(true), json!(false)]).boxed(),
            Check::Integer(least, most) => {
                let middle = least + (most - least) / 2;
                let values = [*least, (least + 1).min(*most), middle, *most].map(|number| json!(number));
                select(values.to_vec()).boxed()
            }
            Check::Text(most) => self.text(*most),
            Check::Matches(legal, words) => {
                let known: Vec<Value> = KNOWN.iter().filter(|text| legal(text)).map(|text| json!(text)).collect();
                assert!(!known.is_empty(), "the generator knows no text that is {words}");
                select(known).boxed()
            }
            Check::OneOf(words) => select(words.iter().map(|word| json!(word)).collect::<Vec<_>>()).boxed(),
            Check::Texts(texts) => Just(json!(texts)).boxed(),
            Check::Object(_) => object(2).prop_map(Value::Object).boxed(),
            Check::Members(known) => self.members(known, None)?,
            Check::Each(inner, most) => vec(self.of(inner)?, 0..=MOST.min(*most)).prop_map(Value::Array).boxed(),
            Check::Named(inner, most) => {
                let entries = vec((select(NAMES), self.of(inner)?), 0..=MOST.min(*most));
                entries.prop_map(|entries| Value::Object(named(entries))).boxed()
            }
            Check::Shapes(chooser, shapes) => {
                let shapes: Option<Vec<_>> =
                    shapes.iter().map(|(word, known)| self.members(known, Some((chooser.name, word)))).collect();
                Union::new(shapes?).boxed()
            }
            Check::Off | Check::Own => return None,
        })
    }

    /// An object with all that it must have and some of what it may have; `chosen` is the member that says its shape.
    fn members(
        self,
        known: &'static [Property],
        chosen: Option<(&'static str, &'static str)>,
    ) -> Option<BoxedStrategy<Value>> {
        let mut drawn = Vec::new();
        for property in known {
            match self.strategy(property) {
                Some(value) if property.required => drawn.push((property.name, value.prop_map(Some).boxed())),
                Some(value) => drawn.push((property.name, weighted(0.6, value).boxed())),
                None if property.required => return None,
                None => {}
            }
        }
        let (names, values): (Vec<&str>, Vec<_>) = drawn.into_iter().unzip();
        let object = values.prop_map(move |values| {
            let given = names.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
            Value::Object(chosen.map(|(name, word)| (name.to_owned(), json!(word))).into_iter().chain(given).collect())
        });
        Some(object.boxed())
    }

    fn text(self, most: usize) -> BoxedStrategy<Value> {
        let known = self.texts.iter().filter(|text| text.chars().count() <= most).map(|text| json!(text));
        let known: Vec<Value> = known.collect();
        match known.is_empty() || self.wanted == Wanted::Kept {
            true => text(most),
            false => Union::new([text(most), select(known).boxed()]).boxed(),
        }
    }
}

fn text(most: usize) -> BoxedStrategy<Value> {
    let of = |length| vec(select(LETTERS), length).prop_map(|letters| json!(letters.into_iter().collect::<String>()));
    let short = of(proptest::collection::SizeRange::from(0..=CHARS.min(most)));
    let longest = of(most.min(100).into());
    proptest::strategy::TupleUnion::new(((9, short.boxed().into()), (1, longest.boxed().into()))).boxed()
}

/// A document of the client's own, in which null says null.
fn object(depth: u32) -> BoxedStrategy<Map<String, Value>> {
    let leaves = [
        json!(null),
        json!(true),
        json!(0),
        json!(-7),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!("é"),
        json!(""),
    ];
    let leaf = select(leaves.to_vec()).boxed();
    let value = match depth {
        0 => leaf,
        _ => {
            let list = vec(leaf.clone(), 0..=MOST).prop_map(Value::Array).boxed();
            Union::new([leaf, list, object(depth - 1).prop_map(Value::Object).boxed()]).boxed()
        }
    };
    vec((select(NAMES), value), 0..=MOST).prop_map(named).boxed()
}

fn named(entries: Vec<(&str, Value)>) -> Map<String, Value> {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn tags() -> BoxedStrategy<Value> {
    let entry = (select(vec!["a", "b c", "é", "site.7"]), select(vec!["", "x", "a \"b\"", "漢"]));
    vec(entry, 0..=MOST)
        .prop_map(|tags| Value::Object(named(tags.into_iter().map(|(name, value)| (name, json!(value))).collect())))
        .boxed()
}

//! Values as expressions see them: cheap to copy, borrowed from the rows where they can be.

use super::times;
use serde_json::{Number, Value as Json};
use std::cmp::Ordering;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Longest text that an expression makes, bytes; a longer one is nothing: ours (Kusto: 1 MB).
pub(crate) const TEXT_BYTES: usize = 1024 * 1024;
/// Weight of the largest array or object that an expression makes; a larger one is nothing: ours (Kusto: 1 MB of JSON, which weighs
/// about as much in memory).
pub(crate) const DYNAMIC_BYTES: usize = 4 * 1024 * 1024;
/// Levels of an array or object that an expression makes; a deeper one is nothing: ours (clients read as many).
pub(crate) const DYNAMIC_DEPTH: usize = 128;

/// What an expression yields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// True or false.
    Bool,
    /// A whole number of 64 bits.
    Long,
    /// A number with a fraction.
    Real,
    /// Text.
    String,
    /// A moment.
    DateTime,
    /// A span of time.
    TimeSpan,
    /// Whatever JSON can hold.
    Dynamic,
}

impl Type {
    /// Kusto's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Long => "long",
            Self::Real => "real",
            Self::String => "string",
            Self::DateTime => "datetime",
            Self::TimeSpan => "timespan",
            Self::Dynamic => "dynamic",
        }
    }

    /// The name that a table in Resource Graph's answer gives it (`ColumnDataType`).
    pub fn column_type(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Long => "integer",
            Self::Real => "number",
            // The list of types that Azure's clients know has none for times.
            Self::String | Self::DateTime | Self::TimeSpan => "string",
            Self::Dynamic => "object",
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Long | Self::Real)
    }
}

/// Text that a row holds, or that was made.
#[derive(Debug, Clone)]
pub enum Text<'s> {
    /// In a row or in the plan.
    Borrowed(&'s str),
    /// Made.
    Shared(Arc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

/// A value. A `Dynamic` is an array or an object: the scalars of JSON are values of their own.
#[derive(Debug, Clone)]
pub enum Value<'s> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(Text<'s>),
    /// Ticks of 100 ns since the Unix epoch.
    DateTime(i64),
    /// Ticks of 100 ns.
    TimeSpan(i64),
    /// An array or an object.
    Dynamic(Arc<Json>),
}

impl<'s> Value<'s> {
    /// Text that a row holds.
    pub fn text(text: &'s str) -> Self {
        Self::Text(Text::Borrowed(text))
    }

    /// Text that was made.
    pub fn made(text: impl Into<Arc<str>>) -> Self {
        Self::Text(Text::Shared(text.into()))
    }

    /// A value out of JSON.
    pub fn of_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Bool(*flag),
            Json::Number(number) => Self::of_number(number),
            Json::String(text) => Self::made(text.as_str()),
            Json::Array(_) | Json::Object(_) => Self::Dynamic(Arc::new(json.clone())),
        }
    }

    fn of_number(number: &Number) -> Self {
        match number.as_i64() {
            Some(whole) => Self::Long(whole),
            None => Self::Real(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    /// The value as JSON shows it: times as text, what JSON has no number for as text too.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(flag) => Json::Bool(*flag),
            Self::Long(whole) => Json::from(*whole),
            Self::Real(number) => {
                Number::from_f64(*number).map_or_else(|| Json::String(number.to_string()), Json::Number)
            }
            Self::Text(text) => Json::String(text.to_string()),
            Self::DateTime(ticks) => Json::String(times::datetime_text(*ticks)),
            Self::TimeSpan(ticks) => Json::String(times::timespan_text(*ticks)),
            Self::Dynamic(json) => json.as_ref().clone(),
        }
    }

    /// The value with everything it holds its own.
    pub(crate) fn owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(flag),
            Self::Long(whole) => Value::Long(whole),
            Self::Real(number) => Value::Real(number),
            Self::Text(Text::Borrowed(text)) => Value::made(text),
            Self::Text(Text::Shared(text)) => Value::Text(Text::Shared(text)),
            Self::DateTime(ticks) => Value::DateTime(ticks),
            Self::TimeSpan(ticks) => Value::TimeSpan(ticks),
            Self::Dynamic(json) => Value::Dynamic(json),
        }
    }

    /// Whether it is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// A number with a fraction, of any number.
    pub(crate) fn as_real(&self) -> Option<f64> {
        match self {
            Self::Long(whole) => Some(*whole as f64),
            Self::Real(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn as_long(&self) -> Option<i64> {
        match self {
            Self::Long(whole) => Some(*whole),
            _ => None,
        }
    }

    /// The text of it, as `tostring()` makes it; nothing is empty.
    pub(crate) fn to_text(&self) -> Text<'s> {
        let mut made = String::new();
        match self {
            Self::Text(text) => return text.clone(),
            Self::Null => return Text::Borrowed(""),
            Self::Bool(true) => return Text::Borrowed("true"),
            Self::Bool(false) => return Text::Borrowed("false"),
            Self::Long(whole) => drop(write!(made, "{whole}")),
            Self::Real(number) => made = real_text(*number),
            Self::DateTime(ticks) => made = times::datetime_text(*ticks),
            Self::TimeSpan(ticks) => made = times::timespan_text(*ticks),
            Self::Dynamic(json) => made = json.to_string(),
        }
        Text::Shared(made.into())
    }

    /// Bytes that it holds itself.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Text(Text::Shared(text)) => text.len() + 16,
            Self::Dynamic(json) => json_weight(json),
            _ => 0,
        }
    }

    /// Whether an expression may yield it: what is larger, or nested deeper, is nothing.
    pub(crate) fn fits(&self) -> bool {
        match self {
            Self::Text(text) => text.len() <= TEXT_BYTES,
            Self::Dynamic(json) => json_weight(json) <= DYNAMIC_BYTES && is_shallow(json, DYNAMIC_DEPTH),
            _ => true,
        }
    }

    /// Whether both are the same, as `==` sees it; `None` for two nothings.
    pub(crate) fn equals(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Null, Self::Null) => None,
            // What is missing in a dynamic equals the empty text.
            (Self::Null, Self::Text(text)) | (Self::Text(text), Self::Null) => Some(text.is_empty()),
            (Self::Null, _) | (_, Self::Null) => Some(false),
            (Self::Text(one), Self::Text(two)) => Some(**one == **two),
            (Self::Dynamic(one), Self::Dynamic(two)) => Some(one == two),
            (Self::Text(_), _) | (_, Self::Text(_)) => Some(*self.to_text() == *other.to_text()),
            _ => Some(self.order(other) == Some(Ordering::Equal)),
        }
    }

    /// How two values of one kind stand to each other; `None` where they cannot be compared.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(one), Self::Bool(two)) => Some(one.cmp(two)),
            (Self::Long(one), Self::Long(two)) => Some(one.cmp(two)),
            (Self::DateTime(one), Self::DateTime(two)) | (Self::TimeSpan(one), Self::TimeSpan(two)) => {
                Some(one.cmp(two))
            }
            (Self::Text(one), Self::Text(two)) => Some((**one).cmp(&**two)),
            // A dynamic holds times as text.
            (Self::Text(one), Self::DateTime(two)) => times::parse_datetime(one).map(|one| one.cmp(two)),
            (Self::DateTime(one), Self::Text(two)) => times::parse_datetime(two).map(|two| one.cmp(&two)),
            (one, two) => one.as_real()?.partial_cmp(&two.as_real()?),
        }
    }

    /// A total order for sorting, in which every value has its place; nothing comes first, what is no number behind all numbers.
    pub(crate) fn sorting(&self, other: &Self) -> Ordering {
        match (self, other) {
            // Numbers go by what both kinds can say of them first, so that an order of three is one of each two of them.
            (Self::Long(one), Self::Long(two)) => (*one as f64).total_cmp(&(*two as f64)).then(one.cmp(two)),
            (Self::Long(one), Self::Real(two)) => (*one as f64).total_cmp(two).then(Ordering::Less),
            (Self::Real(one), Self::Long(two)) => one.total_cmp(&(*two as f64)).then(Ordering::Greater),
            (Self::Real(one), Self::Real(two)) => one.total_cmp(two),
            (one, two) if one.rank() == two.rank() => one.order(two).unwrap_or(Ordering::Equal),
            (one, two) => one.rank().cmp(&two.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Long(_) | Self::Real(_) => 2,
            Self::TimeSpan(_) => 3,
            Self::DateTime(_) => 4,
            Self::Text(_) => 5,
            Self::Dynamic(_) => 6,
        }
    }

    /// Whether both are the same as a key of groups: there nothing equals nothing.
    pub(crate) fn same_key(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Null, _) | (_, Self::Null) => false,
            (Self::Real(one), Self::Real(two)) => one.to_bits() == two.to_bits(),
            (one, two) => one.rank() == two.rank() && one.equals(two) == Some(true),
        }
    }
}

/// Hashes as `Value::same_key` compares.
impl Hash for Value<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(self.rank());
        match self {
            Self::Null => {}
            Self::Bool(flag) => flag.hash(state),
            Self::Long(whole) | Self::DateTime(whole) | Self::TimeSpan(whole) => hash_number(*whole, state),
            Self::Real(number) if number.fract() == 0.0 && number.abs() < 9e15 => hash_number(*number as i64, state),
            Self::Real(number) => state.write_u64(number.to_bits()),
            Self::Text(text) => text.hash(state),
            Self::Dynamic(json) => json.to_string().hash(state),
        }
    }
}

fn hash_number<H: Hasher>(whole: i64, state: &mut H) {
    state.write_i64(whole);
}

fn real_text(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 { format!("{number:.1}") } else { number.to_string() }
}

/// Bytes that JSON holds, about.
pub(crate) fn json_weight(json: &Json) -> usize {
    match json {
        Json::String(text) => 48 + text.len(),
        Json::Array(items) => 48 + items.iter().map(json_weight).sum::<usize>(),
        Json::Object(map) => 80 + map.iter().map(|(name, value)| 48 + name.len() + json_weight(value)).sum::<usize>(),
        Json::Null | Json::Bool(_) | Json::Number(_) => 48,
    }
}

/// Whether JSON has at most so many levels.
fn is_shallow(json: &Json, levels: usize) -> bool {
    match (json, levels.checked_sub(1)) {
        (Json::Array(items), Some(below)) => items.iter().all(|item| is_shallow(item, below)),
        (Json::Object(map), Some(below)) => map.values().all(|value| is_shallow(value, below)),
        (Json::Array(_) | Json::Object(_), None) => false,
        _ => true,
    }
}

/// A value that is looked for among others; the text of it is made once.
pub(crate) struct Sought<'v, 's> {
    value: &'v Value<'s>,
    text: Text<'s>,
    /// Its text in lower case, where that is how texts are compared.
    lower: Option<String>,
}

impl<'v, 's> Sought<'v, 's> {
    pub(crate) fn new(value: &'v Value<'s>, ignore_case: bool) -> Self {
        let text = value.to_text();
        let lower = ignore_case.then(|| text.to_lowercase());
        Self { value, text, lower }
    }

    /// Its text as [`Sought::is`] compares it.
    pub(crate) fn text(&self) -> &str {
        self.lower.as_deref().unwrap_or(&self.text)
    }

    /// Whether it is the same as `item`.
    pub(crate) fn is(&self, item: &Value<'_>) -> bool {
        match (item, &self.lower) {
            (Value::Text(item), Some(lower)) => item.to_lowercase() == *lower,
            (Value::Text(item), None) => **item == *self.text,
            (item, _) => self.value.equals(item) == Some(true),
        }
    }

    /// Whether it is the same as an element of JSON.
    pub(crate) fn is_json(&self, item: &Json) -> bool {
        match (item, &self.lower) {
            (Json::String(item), Some(lower)) => item.to_lowercase() == *lower,
            (Json::String(item), None) => **item == *self.text,
            // Text equals what has the same text; of each of a long list that is made in turn.
            (item, _) => self.value.equals(&Value::of_json(item)) == Some(true),
        }
    }
}

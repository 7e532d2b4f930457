//! The functions of expressions.

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Whether there is such a value.
    IsDefined,
    /// Whether it is null.
    IsNull,
    /// Whether it is true or false.
    IsBool,
    /// Whether it is a number.
    IsNumber,
    /// Whether it is a text.
    IsText,
    /// Whether it is an object.
    IsObject,
    /// Whether it is a list.
    IsList,
    /// Whether it is none of the two above, and there.
    IsPrimitive,
    /// Whether a text begins with another.
    StartsWith,
    /// Whether a text ends with another.
    EndsWith,
    /// Whether a text has another in it.
    Contains,
    /// Whether a list has a value in it.
    ListContains,
    /// How many items a list has.
    ListLength,
    /// How many characters a text has.
    Length,
    /// A part of a text: from a character on, at most so many.
    Substring,
    /// Where in a text another begins; -1 where it does not.
    IndexOf,
    /// Texts one after the other.
    Concat,
    /// In capitals.
    Upper,
    /// In small letters.
    Lower,
    /// The number that a text is.
    AsNumber,
    /// Without its sign.
    Absolute,
    /// e to the power of a number.
    Exp,
    /// A number to the power of another.
    Power,
    /// A number times itself.
    Square,
    /// The next whole number from a number up.
    Ceiling,
    /// The next whole number from a number down.
    Floor,
    /// -1, 0 or 1.
    Sign,
    /// The square root.
    SquareRoot,
}

/// Names with the least and the most arguments. Azure writes some names in two ways.
const NAMES: &[(&str, Function, usize, usize)] = &[
    ("IS_DEFINED", Function::IsDefined, 1, 1),
    ("IS_NULL", Function::IsNull, 1, 1),
    ("IS_BOOL", Function::IsBool, 1, 1),
    ("IS_NUMBER", Function::IsNumber, 1, 1),
    ("IS_STRING", Function::IsText, 1, 1),
    ("IS_OBJECT", Function::IsObject, 1, 1),
    ("IS_ARRAY", Function::IsList, 1, 1),
    ("IS_PRIMITIVE", Function::IsPrimitive, 1, 1),
    ("STARTSWITH", Function::StartsWith, 2, 2),
    ("STARTS_WITH", Function::StartsWith, 2, 2),
    ("ENDSWITH", Function::EndsWith, 2, 2),
    ("ENDS_WITH", Function::EndsWith, 2, 2),
    ("CONTAINS", Function::Contains, 2, 2),
    ("ARRAY_CONTAINS", Function::ListContains, 2, 2),
    ("ARRAY_LENGTH", Function::ListLength, 1, 1),
    ("LENGTH", Function::Length, 1, 1),
    ("SUBSTRING", Function::Substring, 2, 3),
    ("INDEX_OF", Function::IndexOf, 2, 2),
    ("CONCAT", Function::Concat, 1, 100),
    ("UPPER", Function::Upper, 1, 1),
    ("LOWER", Function::Lower, 1, 1),
    ("AS_NUMBER", Function::AsNumber, 1, 1),
    ("ABS", Function::Absolute, 1, 1),
    ("EXP", Function::Exp, 1, 1),
    ("POWER", Function::Power, 2, 2),
    ("SQUARE", Function::Square, 1, 1),
    ("CEILING", Function::Ceiling, 1, 1),
    ("FLOOR", Function::Floor, 1, 1),
    ("SIGN", Function::Sign, 1, 1),
    ("SQRT", Function::SquareRoot, 1, 1),
];

/// The function with this name, and how many arguments it takes: least and most.
pub(super) fn named(name: &str) -> Option<(Function, usize, usize)> {
    let found = NAMES.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
    found.map(|(_, function, least, most)| (*function, *least, *most))
}

/// All names, for a message.
pub(super) fn names() -> String {
    NAMES.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ")
}

//! Conditions: a small typed language over what is known of an incident.
//!
//! ```text
//! condition = any ; any = all { "or" all } ; all = not { "and" not } ; not = [ "not" ] ( "(" any ")" | test )
//! test = FLAG | FACT ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) value | FACT "in" "[" value { "," value } "]" | LIST "contains" text
//! value = number | "text" | SEVERITY | STATUS
//! ```
//!
//! Names and values are checked against [`FACTS`] when the condition is read, so it can not fail when it is asked.

use super::STATUSES;
use serde_json::{Map, Value};
use stance_shared::Severity;
use std::collections::BTreeMap;

/// What is known of an incident: a JSON object with the names of [`FACTS`]; what is absent is 0, false, empty. Beside it, the answers
/// that people gave in the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub incident: Map<String, Value>,
    /// By the task's id.
    pub answers: BTreeMap<String, String>,
}

/// What a fact can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Severity,
    Status,
    Text,
    Number,
    Flag,
    /// Of texts.
    List,
}

impl Kind {
    /// What a person calls it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Severity => "severity",
            Self::Status => "status",
            Self::Text => "text",
            Self::Number => "number",
            Self::Flag => "flag",
            Self::List => "list of texts",
        }
    }
}

/// Every fact: name, kind, what it says.
pub const FACTS: [(&str, Kind, &str); 14] = [
    ("severity", Kind::Severity, "the incident's severity"),
    ("status", Kind::Status, "where the incident stands"),
    ("rule", Kind::Text, "the correlation rule that opened it; empty when a person did"),
    (
        "categories",
        Kind::List,
        "taxonomy categories of its findings and of the rule that opened it, as owasp-llm@2025:LLM01",
    ),
    ("rules", Kind::List, "rules of its findings"),
    ("tools", Kind::List, "names of the tools in it"),
    ("agents", Kind::Number, "how many agents are concerned"),
    ("models", Kind::Number, "how many models are concerned"),
    ("assets", Kind::Number, "how many assets are concerned"),
    ("findings", Kind::Number, "how many findings it groups"),
    ("events", Kind::Number, "how many runtime events it groups"),
    ("sessions", Kind::Number, "how many agent sessions are concerned"),
    ("serious", Kind::Flag, "it is marked as a serious incident"),
    ("contained", Kind::Flag, "a containment of one of its agents is in force"),
];

/// A checked condition, with the text that it was made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub text: String,
    expr: Expr,
}

#[derive(Clone, Debug, PartialEq)]
enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    Flag(String),
    Compare(String, Order, Literal),
    In(String, Vec<Literal>),
    Contains(String, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// Severities and statuses are their rank, so that they compare.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
enum Literal {
    Rank(usize),
    Number(f64),
    Text(String),
}

impl Condition {
    /// Reads a condition. `answers` are the tasks before it with what they can be answered with, named `answer.TASK`.
    ///
    /// # Errors
    /// How many characters in, and a sentence that says what is allowed there.
    pub fn read(text: &str, answers: &BTreeMap<String, Vec<String>>) -> Result<Self, (usize, String)> {
        let mut parser = Parser { tokens: tokens(text)?, at: 0, end: text.chars().count(), answers, depth: 0 };
        let expr = parser.any()?;
        if parser.at < parser.tokens.len() {
            return Err(parser.fail("expected `and`, `or`, or the end of the condition"));
        }
        Ok(Self { text: text.to_owned(), expr })
    }

    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, facts: &Facts) -> bool {
        self.expr.holds(facts)
    }
}

impl Expr {
    fn holds(&self, facts: &Facts) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(facts)),
            Self::Not(part) => !part.holds(facts),
            Self::Flag(name) => facts.incident.get(name).and_then(Value::as_bool).unwrap_or(false),
            Self::Compare(name, order, literal) => {
                let Some(known) = known(facts, name).partial_cmp(literal) else { return false };
                match order {
                    Order::Equal => known.is_eq(),
                    Order::Unequal => known.is_ne(),
                    Order::Less => known.is_lt(),
                    Order::AtMost => known.is_le(),
                    Order::Greater => known.is_gt(),
                    Order::AtLeast => known.is_ge(),
                }
            }
            Self::In(name, literals) => literals.contains(&known(facts, name)),
            Self::Contains(name, text) => {
                let list = facts.incident.get(name).and_then(Value::as_array);
                list.is_some_and(|list| list.iter().any(|item| item.as_str() == Some(text)))
            }
        }
    }
}

fn known(facts: &Facts, name: &str) -> Literal {
    if let Some(task) = name.strip_prefix("answer.") {
        return Literal::Text(facts.answers.get(task).cloned().unwrap_or_default());
    }
    let value = facts.incident.get(name);
    let word = value.and_then(Value::as_str).unwrap_or_default();
    match kind_of(name) {
        Some(Kind::Severity) => Literal::Rank(severity(word).unwrap_or(0)),
        Some(Kind::Status) => Literal::Rank(STATUSES.iter().position(|known| *known == word).unwrap_or(0)),
        Some(Kind::Number) => Literal::Number(value.and_then(Value::as_f64).unwrap_or(0.0)),
        _ => Literal::Text(word.to_owned()),
    }
}

fn kind_of(name: &str) -> Option<Kind> {
    FACTS.iter().find(|(known, ..)| *known == name).map(|(_, kind, _)| *kind)
}

/// The rank of a severity; higher is worse.
fn severity(word: &str) -> Option<usize> {
    // The vocabulary has the worst first.
    Severity::WORDS.iter().rev().position(|known| *known == word)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(f64),
    Sign(&'static str),
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, (usize, String)> {
    const SIGNS: [&str; 11] = ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ","];
    let chars: Vec<char> = text.chars().collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(&c) = chars.get(at) {
        let start = at;
        if c.is_whitespace() {
            at += 1;
        } else if c == '"' {
            let length = chars[at + 1..].iter().position(|c| *c == '"');
            let Some(length) = length else { return Err((at, "the text has no closing quotation mark".to_owned())) };
            found.push((start, Token::Text(chars[at + 1..at + 1 + length].iter().collect())));
            at += length + 2;
        } else if c.is_ascii_digit() {
            at += chars[at..].iter().take_while(|c| c.is_ascii_digit() || **c == '.').count();
            let digits: String = chars[start..at].iter().collect();
            let number = digits.parse().map_err(|_| (start, format!("`{digits}` is no number")))?;
            found.push((start, Token::Number(number)));
        } else if c.is_ascii_alphabetic() {
            at += chars[at..].iter().take_while(|c| c.is_ascii_alphanumeric() || "._-".contains(**c)).count();
            found.push((start, Token::Word(chars[start..at].iter().collect())));
        } else {
            let rest: String = chars[at..chars.len().min(at + 2)].iter().collect();
            let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) else {
                return Err((at, format!("`{c}` has no meaning here; texts stand in quotation marks")));
            };
            at += sign.len();
            found.push((start, Token::Sign(sign)));
        }
    }
    Ok(found)
}

struct Parser<'a> {
    tokens: Vec<(usize, Token)>,
    at: usize,
    end: usize,
    answers: &'a BTreeMap<String, Vec<String>>,
    depth: usize,
}

type Read<T> = Result<T, (usize, String)>;

impl Parser<'_> {
    fn fail(&self, message: impl Into<String>) -> (usize, String) {
        (self.tokens.get(self.at).map_or(self.end, |(at, _)| *at), message.into())
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).map(|(_, token)| token.clone());
        self.at += 1;
        token
    }

    fn takes(&mut self, wanted: &Token) -> bool {
        let fits = self.tokens.get(self.at).is_some_and(|(_, token)| token == wanted);
        self.at += usize::from(fits);
        fits
    }

    fn word(&mut self, word: &str) -> bool {
        self.takes(&Token::Word(word.to_owned()))
    }

    fn sign(&mut self, sign: &'static str) -> bool {
        self.takes(&Token::Sign(sign))
    }

    fn any(&mut self) -> Read<Expr> {
        let mut parts = vec![self.all()?];
        while self.word("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Any(parts) })
    }

    fn all(&mut self) -> Read<Expr> {
        let mut parts = vec![self.not()?];
        while self.word("and") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::All(parts) })
    }

    fn not(&mut self) -> Read<Expr> {
        self.depth += 1;
        if self.depth > 16 {
            return Err(self.fail("the condition is nested too deeply; at most 16 levels"));
        }
        let expr = if self.word("not") {
            Expr::Not(Box::new(self.not()?))
        } else if self.sign("(") {
            let inner = self.any()?;
            if !self.sign(")") {
                return Err(self.fail("expected `)`"));
            }
            inner
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn test(&mut self) -> Read<Expr> {
        let names = || FACTS.map(|(name, ..)| name).join(", ");
        let name = match self.next() {
            Some(Token::Word(name)) => name,
            _ => {
                self.at -= 1;
                return Err(self.fail(format!("expected a fact: one of {}", names())));
            }
        };
        let choices = name.strip_prefix("answer.").map(|task| self.answers.get(task));
        let kind = match choices {
            Some(Some(_)) => Kind::Text,
            Some(None) => {
                self.at -= 1;
                let known: Vec<_> = self.answers.keys().map(|task| format!("answer.{task}")).collect();
                let known = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
                return Err(self.fail(format!("`{name}` must name an earlier task that has choices: {known}")));
            }
            None => match kind_of(&name) {
                Some(kind) => kind,
                None => {
                    self.at -= 1;
                    return Err(self.fail(format!("`{name}` is no fact; allowed are {}", names())));
                }
            },
        };
        let choices = choices.flatten().cloned();
        if kind == Kind::Flag {
            return Ok(Expr::Flag(name));
        }
        if kind == Kind::List {
            if !self.word("contains") {
                return Err(self.fail(format!("`{name}` is a list: write `{name} contains \"text\"`")));
            }
            return match self.next() {
                Some(Token::Text(text)) => Ok(Expr::Contains(name, text)),
                _ => {
                    self.at -= 1;
                    Err(self.fail("expected a text in quotation marks"))
                }
            };
        }
        if self.word("in") {
            if !self.sign("[") {
                return Err(self.fail("expected `[`"));
            }
            let mut literals = vec![self.literal(&name, kind, choices.as_deref())?];
            while self.sign(",") {
                literals.push(self.literal(&name, kind, choices.as_deref())?);
            }
            if !self.sign("]") {
                return Err(self.fail("expected `,` or `]`"));
            }
            return Ok(Expr::In(name, literals));
        }
        const ORDERS: [(&str, Order); 6] = [
            ("==", Order::Equal),
            ("!=", Order::Unequal),
            ("<", Order::Less),
            ("<=", Order::AtMost),
            (">", Order::Greater),
            (">=", Order::AtLeast),
        ];
        let Some((_, order)) = ORDERS.into_iter().find(|(sign, _)| self.sign(sign)) else {
            return Err(self.fail(format!("after `{name}` must come one of ==, !=, <, <=, >, >=, in")));
        };
        if kind == Kind::Text && !matches!(order, Order::Equal | Order::Unequal) {
            self.at -= 1;
            return Err(self.fail(format!("`{name}` is a text: compare it with ==, !=, in")));
        }
        let literal = self.literal(&name, kind, choices.as_deref())?;
        Ok(Expr::Compare(name, order, literal))
    }

    fn literal(&mut self, name: &str, kind: Kind, choices: Option<&[String]>) -> Read<Literal> {
        let token = self.next();
        let literal = match (kind, &token) {
            (Kind::Severity, Some(Token::Word(word))) => severity(word).map(Literal::Rank),
            (Kind::Status, Some(Token::Word(word))) => STATUSES.iter().position(|s| s == word).map(Literal::Rank),
            (Kind::Number, Some(Token::Number(number))) => Some(Literal::Number(*number)),
            (Kind::Text, Some(Token::Text(text))) if choices.is_none_or(|choices| choices.contains(text)) => {
                Some(Literal::Text(text.clone()))
            }
            _ => None,
        };
        literal.ok_or_else(|| {
            self.at -= 1;
            let wanted = match (kind, choices) {
                (Kind::Severity, _) => format!("one of {}", Severity::WORDS.join(", ")),
                (Kind::Status, _) => format!("one of {}", STATUSES.join(", ")),
                (Kind::Number, _) => "a number".to_owned(),
                (_, Some(choices)) => {
                    format!("one of {}", choices.iter().map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(", "))
                }
                _ => "a text in quotation marks".to_owned(),
            };
            self.fail(format!("`{name}` is compared with {wanted}"))
        })
    }
}

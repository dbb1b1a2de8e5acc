//! The weights' file: numbers in little-endian order, lists and texts with their length before them.

use super::{
    Mix, Model, PARTS, Table,
    trees::{INPUTS, Tree},
};
use crate::guardrail::text::{Disguise, KnownWords};
use std::collections::BTreeMap;

const MAGIC: &[u8; 8] = b"stguard2";

impl Model {
    /// The file's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer(MAGIC.to_vec());
        out.text(&self.version);
        out.bytes(self.known.as_bytes());
        self.parts.iter().for_each(|table| out.table(table));
        out.number(self.mix.bias);
        out.numbers(&self.mix.logits);
        out.number(self.mix.length);
        out.numbers(&self.mix.disguises);
        out.length(self.mix.rules.len());
        for (rule, weight) in &self.mix.rules {
            out.text(rule);
            out.number(*weight);
        }
        out.length(self.mix.trees.len());
        self.mix.trees.iter().for_each(|tree| out.tree(tree));
        out.numbers(&self.scale.iter().flat_map(|(sum, score)| [*sum, *score]).collect::<Vec<_>>());
        out.0
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let rest = bytes.strip_prefix(MAGIC).ok_or("these are no weights of this version")?;
        let mut input = Reader(rest);
        let model = input.model().ok_or("the weights end too early")?;
        let tables = model.parts.iter().map(|table| (table.weights.len(), 1 << table.bits));
        let sizes = [
            (model.mix.disguises.len(), Disguise::ALL.len()),
            (model.known.as_bytes().len(), KnownWords::BYTES),
            (input.0.len(), 0),
        ];
        match sizes.into_iter().chain(tables).all(|(has, needs)| has == needs) {
            true => Ok(model),
            false => Err("a part of the weights has the wrong size".to_owned()),
        }
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn length(&mut self, length: usize) {
        self.0.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn number(&mut self, number: f32) {
        self.0.extend(number.to_le_bytes());
    }

    fn numbers(&mut self, numbers: &[f32]) {
        self.length(numbers.len());
        numbers.iter().for_each(|n| self.number(*n));
    }

    fn table(&mut self, table: &Table) {
        self.length(table.bits as usize);
        self.number(table.bias);
        self.number(table.scale);
        self.bytes(&table.weights.iter().map(|w| w.to_le_bytes()[0]).collect::<Vec<_>>());
    }

    fn tree(&mut self, tree: &Tree) {
        for (input, above) in tree.splits {
            self.length(input);
            self.number(above);
        }
        tree.leaves.iter().for_each(|leaf| self.number(*leaf));
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?) as usize)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn number(&mut self) -> Option<f32> {
        Some(f32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn numbers(&mut self) -> Option<Vec<f32>> {
        let length = self.length()?;
        (0..length).map(|_| self.number()).collect()
    }

    fn table(&mut self) -> Option<Table> {
        let bits = u32::try_from(self.length()?).ok().filter(|bits| (1..=24).contains(bits))?;
        let (bias, scale) = (self.number()?, self.number()?);
        let weights = self.bytes()?.iter().map(|b| i8::from_le_bytes([*b])).collect();
        Some(Table { bits, bias, scale, weights })
    }

    fn tree(&mut self) -> Option<Tree> {
        let mut tree = Tree { splits: Default::default(), leaves: Default::default() };
        for split in &mut tree.splits {
            *split = (self.length().filter(|input| *input < INPUTS)?, self.number()?);
        }
        for leaf in &mut tree.leaves {
            *leaf = self.number()?;
        }
        Some(tree)
    }

    fn model(&mut self) -> Option<Model> {
        let version = self.text()?;
        let known = KnownWords::from_bytes(self.bytes()?);
        let tables: Vec<Table> = (0..PARTS).map(|_| self.table()).collect::<Option<_>>()?;
        let bias = self.number()?;
        let logits = self.numbers()?.try_into().ok()?;
        let length = self.number()?;
        let disguises = self.numbers()?;
        let mut rules = BTreeMap::new();
        for _ in 0..self.length()? {
            rules.insert(self.text()?, self.number()?);
        }
        let trees = (0..self.length()?).map(|_| self.tree()).collect::<Option<_>>()?;
        let points = self.numbers()?;
        let scale = points.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let mix = Mix { bias, logits, length, rules, disguises, trees };
        Some(Model { version, known, parts: tables.try_into().ok()?, mix, scale })
    }
}

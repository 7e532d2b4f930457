//! Every target over its committed seeds and over mutations of them, repeatable by a number.
//!
//! `FERROHUB_FUZZ_SEED` starts another sequence and `FERROHUB_FUZZ_ROUNDS` makes it longer. What fails is written to
//! `fuzz/artifacts/` and named in the panic; once mended, it goes into `fuzz/seeds/`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test helper stops its test on the first fault"
)]

use ferrohub_fuzz_targets::{TARGETS, Target};
use ferrohub_model::random::{Random, SeededRandom};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Mutations of each target where the environment says nothing: about ten seconds for all together on one processor.
const ROUNDS: u64 = 20_000;
/// Longest input that is made.
const INPUT_BYTES: usize = 16 * 1024;
/// Changes of one input, at most.
const CHANGES: usize = 6;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// The names in a folder of `fuzz/`, without extension.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(fuzz().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = fuzz().join("seeds").join(target);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

struct Mutator(SeededRandom);

impl Mutator {
    fn below(&self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % bound.max(1) as u64).unwrap()
    }

    fn byte(&self) -> u8 {
        let mut byte = [0];
        self.0.fill(&mut byte);
        byte[0]
    }

    /// A stretch of `data`, at most `longest` bytes.
    fn stretch<'a>(&self, data: &'a [u8], longest: usize) -> &'a [u8] {
        let from = self.below(data.len() + 1);
        let length = self.below(longest.min(data.len() - from) + 1);
        &data[from..from + length]
    }

    /// One of the seeds with a few changes: bytes, marks, stretches of itself or of another seed.
    fn input(&self, seeds: &[Vec<u8>]) -> Vec<u8> {
        const MARKS: &[&[u8]] = &[
            b"/",
            b"?",
            b"&",
            b"=",
            b"%",
            b"%25",
            b"\"",
            b"\\",
            b",",
            b";",
            b"+",
            b"#",
            b"*",
            b"\n",
            b"[",
            b"{",
            b"null",
            b"-1",
            b"9223372036854775807",
            b"$",
            "ä".as_bytes(),
            "\u{1F980}".as_bytes(),
            b"\0",
            b"\x80\x80\x80\x01",
        ];
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(CHANGES) {
            let at = self.below(input.len() + 1);
            match self.below(7) {
                0 if at < input.len() => input[at] = self.byte(),
                1 if at < input.len() => input[at] ^= 1 << self.below(8),
                2 => drop(input.splice(at..at, MARKS[self.below(MARKS.len())].iter().copied())),
                3 => drop(input.splice(at..at, [self.byte()])),
                4 => {
                    let end = (at + self.below(16)).min(input.len());
                    input.drain(at..end);
                }
                5 => {
                    let piece = self.stretch(&seeds[self.below(seeds.len())], 64).to_vec();
                    input.splice(at..at, piece);
                }
                6 => {
                    let piece = self.stretch(&input, 32).repeat(self.below(8));
                    input.splice(at..at, piece);
                }
                _ => input.truncate(at),
            }
        }
        input.truncate(INPUT_BYTES);
        input
    }
}

/// Runs `target`; a failing input is kept and named.
fn check(name: &str, target: Target, input: &[u8], origin: &str) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_ok() {
        return;
    }
    let folder = fuzz().join("artifacts");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, input).unwrap();
    panic!("target {name} fails on {origin}; the input is in {}", path.display());
}

#[test]
fn every_seed_passes() {
    for (name, target) in TARGETS {
        for (index, seed) in seeds(name).iter().enumerate() {
            check(name, *target, seed, &format!("seed number {index} in the order of names"));
        }
    }
}

#[test]
fn mutated_seeds_pass() {
    let (first, rounds) = (number("FERROHUB_FUZZ_SEED", 1), number("FERROHUB_FUZZ_ROUNDS", ROUNDS));
    std::thread::scope(|scope| {
        for (name, target) in TARGETS {
            scope.spawn(move || {
                let (seeds, mutator) = (seeds(name), Mutator(SeededRandom::new(first)));
                for round in 0..rounds {
                    let input = mutator.input(&seeds);
                    check(name, *target, &input, &format!("round {round} of FERROHUB_FUZZ_SEED={first}"));
                }
            });
        }
    });
}

#[test]
fn targets_seeds_and_programs_are_the_same() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(targets.len(), TARGETS.len());
    assert_eq!(names("seeds"), targets, "each target has a folder of seeds, and each folder a target");
    assert_eq!(names("fuzz_targets"), targets, "each target has a program, and each program a target");
    for name in &targets {
        let program = std::fs::read_to_string(fuzz().join("fuzz_targets").join(name).with_extension("rs")).unwrap();
        assert!(program.contains(&format!("run(\"{name}\"")), "{name}.rs runs another target");
        let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not in fuzz/Cargo.toml");
    }
}

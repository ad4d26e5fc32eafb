//! Broken input of every kind: errors, never a panic.

use super::values::Random;
use super::*;

fn mutate(text: &str, random: &mut Random) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let tokens = [
        "\"",
        "[",
        "]",
        "{",
        "}",
        "=",
        "\n",
        ".",
        "\"off\"",
        "-1",
        "9999999999999999999999",
        "é",
        "\0",
        "{port}",
        "'''",
        "1979-05-27",
        "inf",
        "{{",
    ];
    for _ in 0..=random.below(4) {
        let at = random.below(chars.len());
        match random.below(4) {
            0 => {
                let end = (at + random.below(20)).min(chars.len());
                chars.drain(at..end);
            }
            1 => {
                let token = tokens[random.below(tokens.len())];
                chars.splice(at..at, token.chars());
            }
            2 => {
                let end = (at + random.below(60)).min(chars.len());
                let piece: Vec<char> = chars[at..end].to_vec();
                let to = random.below(chars.len());
                chars.splice(to..to, piece);
            }
            _ => {
                let other = random.below(chars.len());
                if at < chars.len() && other < chars.len() {
                    chars.swap(at, other);
                }
            }
        }
    }
    chars.into_iter().collect()
}

#[test]
fn mutated_examples_never_panic_and_say_why_they_fail() {
    let seed = std::option_env!("REEVE_SEED").and_then(|s| s.parse().ok()).unwrap_or(20_261_121);
    println!("seed {seed}");
    let mut random = Random(seed);
    let before = load(&example::files(), &host()).merged;
    let mut failed = 0;
    for round in 0..500 {
        let files = [
            node(&mutate(example::NODE, &mut random)),
            worker("task-executor", &mutate(example::WORKER, &mut random)),
            program("coordinator", ""),
        ];
        let loaded = load(&files, &host());
        let errors = loaded.diagnostics.iter().filter(|d| d.error).count();
        assert_eq!(loaded.config.is_none(), errors > 0, "round {round}");
        for d in &loaded.diagnostics {
            assert!(!d.text.is_empty() && (d.line == 0) == (d.column == 0), "round {round}: {d}");
            let lines = files.iter().find(|f| f.path == d.file).map(|f| f.text.lines().count() + 1);
            assert!(lines.is_some_and(|lines| d.line as usize <= lines), "round {round}: {d}");
        }
        let _ = (show(&loaded.merged), diff(&before, &loaded.merged));
        failed += usize::from(errors > 0);
    }
    assert!(failed > 200, "the mutations are too tame: {failed}");
}

#[test]
fn deep_nesting_is_an_error() {
    for text in [
        "a.".repeat(100_000) + "a = 1",
        "a = ".to_owned() + &"[".repeat(100_000),
        "[".to_owned() + &"a.".repeat(100_000) + "a]",
    ] {
        assert!(load(&[node(&text)], &host()).config.is_none());
    }
}

//! Choices: randomness as data. proptest draws it and makes it smaller when it leads to a
//! fault.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use support::draw::Draw;

/// Choices of one step. The largest transactions take about as many; what is
/// drawn beyond them is the plainest.
const CHOICES: usize = 40;

/// Longest that a failing sequence is made shorter.
const SHRINK_MS_MAX: u32 = 120_000;

/// What one step does, once a state is there to do it to.
#[derive(Clone)]
pub struct Choices(Vec<u32>);

impl Choices {
    pub fn draw(&self) -> Draw<'_> {
        let mut left = self.0.iter();
        Draw::new(move || left.next().copied().unwrap_or(0))
    }
}

impl fmt::Debug for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = self.0.iter().rposition(|choice| *choice > 0).map_or(0, |last| last + 1);
        write!(f, "{:?}", &self.0[..made])
    }
}

/// Runs `test` on drawn sequences; panics with the shortest that fails.
pub fn for_all(
    name: &str,
    cases_default: u32,
    steps_max: usize,
    test: impl Fn(&[Choices]) -> Result<(), String>,
) {
    let number = |name: &str| {
        let value = std::env::var(name).ok()?;
        Some(value.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number, not {value}")))
    };
    let seed = number("SEED").unwrap_or_else(rand::random);
    println!("{name}: SEED={seed}");
    let config = Config {
        cases: number("CASES").map_or(cases_default, |cases| cases as u32),
        max_shrink_time: SHRINK_MS_MAX,
        // The time ends it.
        max_shrink_iters: 1_000_000,
        // The seed has it all.
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let step = vec(any::<u32>(), CHOICES).prop_map(Choices);
    let steps = vec(step, 1..=steps_max);
    let mut runner = TestRunner::new_with_rng(config, random);
    match runner.run(&steps, |steps| test(&steps).map_err(TestCaseError::fail)) {
        Ok(()) => {}
        Err(TestError::Fail(why, steps)) => {
            panic!("SEED={seed}, {} steps left of it: {why}", steps.len())
        }
        Err(TestError::Abort(why)) => panic!("SEED={seed}: {why}"),
    }
}

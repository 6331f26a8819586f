//! Random programs, natively, interpreted and translated: they write the same, are stopped in the same places, and run out of
//! memory in the same places.
//!
//! `MOONFORK_TEST_CAMPAIGN=1000,500` has 500 chunks run from seed 1,000 on in place of few, and says how far it is.

use std::fmt::Write;
use std::time::{Duration, Instant};

use moonfork::{Branch, Chunk, Error, Grants, Limits, Pool, PoolBuilder, RunOptions};
use rstest::rstest;

use super::generator::{Generator, PRELUDE};
use super::has_places;
use crate::common;

/// Programs of a chunk: as many as are translated of one; and where nobody asked for many, the first few of them.
const PROGRAMS: usize = 110;
const FEW: usize = 40;

/// How often each is run.
const TIMES: usize = 12;

/// What is made of a chunk.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// The log is that of native Lua.
    Log,
    /// The same, while finalizers run.
    Finalizers,
    /// Stopped at random calls of the host, it says the same place, and has printed the same.
    Stops,
    /// The same, up to where memory ends, which is about where it does interpreted.
    Memory,
    /// It burns the same fuel in each pool, and ends in the same place with less of it.
    Fuel,
}

/// What was done.
#[derive(Debug, Default)]
struct Counts {
    chunks: usize,
    programs: usize,
    runs: usize,
    functions: usize,
    instructions: usize,
    compiling: Duration,
    interpreted: usize,
    too_large: usize,
    stops: usize,
    out_of_memory: usize,
    out_of_fuel: usize,
    /// Chunks in which finalizers have run.
    finalized: usize,
}

/// What Lua says when there is no memory left.
const NO_MEMORY: &str = "not enough memory";

fn named(code: &str) -> Chunk<'_> {
    Chunk::body(code).named("programs")
}

fn natively(code: &str) -> String {
    let lua = mlua::Lua::new();
    lua.load(PRELUDE).set_name("=prelude").exec().unwrap();
    lua.load(code).set_name("=programs").eval().unwrap()
}

fn builder() -> PoolBuilder {
    common::interpreting_builder().max_branches(4)
}

/// An instance in which programs can be run.
fn prepared(pool: &Pool, options: &RunOptions) -> Branch {
    let mut branch = pool.branch_with(options).unwrap();
    branch.exec(Chunk::body(PRELUDE).named("prelude")).unwrap();
    branch
}

/// What makes two logs differ.
fn difference(ours: &str, theirs: &str) -> Option<String> {
    if ours == theirs {
        return None;
    }
    let mut lines = ours.lines().zip(theirs.lines()).enumerate();
    Some(match lines.find(|(_, (ours, theirs))| ours != theirs) {
        Some((number, (ours, theirs))) => {
            format!("line {}:\n  {ours}\n  {theirs}", number + 1)
        }
        None => format!(
            "{} lines, not {}",
            ours.lines().count(),
            theirs.lines().count()
        ),
    })
}

/// What is to be compared of an error.
fn shown(error: &Error) -> String {
    format!("{error} at {:?} {:?}", error.site(), error.traceback())
}

struct Campaign {
    programs: usize,
    interpreting: Pool,
    counts: Counts,
}

impl Campaign {
    fn new(programs: usize) -> Campaign {
        let interpreting = builder().limits(Limits::unlimited()).build().unwrap();
        Campaign {
            programs,
            interpreting,
            counts: Counts::default(),
        }
    }

    /// Runs the chunk of a seed.
    ///
    /// # Errors
    ///
    /// With what differs.
    fn run(&mut self, seed: u64) -> Result<(), String> {
        let way = match seed % 16 {
            3 => Way::Finalizers,
            7 => Way::Stops,
            11 => Way::Memory,
            15 => Way::Fuel,
            _ => Way::Log,
        };
        self.counts.chunks += 1;
        self.counts.programs += self.programs;
        self.counts.runs += self.programs * TIMES;
        let done = match way {
            Way::Stops => self.stops(seed),
            _ => {
                let code = Generator::chunk(seed, self.programs, TIMES);
                let native = natively(&code);
                match way {
                    Way::Finalizers => self.finalizers(&code, &native),
                    Way::Memory => self.memory(seed, &code, &native),
                    Way::Fuel => self.fuel(seed, &code),
                    _ => self.log(&code, &native),
                }
            }
        };
        done.map_err(|what| format!("seed {seed}, {way:?}: {what}"))
    }

    fn compiling(&mut self, builder: PoolBuilder, code: &str) -> Pool {
        let pool = builder.compile(named(code)).build().unwrap();
        for chunk in pool.compiled_lua() {
            self.counts.functions += chunk.functions();
            self.counts.instructions += chunk.instructions();
            self.counts.compiling += chunk.time();
            self.counts.interpreted += chunk.interpreted().count();
            let large = chunk.interpreted().filter(|(_, why)| why.contains("large"));
            self.counts.too_large += large.count();
        }
        pool
    }

    fn log(&mut self, code: &str, native: &str) -> Result<(), String> {
        let compiling = self.compiling(builder().limits(Limits::unlimited()), code);
        for (pool, way) in [
            (&self.interpreting, "interpreted"),
            (&compiling, "translated"),
        ] {
            let mut branch = prepared(pool, &RunOptions::new());
            let ours: String = branch.eval(named(code)).map_err(|error| shown(&error))?;
            if let Some(difference) = difference(&ours, native) {
                return Err(format!("{way}: {difference}"));
            }
        }
        Ok(())
    }

    fn finalizers(&mut self, code: &str, native: &str) -> Result<(), String> {
        let compiling = self.compiling(builder().limits(Limits::unlimited()), code);
        // Known texts are loaded from bytecode, as what is translated is: what is parsed makes garbage.
        for _ in 0..2 {
            let mut branch = prepared(&self.interpreting, &RunOptions::new());
            let log: Result<String, _> = branch.eval(named(code));
            log.map_err(|error| shown(&error))?;
        }
        let pools = [&self.interpreting, &compiling];
        let branches = pools.map(|pool| prepared(pool, &RunOptions::new()));
        let collected = branches.map(|mut branch| {
            let log: String = branch.eval(named(code)).map_err(|error| shown(&error))?;
            match difference(&log, native) {
                Some(difference) => Err(difference),
                None => branch
                    .eval::<String>("table.concat(collected, '\\n')")
                    .map_err(|error| shown(&error)),
            }
        });
        let [interpreted, translated] = collected;
        let ran = [interpreted?, translated?].map(|collected| !collected.is_empty());
        match ran {
            // Nothing of it is garbage before the end, or not enough.
            [false, false] => Ok(()),
            [true, true] => {
                self.counts.finalized += 1;
                Ok(())
            }
            _ => Err(format!(
                "finalizers have run, interpreted and translated: {ran:?}"
            )),
        }
    }

    fn memory(&mut self, seed: u64, code: &str, native: &str) -> Result<(), String> {
        let compiling = self.compiling(builder().limits(Limits::unlimited()), code);
        for more in 0..4 {
            // All memory there is, but so many pieces.
            let left = seed.wrapping_mul(7) % 5 + more * 4;
            let ballast = format!(
                "ballast = {{}} \
                 pcall(function() while true do ballast[#ballast + 1] = string.rep('x', 65000 + #ballast) end end) \
                 for _ = 1, {left} do ballast[#ballast] = nil end"
            );
            let options = RunOptions::new().memory(4 << 20);
            let branches = [&self.interpreting, &compiling].map(|pool| prepared(pool, &options));
            let branches = branches.map(|mut branch| {
                branch.exec(&*ballast).unwrap();
                branch
            });
            let ran = branches.map(|mut branch| match branch.eval::<String>(named(code)) {
                Ok(log) => log,
                Err(error) => shown(&error),
            });
            let ended = ran.each_ref().map(|log| log.contains(NO_MEMORY));
            self.counts.out_of_memory += usize::from(ended[1]);
            for log in ran {
                // What is caught is in the log, and what comes of it depends on where it was.
                let (lines, native_lines) = (log.lines(), native.lines());
                let same = lines
                    .zip(native_lines)
                    .take_while(|(ours, _)| !ours.contains(NO_MEMORY));
                let (ours, theirs): (Vec<_>, Vec<_>) = same.unzip();
                if let Some(difference) = difference(&ours.join("\n"), &theirs.join("\n")) {
                    return Err(format!("{left} pieces left, {difference}"));
                }
                if !log.contains(NO_MEMORY)
                    && let Some(difference) = difference(&log, native)
                {
                    return Err(format!("{left} pieces left, {difference}"));
                }
            }
        }
        Ok(())
    }

    fn fuel(&mut self, seed: u64, code: &str) -> Result<(), String> {
        let builder = || builder().limits(Limits::unlimited()).metered();
        // Not natively: where fuel is counted, all NaNs are the same.
        let interpreting = builder().build().unwrap();
        let mut branch = prepared(&interpreting, &RunOptions::new());
        let interpreted: String = branch.eval(named(code)).map_err(|error| shown(&error))?;
        // In any pool.
        let pools = [(); 2].map(|()| self.compiling(builder(), code));
        let burnt = pools.each_ref().map(|compiling| {
            let mut branch = prepared(compiling, &RunOptions::new());
            branch.take_report();
            let log: String = branch.eval(named(code)).map_err(|error| shown(&error))?;
            match difference(&log, &interpreted) {
                Some(difference) => Err(difference),
                None => Ok(branch.take_report().fuel.unwrap()),
            }
        });
        let [first, second] = burnt;
        let (first, second) = (first?, second?);
        if first != second {
            return Err(format!("{first} burnt, and then {second}"));
        }
        for part in 1..8 {
            let options = RunOptions::new().fuel(first / 8 * part + seed % 1000);
            let ended = pools.each_ref().map(|compiling| {
                let mut branch = prepared(compiling, &RunOptions::new());
                match branch.with(&options).eval::<String>(named(code)) {
                    Ok(log) => log,
                    Err(error) => shown(&error),
                }
            });
            if !ended[0].contains("fuel") || ended[0] != ended[1] {
                return Err(format!("with less fuel: {} and {}", ended[0], ended[1]));
            }
            self.counts.out_of_fuel += 1;
        }
        Ok(())
    }

    fn stops(&mut self, seed: u64) -> Result<(), String> {
        let code = format!("{}return f", Generator::programs(seed, self.programs));
        let code = format!("F = (function() {code} end)() return 0");
        let granted = |builder: PoolBuilder| {
            builder
                .limits(Limits::unlimited())
                .function("asked", |()| Ok(5))
                .grants(Grants::none().function("asked"))
        };
        let compiling = self.compiling(granted(builder()), &code);
        let interpreting = granted(builder()).build().unwrap();
        let parents = [&interpreting, &compiling].map(|pool| {
            let mut branch = prepared(pool, &RunOptions::new());
            branch.exec(Chunk::body(STOPPED).named("stopped")).unwrap();
            branch.exec(named(&code)).unwrap();
            branch
        });
        let mut parents = parents;
        for program in 1..=self.programs as u64 {
            let random = (seed * 1000 + program).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
            let options = RunOptions::new().host_calls(random % 40);
            let ended = parents.each_mut().map(|parent| {
                let mut fork = parent.fork().unwrap();
                let ended = match fork
                    .with(&options)
                    .call::<_, ()>("stopped", &[program, random])
                {
                    Ok(()) => "it ends".to_owned(),
                    Err(error) => shown(&error),
                };
                let report = fork.take_report();
                (ended, report.output)
            });
            let [interpreted, translated] = ended;
            if translated.0.contains("host") {
                self.counts.stops += 1;
            }
            if let Some(difference) = difference(&translated.1, &interpreted.1) {
                return Err(format!("program {program}, printed: {difference}"));
            }
            if let Some(difference) = difference(&translated.0, &interpreted.0) {
                return Err(format!("program {program}, {difference}"));
            }
        }
        Ok(())
    }
}

/// What `stops` runs programs with: the log is printed, and each turn asks the host.
const STOPPED: &str = r#"
turn = asked
setmetatable(log, { __newindex = function(_, _, line) print(line) end })
function stopped(n, k)
  for more = 0, 7 do
    left = 60
    run(n, F[n], 3 + (k + more) % 9)
  end
end
"#;

/// Seeds of chunks, and whether somebody asked for them.
fn seeds(few: std::ops::Range<u64>) -> (std::ops::Range<u64>, bool) {
    let Ok(text) = std::env::var("MOONFORK_TEST_CAMPAIGN") else {
        return (few, false);
    };
    let (first, count) = text
        .split_once(',')
        .expect("MOONFORK_TEST_CAMPAIGN=FIRST,COUNT");
    let (first, count): (u64, u64) = (first.parse().unwrap(), count.parse().unwrap());
    (first..first + count, true)
}

#[rstest]
fn programs_do_the_same_in_each_way(#[values(0, 8)] part: u64) {
    let (seeds, asked) = seeds(0..16);
    if asked && part != 0 {
        // The other one runs them all.
        return;
    }
    let (start, mut differ) = (Instant::now(), String::new());
    let mut campaign = Campaign::new(if asked { PROGRAMS } else { FEW });
    for seed in seeds.filter(|seed| asked || seed & 8 == part) {
        if let Err(difference) = campaign.run(seed) {
            if asked {
                eprintln!("DIFFERENCE {difference}");
            }
            let _ = writeln!(differ, "{difference}");
        }
        let chunks = campaign.counts.chunks;
        if asked && (chunks.is_power_of_two() || chunks.is_multiple_of(50)) {
            eprintln!(
                "{:.0} s, seed {seed}: {:?}",
                start.elapsed().as_secs_f64(),
                campaign.counts
            );
        }
    }
    assert_eq!(differ, "");
    let counts = campaign.counts;
    assert!(
        !has_places() || counts.functions > counts.programs,
        "{counts:?}"
    );
    // The first half of the seeds has one of these.
    assert!(asked || part != 0 || counts.finalized > 0, "{counts:?}");
    // Each half has one of these.
    assert!(
        asked || counts.stops > 10 || counts.out_of_fuel > 6,
        "{counts:?}"
    );
}

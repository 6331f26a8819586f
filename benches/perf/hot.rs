//! Chunks that are compiled in the background once much time went into them.

use std::time::Duration;

use moonfork::{Branch, Pool};

use crate::Result;
use crate::measure::once;
use crate::table::{Goal, Table};

/// Scores records: some hundred instructions, which take some milliseconds.
const CHUNK: &str = "\
local function score(record, weights)
  local sum, best = 0, 0
  for i = 1, #weights do
    local value = record[i] * weights[i]
    if value > best then best = value end
    if i % 2 == 0 then sum = sum + value else sum = sum - value / 2 end
  end
  return sum + best
end
local weights, records = {}, {}
for i = 1, 16 do weights[i] = (i * 7) % 5 + 0.5 end
for n = 1, 500 do
  local record = {}
  for i = 1, 16 do record[i] = (n * i) % 11 end
  records[n] = record
end
local total, least, most = 0, math.huge, -math.huge
for round = 1, 3 do
  for n = 1, #records do
    local it = score(records[n], weights)
    if it < least then least = it elseif it > most then most = it end
    total = total + it * round
  end
end
return total + least + most";

/// Longer than compiling it takes.
const LATE: Duration = Duration::from_secs(60);

pub(crate) fn rows(table: &mut Table) -> Result<()> {
    let [interpreting, compiling] = [Pool::builder(), Pool::builder().compile_hot()];
    let (interpreting, compiling) = (interpreting.build()?, compiling.build()?);
    table.time(
        "fresh branch + `return 1 + 1`, counted, for not counting it",
        Goal::None,
        &mut once(|| compiling.branch()?.eval::<i64>("return 1 + 1")),
        &mut once(|| interpreting.branch()?.eval::<i64>("return 1 + 1")),
    )?;
    assert!(compiling.compiled_lua().is_empty(), "it isn't hot");
    let names = ["kept instance", "fresh branch"]
        .map(|what| format!("{what} + a hot chunk, compiled in the background"));
    if !names.iter().any(|name| table.wants(name)) {
        return Ok(());
    }
    let expected: f64 = interpreting.branch()?.eval(CHUNK)?;
    while compiling.compiled_lua().is_empty() {
        assert_eq!(compiling.branch()?.eval::<f64>(CHUNK)?, expected);
        moonfork::testing::has_translated_what_is_hot(&compiling, LATE);
    }
    let chunk = compiling.compiled_lua().remove(0);
    println!(
        "{} instructions, compiled in {:?}",
        chunk.instructions(),
        chunk.time()
    );
    let [kept, fresh] = names;
    let [mut ours, mut theirs] = [compiling.branch()?, interpreting.branch()?];
    let run = |branch: &mut Branch| branch.eval::<f64>(CHUNK);
    table.time(
        &kept,
        Goal::None,
        &mut once(|| run(&mut ours)),
        &mut once(|| run(&mut theirs)),
    )?;
    table.time(
        &fresh,
        Goal::None,
        &mut once(|| run(&mut compiling.branch()?)),
        &mut once(|| run(&mut interpreting.branch()?)),
    )
}

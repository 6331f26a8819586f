//! Calls from many threads for many tenants never meet: no fresh instance is used twice, no
//! kept one by two tenants or for two plugins.
//!
//! As in the identity tests, every check compares store ids, which are never used again, and
//! what instances remember, since ids could be counted without there being stores. Kept
//! instances are held by their host until after the comparison. The last tests show that the
//! checks can fail.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use moonfork::plugin::{CallOptions, Lifetime, PluginHost, PluginHostBuilder};
use moonfork::testing::Sabotage;
use moonfork::{Grants, PoolBuilder, StoreId};
use rstest::rstest;
use serde_json::Value;

use crate::common;
use crate::plugins::{Plugins, keeping, one_file};

const THREADS: usize = 8;
const TENANTS: [&str; 5] = ["acme", "zenith", "", "acme ", "Acme"];
const PLUGINS: [&str; 2] = ["one", "other"];
const ROUNDS: usize = 6;

/// Remembers in a global, a local and a table of the library who called, and tells whom it
/// remembers from before.
const LUA: &str = "
local here = {}
function visit(who)
  local before = {}
  for _, name in ipairs(here) do before[#before + 1] = name end
  for _, name in ipairs(string.visitors or {}) do before[#before + 1] = name end
  before[#before + 1] = visitor
  here[#here + 1], visitor = who, who
  string.visitors = string.visitors or {}
  table.insert(string.visitors, who)
  return json.array(before)
end
function spin() while true do end end
";

/// A host of both plugins, on a pool with enough branches for all that is kept.
fn host(builder: PoolBuilder, instance: &str) -> PluginHost {
    let manifest = format!("instance = '{instance}'\n[exports]\nvisit = ''\nspin = ''");
    let files = PLUGINS.map(|name| (format!("{name}.lua"), one_file(name, &manifest, LUA)));
    let pool = builder.max_branches(40).build().unwrap();
    Plugins::new(files).host(&pool, keeping).unwrap()
}

/// One call, as its caller saw it.
struct Visit {
    plugin: &'static str,
    tenant: &'static str,
    who: String,
    before: Vec<String>,
    id: StoreId,
}

/// Calls of every plugin for every tenant from every thread, as much at once as there are
/// threads. Tells of all of them.
fn visits(host: &PluginHost) -> Vec<Visit> {
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    let mut visits = Vec::new();
                    for round in 0..ROUNDS {
                        for n in 0..TENANTS.len() {
                            for plugin in PLUGINS {
                                // Another order in every thread.
                                let tenant = TENANTS[(n + thread) % TENANTS.len()];
                                let who = format!("{plugin} {tenant:?} {thread} {round} {n}");
                                let reply = host
                                    .tenant(tenant)
                                    .call::<_, Vec<String>>(plugin, "visit", &[&who])
                                    .unwrap();
                                let run = &reply.report.run;
                                assert_eq!(reply.report.tenant, tenant);
                                visits.push(Visit {
                                    plugin,
                                    tenant,
                                    who,
                                    before: reply.value,
                                    id: run.store_id,
                                });
                            }
                        }
                    }
                    visits
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

/// No instance is used for two calls.
fn fresh_instances_are_for_one_call(builder: PoolBuilder) {
    let host = host(builder, "fresh");
    let visits = visits(&host);
    let ids: HashSet<_> = visits.iter().map(|visit| visit.id).collect();
    assert_eq!(ids.len(), visits.len(), "an instance was used twice");
    for Visit { who, before, .. } in &visits {
        assert!(before.is_empty(), "{who} came after {before:?}");
    }
}

/// Every kept instance is one tenant's and one plugin's, and the only one of them.
fn kept_instances_are_for_one_tenant(builder: PoolBuilder) {
    let host = host(builder, "kept");
    let visits = visits(&host);
    let mut owners: HashMap<StoreId, (&str, &str)> = HashMap::new();
    let mut instances: HashMap<(&str, &str), StoreId> = HashMap::new();
    for Visit {
        plugin,
        tenant,
        who,
        before,
        id,
    } in &visits
    {
        let owner = (*plugin, *tenant);
        assert_eq!(
            *owners.entry(*id).or_insert(owner),
            owner,
            "{who} met another's instance"
        );
        assert_eq!(
            *instances.entry(owner).or_insert(*id),
            *id,
            "{who} lost its instance"
        );
        let own = format!("{plugin} {tenant:?} ");
        for visitor in before {
            assert!(visitor.starts_with(&own), "{who} came after {visitor}");
        }
    }
    // Whose instance it is remembers all that its owner did, and so has missed nothing.
    for (plugin, tenant) in instances.keys() {
        let own: HashSet<_> = visits
            .iter()
            .filter(|visit| (visit.plugin, visit.tenant) == (*plugin, *tenant))
            .map(|visit| visit.who.clone())
            .collect();
        let reply = host
            .tenant(*tenant)
            .call::<_, HashSet<String>>(plugin, "visit", &["last"]);
        assert_eq!(reply.unwrap().value, own, "{plugin} {tenant:?}");
    }
    assert_eq!(host.kept_count(), instances.len());
}

#[test]
fn no_fresh_instance_is_used_twice() {
    fresh_instances_are_for_one_call(common::builder());
}

#[test]
fn no_kept_instance_is_used_for_another_tenant_or_plugin() {
    kept_instances_are_for_one_tenant(common::builder());
}

#[rstest]
#[case::fresh("fresh")]
#[case::kept("kept")]
fn calls_for_different_tenants_overlap_and_each_has_an_instance(#[case] instance: &str) {
    const CALLS: usize = 10;
    // Long enough for the slowest machine: nothing waits this long unless the test fails.
    const PATIENCE: Duration = Duration::from_secs(60);

    let inside = Arc::new((Mutex::new(HashSet::new()), Condvar::new()));
    let meeting = Arc::clone(&inside);
    let pool = common::builder()
        .function_with("meet", move |call, (): ()| {
            let (ids, arrived) = &*meeting;
            let mut ids = ids.lock().unwrap();
            let is_new = ids.insert(call.store_id().unwrap());
            arrived.notify_all();
            let (ids, _) = arrived
                .wait_timeout_while(ids, PATIENCE, |ids| ids.len() < CALLS)
                .unwrap();
            match (is_new, ids.len()) {
                (true, CALLS) => Ok(call.store_id().unwrap().get()),
                (is_new, found) => Err(format!("{found} came, new: {is_new}").into()),
            }
        })
        .limits(moonfork::Limits::default().wall(2 * PATIENCE))
        .build()
        .unwrap();
    let manifest =
        format!("instance = '{instance}'\n[exports]\nmeet_all = ''\n[wants]\nfunctions = ['meet']");
    let granting =
        |builder: PluginHostBuilder| keeping(builder.grants(Grants::none().all_functions()));
    let host = Plugins::one("one", &manifest, "function meet_all() return meet() end")
        .host(&pool, granting)
        .unwrap();
    let ids: HashSet<StoreId> = thread::scope(|scope| {
        let calls: Vec<_> = (0..CALLS)
            .map(|n| {
                let tenant = host.tenant(format!("tenant {n}"));
                scope.spawn(move || tenant.call::<_, u64>("one", "meet_all", &[(); 0]).unwrap())
            })
            .collect();
        let replies = calls.into_iter().map(|call| call.join().unwrap());
        replies
            .map(|reply| {
                let id = reply.report.run.store_id;
                assert_eq!(reply.value, id.get(), "the report is another instance's");
                id
            })
            .collect()
    });
    // All of them were inside at the same time, and no two in one instance.
    assert_eq!(ids, *inside.0.lock().unwrap());
    assert_eq!(ids.len(), CALLS);
}

#[test]
fn a_kill_of_one_tenant_is_noticed_by_no_other() {
    let host = host(common::builder(), "kept");
    let killed = host.tenant("killed");
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..10 {
                let first = killed
                    .call::<_, Vec<String>>("one", "visit", &["killed"])
                    .unwrap();
                assert!(first.value.is_empty(), "something was left");
                assert_eq!(first.report.replaces.is_some(), round > 0);
                let soon = Instant::now() + Duration::from_millis(20);
                let options = CallOptions::new().deadline(soon);
                let error = killed
                    .call_with::<_, Value>("one", "spin", &[(); 0], &options)
                    .unwrap_err();
                assert!(error.loses_state(), "{error}");
            }
        });
        for tenant in ["acme", "zenith"] {
            let host = &host;
            scope.spawn(move || {
                let mut ids = HashSet::new();
                for calls in 0..100 {
                    let reply = host
                        .tenant(tenant)
                        .call::<_, Vec<String>>("one", "visit", &[tenant])
                        .unwrap();
                    assert_eq!(reply.report.instance, Lifetime::Kept);
                    assert_eq!(reply.report.replaces, None);
                    assert!(reply.value.iter().all(|who| who == tenant));
                    assert_eq!(
                        reply.value.len(),
                        if calls == 0 { 0 } else { 2 * calls + 1 }
                    );
                    ids.insert(reply.report.run.store_id);
                }
                assert_eq!(ids.len(), 1, "{tenant} lost its instance");
            });
        }
    });
}

/// Pools that break their promises, and the check that has to notice. Not among them are those
/// whose handles lie about ids: reports have theirs from the store itself.
#[rstest]
#[case::an_instance_for_two_calls(Sabotage::BranchTwice, fresh_instances_are_for_one_call)]
#[case::one_instance_for_all(Sabotage::IdsWithoutStores, fresh_instances_are_for_one_call)]
#[case::what_others_left(Sabotage::UsedBranches, fresh_instances_are_for_one_call)]
#[case::an_instance_for_two_tenants(Sabotage::BranchTwice, kept_instances_are_for_one_tenant)]
#[case::one_instance_for_all_tenants(Sabotage::IdsWithoutStores, kept_instances_are_for_one_tenant)]
fn a_pool_that_breaks_its_promises_is_noticed(
    #[case] sabotage: Sabotage,
    #[case] check: fn(PoolBuilder),
) {
    let builder = common::builder().sabotage(sabotage);
    let noticed = catch_unwind(AssertUnwindSafe(|| check(builder)));
    assert!(noticed.is_err(), "the check finds nothing wrong");
}

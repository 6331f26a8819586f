//! Kept instances: what they remember, how they are lost, and who waits for them.

use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use moonfork::plugin::{
    CallErrorKind, CallOptions, Lifetime, PluginHost, PluginHostBuilder, Reply,
};
use moonfork::{Cancel, Grants, HostError, Pool};
use serde_json::Value;

use crate::common;
use crate::plugins::{Plugins, keeping};

const NOTHING: &[(); 0] = &[];

const MANIFEST: &str = "instance = 'kept'\n[exports]\nadd = ''\nspin = ''\nfail = ''\nhost = ''\n\
                        [limits]\nwall = '20s'\nhost_calls = 3\n\
                        [wants]\nfunctions = ['reach']";

const LUA: &str = "
local sum = 0
function add(n) sum = sum + n return sum end
function spin() while true do end end
function fail() sum = sum + 100 error('no') end
function host(what) return reach(what) end
";

/// A host of the plugin `sums`; `reach` is what its host function does.
fn host_with(
    reach: impl Fn(String) -> Result<i64, HostError> + Send + Sync + 'static,
    settings: impl FnOnce(PluginHostBuilder) -> PluginHostBuilder,
) -> PluginHost {
    let pool = common::builder()
        .function("reach", move |(what,): (String,)| reach(what))
        .build()
        .unwrap();
    let granting =
        |builder: PluginHostBuilder| settings(builder.grants(Grants::none().all_functions()));
    Plugins::one("sums", MANIFEST, LUA)
        .host(&pool, granting)
        .unwrap()
}

fn host() -> PluginHost {
    host_with(|_| Ok(0), keeping)
}

fn add(host: &PluginHost, tenant: &str, n: i64) -> Reply<i64> {
    host.tenant(tenant).call("sums", "add", &[n]).unwrap()
}

#[test]
fn a_kept_instance_remembers_and_belongs_to_one_tenant() {
    let host = host();
    let first = add(&host, "acme", 1);
    assert_eq!(first.report.instance, Lifetime::Kept);
    assert_eq!(add(&host, "zenith", 5).value, 5);
    let again = add(&host, "acme", 2);
    assert_eq!((first.value, again.value), (1, 3));
    assert_eq!(first.report.run.store_id, again.report.run.store_id);
    assert_eq!(host.kept_count(), 2);
}

#[test]
fn the_first_call_of_a_kept_instance_loads_it() {
    for (once, calls) in [(true, 1), (false, 2)] {
        let host = host_with(|_| Ok(0), |host| keeping(host).run_entry_once(once));
        let [first, again] = [1, 2].map(|n| add(&host, "acme", n).report.run.calls);
        // Where the instance begins behind the entry, that isn't run.
        assert_eq!((first, again), (calls, 1));
    }
}

#[test]
fn an_error_of_the_script_loses_nothing() {
    let host = host();
    let before = add(&host, "acme", 1);
    let error = host
        .tenant("acme")
        .call::<_, Value>("sums", "fail", NOTHING)
        .unwrap_err();
    assert!(
        error.run_error().unwrap().is_script() && !error.loses_state(),
        "{error}"
    );
    let after = add(&host, "acme", 1);
    assert_eq!((after.value, after.report.replaces), (102, None));
    assert_eq!(after.report.run.store_id, before.report.run.store_id);
}

#[test]
fn after_a_kill_the_next_call_has_a_fresh_instance_and_says_so_once() {
    let host = host();
    let before = add(&host, "acme", 1).report.run.store_id;
    let other = add(&host, "zenith", 7).report.run.store_id;
    let soon = CallOptions::new().deadline(Instant::now() + Duration::from_millis(50));
    let acme = host.tenant("acme");
    let error = acme
        .call_with::<_, Value>("sums", "spin", NOTHING, &soon)
        .unwrap_err();
    assert!(
        error.run_error().unwrap().is_timeout() && error.loses_state(),
        "{error}"
    );
    assert_eq!(error.report().unwrap().run.store_id, before);

    let after = add(&host, "acme", 10);
    assert_eq!((after.value, after.report.replaces), (10, Some(before)));
    assert_ne!(after.report.run.store_id, before);
    let again = add(&host, "acme", 1);
    assert_eq!((again.value, again.report.replaces), (11, None));
    // The other tenant noticed nothing.
    let other_after = add(&host, "zenith", 1);
    assert_eq!(
        (other_after.value, other_after.report.run.store_id),
        (8, other)
    );
}

#[test]
fn a_panic_of_a_host_function_loses_the_instance_and_nothing_else() {
    let host = host_with(|_| panic!("out of order"), keeping);
    let before = add(&host, "acme", 1).report.run.store_id;
    let error = host
        .tenant("acme")
        .call::<_, Value>("sums", "host", &["x"])
        .unwrap_err();
    assert!(
        error.run_error().unwrap().is_host_panic() && error.loses_state(),
        "{error}"
    );
    assert_eq!(add(&host, "acme", 5).report.replaces, Some(before));
}

#[test]
fn a_panic_of_the_caller_loses_the_instance_and_the_next_call_is_told() {
    struct Panics;
    impl serde::Serialize for Panics {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("no value of mine")
        }
    }
    let host = host();
    let before = add(&host, "acme", 1).report.run.store_id;
    let tenant = host.tenant("acme");
    let panicking = thread::spawn(move || tenant.call::<_, Value>("sums", "add", &[Panics]));
    assert!(panicking.join().is_err());
    let after = add(&host, "acme", 2);
    assert_eq!((after.value, after.report.replaces), (2, Some(before)));
}

#[test]
fn an_entry_that_fails_keeps_nothing() {
    // It fails when it is loaded for a call, not when the host loads it.
    static FAILS: Mutex<bool> = Mutex::new(false);
    let pool = common::builder()
        .function("ready", |(): ()| {
            if *FAILS.lock().unwrap() {
                Err("not yet")
            } else {
                Ok(())
            }
            .map_err(HostError::from)
        })
        .build()
        .unwrap();
    let manifest = "instance = 'kept'\n[exports]\nrun = ''\n[wants]\nfunctions = ['ready']";
    let plugins = Plugins::one("late", manifest, "ready() function run() return 1 end");
    let granting =
        |builder: PluginHostBuilder| keeping(builder.grants(Grants::none().all_functions()));
    let host = plugins.host(&pool, granting).unwrap();
    let tenant = host.tenant("t");
    *FAILS.lock().unwrap() = true;
    let error = tenant.call::<_, i64>("late", "run", NOTHING).unwrap_err();
    assert!(error.to_string().contains("not yet"), "{error}");
    assert_eq!(host.kept_count(), 0);
    *FAILS.lock().unwrap() = false;
    let reply = tenant.call::<_, i64>("late", "run", NOTHING).unwrap();
    assert_eq!(
        (reply.value, reply.report.replaces, host.kept_count()),
        (1, None, 1)
    );
}

#[test]
fn a_host_keeps_no_more_than_it_allows() {
    let host = host_with(|_| Ok(0), |builder| builder.max_kept(2));
    add(&host, "a", 1);
    add(&host, "b", 1);
    let error = host
        .tenant("c")
        .call::<_, i64>("sums", "add", &[1])
        .unwrap_err();
    assert!(
        matches!(error.kind(), CallErrorKind::TooManyKept { limit: 2 }),
        "{error}"
    );
    // Those that are there go on, and a released one makes room.
    assert_eq!(add(&host, "a", 1).value, 2);
    host.tenant("b").release();
    assert_eq!(host.kept_count(), 1);
    assert_eq!(add(&host, "c", 1).value, 1);
}

#[test]
fn a_released_tenant_begins_anew_and_its_neighbours_go_on() {
    let host = host();
    let before = add(&host, "acme", 1).report.run.store_id;
    add(&host, "zenith", 1);
    host.tenant("acme").release();
    assert_eq!(host.kept_count(), 1);
    let after = add(&host, "acme", 1);
    assert_eq!((after.value, after.report.replaces), (1, None));
    assert_ne!(after.report.run.store_id, before);
    assert_eq!(add(&host, "zenith", 1).value, 2);
}

#[test]
fn a_host_that_is_dropped_keeps_nothing() {
    let pool: Pool = common::builder().build().unwrap();
    let manifest = "instance = 'kept'\n[exports]\nrun = ''";
    let host = Plugins::one("one", manifest, "function run() end")
        .host(&pool, keeping)
        .unwrap();
    let tenant = host.tenant("t");
    tenant.call::<_, Value>("one", "run", NOTHING).unwrap();
    drop(host);
    assert_eq!(pool.live_count(), 1);
    drop(tenant);
    assert_eq!(pool.live_count(), 0);
}

#[test]
fn a_call_that_comes_from_the_same_instance_is_refused() {
    let cell: Arc<OnceLock<PluginHost>> = Arc::default();
    let inner = Arc::clone(&cell);
    let host = host_with(
        move |tenant| {
            let tenant = inner.get().unwrap().tenant(tenant);
            let reply = tenant.call::<_, i64>("sums", "add", &[1]);
            reply.map(|reply| reply.value).map_err(HostError::from)
        },
        keeping,
    );
    cell.set(host).unwrap();
    let acme = cell.get().unwrap().tenant("acme");
    let error = acme.call::<_, i64>("sums", "host", &["acme"]).unwrap_err();
    assert!(
        error.to_string().contains("in the middle of the call"),
        "{error}"
    );
    // Another tenant's instance is another matter.
    let reply = acme.call::<_, i64>("sums", "host", &["zenith"]).unwrap();
    assert_eq!(reply.value, 1);
}

/// A host whose plugin is inside `host('...')` until what is returned is sent to or dropped,
/// and the thread that called it.
struct Busy {
    host: PluginHost,
    leave: mpsc::Sender<()>,
    caller: thread::JoinHandle<i64>,
}

fn busy(settings: impl FnOnce(PluginHostBuilder) -> PluginHostBuilder) -> Busy {
    let (leave, left) = mpsc::channel();
    let (enter, entered) = mpsc::channel();
    let (left, enter) = (Mutex::new(left), Mutex::new(enter));
    let host = host_with(
        move |_| {
            enter.lock().unwrap().send(()).unwrap();
            let _ = left.lock().unwrap().recv();
            Ok(1)
        },
        settings,
    );
    let tenant = host.tenant("acme");
    let caller =
        thread::spawn(move || tenant.call::<_, i64>("sums", "host", &["x"]).unwrap().value);
    entered.recv().unwrap();
    Busy {
        host,
        leave,
        caller,
    }
}

#[test]
fn calls_of_one_instance_wait_for_each_other() {
    let Busy {
        host,
        leave,
        caller,
    } = busy(keeping);
    let tenant = host.tenant("acme");
    let waiting = thread::spawn(move || tenant.call::<_, i64>("sums", "add", &[4]).unwrap());
    // Meanwhile other tenants don't wait.
    assert_eq!(add(&host, "zenith", 3).value, 3);
    leave.send(()).unwrap();
    let first = caller.join().unwrap();
    let second = waiting.join().unwrap();
    assert_eq!((first, second.value), (1, 4));
}

#[test]
fn waiting_ends_with_the_deadline_the_handle_or_the_hosts_patience() {
    let Busy {
        host,
        leave,
        caller,
    } = busy(|builder| keeping(builder).turn_timeout(Duration::from_millis(50)));
    let acme = host.tenant("acme");
    let error = acme.call::<_, i64>("sums", "add", &[1]).unwrap_err();
    assert!(
        matches!(error.kind(), CallErrorKind::InUse { .. }),
        "{error}"
    );
    assert!(error.to_string().ends_with(" for 50ms"), "{error}");

    let past = CallOptions::new().deadline(Instant::now());
    let error = acme
        .call_with::<_, i64>("sums", "add", &[1], &past)
        .unwrap_err();
    assert!(error.run_error().unwrap().is_timeout(), "{error}");
    assert!(error.report().is_none());

    let cancel = Cancel::new();
    cancel.cancel();
    let cancelled = CallOptions::new().cancel_handle(&cancel);
    let error = acme
        .call_with::<_, i64>("sums", "add", &[1], &cancelled)
        .unwrap_err();
    assert!(error.run_error().unwrap().is_cancelled(), "{error}");

    drop(leave);
    caller.join().unwrap();
    assert_eq!(acme.call::<_, i64>("sums", "add", &[1]).unwrap().value, 1);
}

#[test]
fn a_waiting_call_is_woken_by_its_handle() {
    let Busy {
        host,
        leave,
        caller,
    } = busy(keeping);
    let cancel = Cancel::new();
    let (tenant, options) = (
        host.tenant("acme"),
        CallOptions::new().cancel_handle(&cancel),
    );
    let waiting = thread::spawn(move || {
        tenant
            .call_with::<_, i64>("sums", "add", &[1], &options)
            .unwrap_err()
    });
    cancel.cancel();
    let error = waiting.join().unwrap();
    assert!(error.run_error().unwrap().is_cancelled(), "{error}");
    drop(leave);
    caller.join().unwrap();
}

#[test]
fn a_tenant_released_in_the_middle_of_a_call_begins_anew_behind_it() {
    let Busy {
        host,
        leave,
        caller,
    } = busy(keeping);
    let tenant = host.tenant("acme");
    let waiting = {
        let tenant = tenant.clone();
        thread::spawn(move || tenant.call::<_, i64>("sums", "add", &[4]).unwrap())
    };
    tenant.release();
    // Who comes now gets the new instance, whether the old one is in use or not.
    let now = add(&host, "acme", 2);
    drop(leave);
    caller.join().unwrap();
    let waited = waiting.join().unwrap();
    assert_eq!(add(&host, "acme", 0).value, waited.value.max(now.value));
    assert_eq!(waited.report.run.store_id, now.report.run.store_id);
    assert_eq!(host.kept_count(), 1);
}

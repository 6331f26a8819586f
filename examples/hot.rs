use moonfork::{Handle, Pool};
use serde_json::{Value, json};
fn main() {
    let mode = std::env::args().nth(1).unwrap();
    let mut pb = Pool::builder();
    if let Ok(g) = std::env::var("GUEST") {
        pb = pb.guest(std::fs::read(g).unwrap());
    }
    let pool = pb.build().unwrap();
    for l in std::fs::read_to_string("/proc/self/maps").unwrap().lines() {
        if l.contains("r-xp") {
            eprintln!("{l}");
        }
    }
    let mut b = pool.branch().unwrap();
    let t = std::time::Instant::now();
    let mut n = 0u64;
    let order = {
        let items: Vec<Value> = (1..=8)
            .map(|n| json!({"name": format!("item {n}"), "price": 1.5, "count": n}))
            .collect();
        json!({"id": 7, "items": items})
    };
    let code = "local total = 0 for _, item in ipairs(state.items) do total = total + item.price * item.count end return {id = state.id, total = total}";
    let doc: Value = {
        let o = |n: u32| json!({"id": n, "customer": {"name": format!("customer {n}"), "address": {"street": "Main Street", "number": n % 200}}, "tags": ["new", "paid", format!("batch {}", n / 10)], "items": (1..=4).map(|i| json!({"sku": format!("sku-{n}-{i}"), "price": f64::from(n * i) / 8.0, "count": i, "gift": i % 2 == 0})).collect::<Vec<_>>()});
        Value::from((0..2700).map(o).collect::<Vec<_>>())
    };
    b.eval::<()>("function add(a, b) return a + b end").unwrap();
    while t.elapsed().as_secs_f64() < 4.0 {
        match &*mode {
            "call" => {
                for _ in 0..100 {
                    let _: i64 = b.call("add", &(2, 3)).unwrap();
                    n += 1;
                }
            }
            "fresh" => {
                let _: Value = pool.branch().unwrap().eval_with(code, &order).unwrap();
                n += 1;
            }
            "sum" => {
                let _: i64 = pool.branch().unwrap().eval("return 1 + 1").unwrap();
                n += 1;
            }
            "live" => {
                let _: Value = b.eval_with(code, &order).unwrap();
                n += 1;
            }
            "json" => {
                let _: Value = b.eval_with("return state", &doc).unwrap();
                n += 1;
            }
            "pcall" => {
                let _: u32 = b
                    .eval(
                        "local function f() return 1 end for _ = 1, 20000 do pcall(f) end return 1",
                    )
                    .unwrap();
                n += 20000;
            }
            "perr" => {
                let _: u32 = b
                    .eval("for _ = 1, 5000 do pcall(error) end return 1")
                    .unwrap();
                n += 5000;
            }
            _ => {
                let _: Value = b.eval(&*std::fs::read_to_string(&mode).unwrap()).unwrap();
                n += 1;
            }
        }
    }
    eprintln!("{} ns", t.elapsed().as_nanos() as u64 / n);
}

//! What one instance leaves in its slot, the next one there does not find: memory, tables, globals, and the data that the
//! module began with. By every way a node may allocate, and whether the memory fits what is cleared in place or not.

use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, Store,
    component::{Component, Instance, Linker},
};

use nearside_protocol::limits;

use super::{NO_ROOM, heavy, light, pooling};

/// `fill` writes a secret wherever it can, `found` counts the places where it is - and those that are not as they began.
const GUEST: &str = r#"
(component
  (core module $guest
    (memory 12)
    (table $table 64 funcref)
    (global $global (mut i64) (i64.const 0))
    (data (i32.const 131072) "as it was")
    (func $nothing)
    (elem declare func $nothing)
    (func (export "fill") (param $secret i64) (param $grow i32)
      (local $at i32)
      (drop (memory.grow (local.get $grow)))
      (loop $next
        (i64.store (local.get $at) (local.get $secret))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
      (table.fill $table (i32.const 0) (ref.func $nothing) (i32.const 64))
      (global.set $global (local.get $secret)))
    (func (export "found") (param $secret i64) (param $grow i32) (result i32)
      (local $at i32) (local $found i32)
      (drop (memory.grow (local.get $grow)))
      (local.set $found (i64.eq (global.get $global) (local.get $secret)))
      (loop $next
        (local.set $found (i32.add (local.get $found) (i64.eq (i64.load (local.get $at)) (local.get $secret))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
      (local.set $at (i32.const 0))
      (loop $next
        (local.set $found
          (i32.add (local.get $found) (i32.eqz (ref.is_null (table.get $table (local.get $at))))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 64))))
      (i32.add (local.get $found) (i32.ne (i32.load8_u (i32.const 131072)) (i32.const 97)))))
  (core instance $instance (instantiate $guest))
  (func (export "fill") (param "secret" u64) (param "grow" u32) (canon lift (core func $instance "fill")))
  (func (export "found") (param "secret" u64) (param "grow" u32) (result u32)
    (canon lift (core func $instance "found"))))
"#;

const SECRET: u64 = 0x5ec2_e75e_c2e7_0001;
const SEARCHES: usize = 1_000;
const THREADS: usize = 4;
/// Pages of 64 KiB by which a guest grows: what a usual page has is cleared in place, what is beyond that is not.
const GROWN: [u32; 3] = [0, 4, 48];

struct Guests {
    engine: Engine,
    component: Component,
}

impl Guests {
    fn of(config: &Config) -> Guests {
        let engine = Engine::new(config).unwrap();
        let component = Component::new(&engine, wat::parse_str(GUEST).unwrap()).unwrap();
        Guests { engine, component }
    }

    fn instance(&self) -> wasmtime::Result<(Store<()>, Instance)> {
        let mut store = Store::new(&self.engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = Linker::new(&self.engine).instantiate(&mut store, &self.component)?;
        Ok((store, instance))
    }

    /// A fresh instance that fills itself, and is looked at or not before it goes.
    fn fill(&self, grow: u32, look: bool) -> u32 {
        let (mut store, instance) = self.instance().unwrap();
        let fill = instance.get_typed_func::<(u64, u32), ()>(&mut store, "fill").unwrap();
        fill.call(&mut store, (SECRET, grow)).unwrap();
        let found = instance.get_typed_func::<(u64, u32), (u32,)>(&mut store, "found").unwrap();
        if look { found.call(&mut store, (SECRET, 0)).unwrap().0 } else { 0 }
    }

    fn found(&self, grow: u32) -> u32 {
        let (mut store, instance) = self.instance().unwrap();
        let found = instance.get_typed_func::<(u64, u32), (u32,)>(&mut store, "found").unwrap();
        found.call(&mut store, (SECRET, grow)).unwrap().0
    }
}

#[test]
fn what_a_guest_leaves_no_other_finds() {
    for config in [light(), heavy(pooling()), heavy(InstanceAllocationStrategy::OnDemand)] {
        let guests = Guests::of(&config);
        // A guest that looks into itself finds it in all of its 16 pages, its table, its global and its data.
        assert_eq!(guests.fill(4, true), 16 * 65_536 / 8 + 64 + 1 + 1);
        for grow in GROWN {
            std::thread::scope(|scope| {
                for thread in 0..THREADS {
                    let guests = &guests;
                    scope.spawn(move || {
                        for round in 0..SEARCHES / THREADS {
                            // One before each of the first, and then now and again: slots are used over and over.
                            if round < 8 || round % 16 == thread {
                                guests.fill(grow, false);
                            }
                            assert_eq!(guests.found(GROWN[round % GROWN.len()]), 0);
                        }
                    });
                }
            });
        }
    }
}

#[test]
fn there_are_so_many_memories_and_each_comes_back() {
    let guests = Guests::of(&light());
    let mut all: Vec<_> = (0..limits::GUEST_MEMORIES_AT_ONCE).map(|_| guests.instance().unwrap()).collect();
    let refused = guests.instance().err().unwrap();
    assert_eq!(refused.root_cause().to_string(), NO_ROOM);
    all.pop();
    all.push(guests.instance().unwrap());
    drop(all);
    assert_eq!(guests.fill(4, true), 16 * 65_536 / 8 + 64 + 1 + 1);
}

#[test]
fn a_guest_that_reaches_beyond_its_memory_is_stopped_whoever_had_more_there() {
    const GUEST: &str = r#"
        (component
          (core module $guest
            (memory 1)
            (func (export "grow") (param i32) (drop (memory.grow (local.get 0))))
            (func (export "reach") (param i32) (i32.store (local.get 0) (i32.const 7))))
          (core instance $instance (instantiate $guest))
          (func (export "grow") (param "pages" u32) (canon lift (core func $instance "grow")))
          (func (export "reach") (param "at" u32) (canon lift (core func $instance "reach"))))
    "#;
    let engine = Engine::new(&light()).unwrap();
    let component = Component::new(&engine, wat::parse_str(GUEST).unwrap()).unwrap();
    let guests = Guests { engine, component };
    let last = |pages: u32| pages * 65_536 - 4;
    for grown in [40, 0, 3, 100, 1] {
        let (mut store, instance) = guests.instance().unwrap();
        let grow = instance.get_typed_func::<(u32,), ()>(&mut store, "grow").unwrap();
        let reach = instance.get_typed_func::<(u32,), ()>(&mut store, "reach").unwrap();
        grow.call(&mut store, (grown,)).unwrap();
        reach.call(&mut store, (last(1 + grown),)).unwrap();
        assert!(reach.call(&mut store, (last(1 + grown) + 1,)).is_err(), "{grown}");
    }
    for beyond in [4, 65_536, 40 * 65_536, u32::MAX - 65_536 - 4] {
        let (mut store, instance) = guests.instance().unwrap();
        let reach = instance.get_typed_func::<(u32,), ()>(&mut store, "reach").unwrap();
        assert!(reach.call(&mut store, (last(1) + beyond,)).is_err(), "{beyond}");
    }
}

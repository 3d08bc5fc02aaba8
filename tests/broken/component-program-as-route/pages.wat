(component
  (core module $code (func (export "run") (result i32) i32.const 0))
  (core instance $running (instantiate $code))
  (func $run (result (result)) (canon lift (core func $running "run")))
  (instance $program (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $program)))

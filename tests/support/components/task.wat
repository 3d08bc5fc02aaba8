;; The least a task's component can be: it cannot send anything.
(component
  (core module $code
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "run") (param i64 i32 i32 i32 i32 i32) (result i32) unreachable))
  (core instance $running (instantiate $code))
  (type $job (record (field "id" u64) (field "name" string) (field "payload" string) (field "attempt" u32)))
  (type $failure (variant (case "retry" string) (case "discard" string)))
  (func $run (param "job" $job) (result (result (error $failure)))
    (canon lift (core func $running "run")
      (memory (core memory $running "memory")) (realloc (core func $running "realloc"))))
  ;; Types have to be exported by the instance whose functions use them.
  (component $named
    (type $job (record (field "id" u64) (field "name" string) (field "payload" string) (field "attempt" u32)))
    (type $failure (variant (case "retry" string) (case "discard" string)))
    (import "job" (type $j (eq $job)))
    (import "failure" (type $f (eq $failure)))
    (import "run" (func $run (param "job" $j) (result (result (error $f)))))
    (export $ej "job" (type $j))
    (export $ef "failure" (type $f))
    (export "run" (func $run) (func (param "job" $ej) (result (result (error $ef))))))
  (instance $handler (instantiate $named
    (with "job" (type $job)) (with "failure" (type $failure)) (with "run" (func $run))))
  (export "nearside:edge/task-handler@0.1.0" (instance $handler)))

;; A command that wants to send HTTP requests from inside the transaction.
(component
  (import "nearside:edge/store@0.1.0" (instance))
  (import "wasi:http/outgoing-handler@0.2.0" (instance))
  (core module $code
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "apply") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $running (instantiate $code))
  (type $command (record (field "name" string) (field "payload" string)))
  (type $refusal (variant (case "rejected" string) (case "retry" string)))
  (func $apply (param "command" $command) (result (result string (error $refusal)))
    (canon lift (core func $running "apply")
      (memory (core memory $running "memory")) (realloc (core func $running "realloc"))))
  ;; Types have to be exported by the instance whose functions use them.
  (component $named
    (type $command (record (field "name" string) (field "payload" string)))
    (type $refusal (variant (case "rejected" string) (case "retry" string)))
    (import "command" (type $c (eq $command)))
    (import "refusal" (type $r (eq $refusal)))
    (import "apply" (func $apply (param "command" $c) (result (result string (error $r)))))
    (export $ec "command" (type $c))
    (export $er "refusal" (type $r))
    (export "apply" (func $apply) (func (param "command" $ec) (result (result string (error $er))))))
  (instance $handler (instantiate $named
    (with "command" (type $command)) (with "refusal" (type $refusal)) (with "apply" (func $apply))))
  (export "nearside:edge/command-handler@0.1.0" (instance $handler)))

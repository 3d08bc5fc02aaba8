;; The least a route's component can be. It imports what a handler may, so that nothing counts as unused.
(component
  (import "wasi:http/types@0.2.12" (instance $http
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (import "wasi:cli/environment@0.2.0" (instance))
  (import "nearside:edge/sql@0.1.0" (instance))
  (import "nearside:edge/origin@0.1.0" (instance))
  (alias export $http "incoming-request" (type $request))
  (alias export $http "response-outparam" (type $response))
  (core module $code (func (export "handle") (param i32 i32)))
  (core instance $running (instantiate $code))
  (func $handle (param "request" (own $request)) (param "response-out" (own $response))
    (canon lift (core func $running "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.12" (instance $handler)))

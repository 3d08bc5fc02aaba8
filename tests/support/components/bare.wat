;; A route's component that imports nothing it is granted.
(component
  (import "wasi:http/types@0.2.12" (instance $http
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $http "incoming-request" (type $request))
  (alias export $http "response-outparam" (type $response))
  (core module $code (func (export "handle") (param i32 i32)))
  (core instance $running (instantiate $code))
  (func $handle (param "request" (own $request)) (param "response-out" (own $response))
    (canon lift (core func $running "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.12" (instance $handler)))

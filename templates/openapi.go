package templates

import _ "embed"

// OpenAPI describes the REST API, as https://spec.openapis.org/oas/v3.1.0 says.
// The path of its server and its version are to be put in.
//
//go:embed openapi.json
var OpenAPI []byte

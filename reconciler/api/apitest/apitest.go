// Package apitest holds answers of the API against its description in OpenAPI,
// in tests.
package apitest

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

func init() {
	openapi3filter.RegisterBodyDecoder("text/event-stream", openapi3filter.PlainBodyDecoder)
}

// Document is a description that is valid itself.
type Document struct {
	openapi *openapi3.T
	router  routers.Router
}

// Load reads a description. It is taken at its word: what it does not name is
// not answered.
func Load(t testing.TB, document []byte) *Document {
	t.Helper()
	d, err := openapi3.NewLoader().LoadFromData(document)
	if err == nil {
		err = d.Validate(t.Context())
	}
	if err != nil {
		t.Fatalf("the description: %v", err)
	}
	if !strings.HasPrefix(d.OpenAPI, "3.1") {
		t.Errorf("the description is of OpenAPI %s", d.OpenAPI)
	}
	for _, s := range d.Components.Schemas {
		seal(s)
	}
	router, err := gorillamux.NewRouter(d)
	if err != nil {
		t.Fatal(err)
	}
	return &Document{d, router}
}

// seal forbids what is not named in objects, at any depth.
func seal(s *openapi3.SchemaRef) {
	if s == nil || s.Ref != "" { // which is sealed where it is
		return
	}
	if no := false; len(s.Value.Properties) > 0 {
		s.Value.AdditionalProperties.Has = &no
	}
	for _, property := range s.Value.Properties {
		seal(property)
	}
	seal(s.Value.Items)
	seal(s.Value.AdditionalProperties.Schema)
	for _, one := range s.Value.OneOf {
		seal(one)
	}
}

// Operations are all that is described, such as GET /api/servers/{name}, in
// order.
func (d *Document) Operations() (operations []string) {
	for path, item := range d.openapi.Paths.Map() {
		for method := range item.Operations() {
			operations = append(operations, method+" "+path)
		}
	}
	slices.Sort(operations)
	return operations
}

// Check says where a request or its answer is not as described, and returns
// which operation it was.
func (d *Document) Check(t testing.TB, method, url string, status int, header http.Header, body string) (operation string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	route, parameters, err := d.router.FindRoute(r)
	if err != nil {
		t.Errorf("%s %s is not described: %v", method, url, err)
		return ""
	}
	asked := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: parameters, Route: route, Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if err := openapi3filter.ValidateRequest(t.Context(), asked); err != nil && status < 400 {
		t.Errorf("%s %s is answered, and is not a question as described: %v", method, url, err)
	}
	answered := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: asked, Status: status, Header: header, Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateResponse(t.Context(), answered.SetBodyBytes([]byte(body))); err != nil {
		t.Errorf("%s %s: the answer is not as described: %v\n%s", method, url, err, body)
	}
	return route.Method + " " + route.Path
}

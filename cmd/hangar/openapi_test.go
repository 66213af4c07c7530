package main

import (
	"io"
	"net/http"
	"testing"

	"hangar/reconciler/api/apitest"
)

// asDescribed holds answers of a running hangar against its own description.
func asDescribed(t *testing.T, s *served, paths []string) {
	t.Helper()
	d := apitest.Load(t, []byte(s.get("/api/openapi.json")))
	for _, path := range paths {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+s.w.Config().ServerToken)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		d.Check(t, http.MethodGet, s.url+path, answer.StatusCode, answer.Header, string(body))
	}
}

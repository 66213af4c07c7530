package api

import (
	"cmp"
	"encoding/json"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"hangar/templates"
)

// described is the description of this API.
type described struct {
	document []byte // OpenAPI
	routes   routes
}

type routes struct {
	OpenAPI string  `json:"openapi"` // path of the document
	Routes  []route `json:"routes"`
}

type route struct {
	Method  string `json:"method"`
	Path    string `json:"path"` // with the root
	Summary string `json:"summary"`
}

// describe reads the description, and puts in where the API lies and which
// version it is. Tests hold it against the routes that there are.
func (a *API) describe() described {
	var document map[string]any
	var known struct {
		Paths map[string]map[string]struct{ Summary string }
	}
	for _, into := range []any{&document, &known} {
		if err := json.Unmarshal(templates.OpenAPI, into); err != nil {
			panic(err) // it is embedded
		}
	}
	root := path.Join("/", a.Root)
	document["servers"] = []any{map[string]any{"url": root}}
	if info, ok := document["info"].(map[string]any); ok {
		info["version"] = a.Version.Version
	}
	d := described{routes: routes{OpenAPI: path.Join(root, "/api/openapi.json")}}
	for at, methods := range known.Paths {
		for method, operation := range methods {
			d.routes.Routes = append(d.routes.Routes, route{strings.ToUpper(method), path.Join(root, at), operation.Summary})
		}
	}
	slices.SortFunc(d.routes.Routes, func(x, y route) int { return cmp.Or(cmp.Compare(x.Path, y.Path), cmp.Compare(x.Method, y.Method)) })
	var err error
	if d.document, err = json.Marshal(document); err != nil {
		panic(err) // what was decoded from JSON can be encoded
	}
	return d
}

func (d described) list(c *gin.Context) { c.JSON(http.StatusOK, d.routes) }

func (d described) openAPI(c *gin.Context) {
	c.Data(http.StatusOK, "application/json; charset=utf-8", d.document)
}

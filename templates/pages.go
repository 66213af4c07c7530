package templates

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

//go:embed pages
var pageFiles embed.FS

// fileKinds are the types of the files that pages load, by their endings.
var fileKinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// PageFiles is what hangar's pages are made of.
type PageFiles struct{ version string }

// Pages returns the pages' files.
func Pages() PageFiles {
	sum := sha256.New()
	for _, file := range slices.Sorted(maps.Keys(fileKinds)) {
		names, _ := fs.Glob(pageFiles, "pages/*"+file) // its pattern is a good one
		for _, name := range names {
			text, _ := pageFiles.ReadFile(name) // it was listed
			sum.Write(text)
		}
	}
	return PageFiles{hex.EncodeToString(sum.Sum(nil)[:6])}
}

// Version changes with the files that pages load.
func (p PageFiles) Version() string { return p.version }

// File returns a file that pages load, and its type; nil when there is none of
// that name.
func (p PageFiles) File(name string) (text []byte, kind string) {
	kind, ok := fileKinds[path.Ext(name)]
	if !ok {
		return nil, ""
	}
	text, err := pageFiles.ReadFile("pages/" + name)
	if err != nil {
		return nil, ""
	}
	return text, kind
}

// Parse returns the pages' templates by name, each with its frame around it.
// They may use the functions, and version.
func (p PageFiles) Parse(functions template.FuncMap) map[string]*template.Template {
	functions = maps.Clone(functions)
	functions["version"] = p.Version
	frame := template.Must(template.New("frame.tmpl").Funcs(functions).ParseFS(pageFiles, "pages/frame.tmpl", "pages/parts.tmpl"))
	layouts := make(map[string]*template.Template)
	names, _ := fs.Glob(pageFiles, "pages/*.tmpl") // its pattern is a good one
	for _, name := range names {
		layout := strings.TrimSuffix(path.Base(name), ".tmpl")
		if layout != "frame" && layout != "parts" {
			layouts[layout] = template.Must(template.Must(frame.Clone()).ParseFS(pageFiles, name))
		}
	}
	return layouts
}

package tfmodules

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

func rootServers(extra []string, names ...string) []Server {
	var servers []Server
	for _, n := range names {
		servers = append(servers, Server{Name: n, Tags: Tags("i-1", "s1", n, extra)})
	}
	return servers
}

const project = "5b590e4f-be96-4400-ae32-c315ee67964d"

// goldens are the roots of the golden files, of the packet module.
var goldens = map[string]Root{
	"facility": {
		Settings: map[string]any{"facility": "ewr1", "plan": "c3.small.x86", "image": "ubuntu_24_04", "project_id": project},
		Servers:  rootServers(nil, "agent-cccccccc", "agent-aaaaaaaa", "agent-bbbbbbbb"),
	},
	"everything": {
		Settings: map[string]any{
			"metro": "ny", "plan": "m3.large.x86", "image": "debian_12", "project_id": project, "billing_cycle": "daily",
			"project_ssh_key_ids": []string{"5a1c", "99ff"}, "hardware_reservation_id": "next-available", "create_timeout": "45m",
		},
		Provider: map[string]any{"endpoint": "http://127.0.0.1:8099/", "max_retries": 3.0},
		Servers:  rootServers([]string{"team=ci", `odd "tag" ${x} %{y}`}, "agent-aaaaaaaa", "7-agent-with-a-digit-first"),
	},
	"empty": {
		Settings: map[string]any{"facility": "ewr1", "plan": "c3.small.x86", "image": "ubuntu_24_04", "project_id": project},
	},
	"import": {
		Settings: map[string]any{"facility": "ewr1", "plan": "c3.small.x86", "image": "ubuntu_24_04", "project_id": project},
		Servers:  rootServers(nil, "agent-aaaaaaaa", "agent-bbbbbbbb"),
		Imports: map[string]string{
			"agent-bbbbbbbb": "71f73595-05c9-09d3-21df-952777e39c63",
			"agent-aaaaaaaa": "dc8d9dbe-8c58-86e6-3077-0125dc59fe5a",
		},
	},
}

// censuses are the roots of the golden files of censuses, of the packet module.
var censuses = map[string]CensusRoot{
	"census": {
		Settings: map[string]any{"facility": "ewr1", "plan": "c3.small.x86", "image": "ubuntu_24_04", "project_id": project},
		Tag:      "hangar-stack=default-k3v7q2mn",
	},
	"census-known": {
		Settings: map[string]any{"metro": "ny", "project_id": project},
		Provider: map[string]any{"endpoint": "http://127.0.0.1:8099/"},
		Tag:      "hangar-instance=i-1",
		Known:    []string{"71f73595-05c9-09d3-21df-952777e39c63", "dc8d9dbe-8c58-86e6-3077-0125dc59fe5a"},
	},
}

// rendered are the roots of all golden files, by name.
func rendered(t *testing.T) map[string][]byte {
	t.Helper()
	m := packet(t)
	texts := map[string][]byte{}
	var err error
	for name, root := range goldens {
		root.Module = m
		if texts[name], err = Render(root); err != nil {
			t.Fatal(err)
		}
	}
	for name, root := range censuses {
		root.Module = m
		if texts[name], err = RenderCensus(root); err != nil {
			t.Fatal(err)
		}
	}
	return texts
}

func TestRenderGolden(t *testing.T) {
	folder := packet(t).Folder()
	for name, got := range rendered(t) {
		t.Run(name, func(t *testing.T) {
			// The copy's hash follows the module; the golden files need not.
			got = bytes.ReplaceAll(got, []byte(folder), []byte("packet-00000000"))
			path := "testdata/" + name + ".tf.golden"
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("rendered:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestRenderIsFormatted(t *testing.T) {
	terraform, err := exec.LookPath("terraform")
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("HANGAR_REQUIRE"), ","), "terraform") {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for name, got := range rendered(t) {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(terraform, "fmt", "-")
			cmd.Stdin = bytes.NewReader(got)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			want, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, stderr.Bytes())
			}
			if !bytes.Equal(got, want) {
				t.Errorf("rendered:\n%s\nterraform fmt:\n%s", got, want)
			}
		})
	}
	t.Run("the shipped modules", func(t *testing.T) {
		if out, err := exec.Command(terraform, "fmt", "-check", "-recursive", "-diff", "packet").Output(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func TestRenderValues(t *testing.T) {
	m, err := Load(plain, "mine")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Render(Root{Module: m, Settings: map[string]any{
		"size": "a \"b\" ${c} %{d} \\ \n é",
		"options": map[string]any{
			"text": "x", "yes": true, "whole": 25.0, "half": 0.5, "int": 7, "none": nil,
			"list": []any{"a", 1.0}, "strings": []string{"b"}, "map": map[string]any{"k v": "w"},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`size    = "a \"b\" $${c} %%{d} \\ \n é"`, `half = 0.5`, `int  = 7`, `list = ["a", 1]`, `"k v" = "w"`,
		`none    = null`, `strings = ["b"]`, `whole   = 25`, `yes     = true`,
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%s is not in:\n%s", want, got)
		}
	}
	if strings.Contains(string(got), "provider") {
		t.Errorf("a module without providers has a provider block:\n%s", got)
	}
}

func TestRenderRefuses(t *testing.T) {
	good := func() map[string]any { return map[string]any{"plan": "p", "image": "i", "project_id": "x"} }
	tests := []struct {
		name   string
		change func(*Root)
		want   string
	}{
		{"a missing setting", func(r *Root) { delete(r.Settings, "plan") }, "setting plan is missing"},
		{"an unknown setting", func(r *Root) { r.Settings["colour"] = "red" }, "setting colour is unknown"},
		{"the devices as a setting", func(r *Root) { r.Settings["devices"] = "x" }, "setting devices is unknown"},
		{"a value without meaning", func(r *Root) { r.Settings["metro"] = struct{}{} }, "setting metro"},
		{"a bad name", func(r *Root) { r.Servers = []Server{{Name: "a_b"}} }, `"a_b"`},
		{"a name twice", func(r *Root) { r.Servers = []Server{{Name: "a"}, {Name: "a"}} }, "server a is there twice"},
		{"an import of nothing", func(r *Root) { r.Imports = map[string]string{"a": "1"} }, "import of a"},
		{"a provider setting without meaning", func(r *Root) { r.Provider = map[string]any{"endpoint": struct{}{}} }, "provider equinix: setting endpoint"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := Root{Module: packet(t), Settings: good()}
			tt.change(&root)
			if _, err := Render(root); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

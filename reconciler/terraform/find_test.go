package terraform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// script writes a program that says this of its version.
func script(t *testing.T, path, says string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\necho '%s'\n", says), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// onPath looks programs up in a folder that stands for PATH; a name with a
// slash is a path, as with exec.LookPath.
func onPath(dir string) func(string) (string, error) {
	return func(name string) (string, error) {
		if !strings.Contains(name, "/") {
			name = filepath.Join(dir, name)
		}
		return exec.LookPath(name)
	}
}

func noInstall(context.Context, string, string) (string, error) {
	return "", errors.New("the network was asked")
}

func TestFindInOrder(t *testing.T) {
	dir := t.TempDir()
	path, data := filepath.Join(dir, "path"), filepath.Join(dir, "data")
	options := FindOptions{Dir: data, Version: "1.9.9", LookPath: onPath(path), Install: noInstall}
	steps := []struct {
		name string
		add  func()
		want Binary
	}{
		{"installed before", func() { script(t, filepath.Join(data, "terraform-1.9.9", "terraform"), "Terraform v1.9.9") },
			Binary{filepath.Join(data, "terraform-1.9.9", "terraform"), Terraform, "1.9.9"}},
		{"tofu on PATH", func() { script(t, filepath.Join(path, "tofu"), "OpenTofu v1.10.3") },
			Binary{filepath.Join(path, "tofu"), Tofu, "1.10.3"}},
		{"terraform on PATH", func() { script(t, filepath.Join(path, "terraform"), "Terraform v1.7.0") },
			Binary{filepath.Join(path, "terraform"), Terraform, "1.7.0"}},
		{"named", func() { options.Binary = script(t, filepath.Join(dir, "mine"), "OpenTofu v1.8.0") },
			Binary{filepath.Join(dir, "mine"), Tofu, "1.8.0"}},
	}
	if _, err := Find(t.Context(), options); err == nil || !strings.Contains(err.Error(), "the network was asked") {
		t.Errorf("with none anywhere: %v, want an attempt to install", err)
	}
	for _, step := range steps {
		step.add()
		got, err := Find(t.Context(), options)
		if err != nil || got != step.want {
			t.Errorf("%s: %v, %v; want %v", step.name, got, err, step.want)
		}
	}
}

func TestFindInstallsOnce(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	installs := 0
	options := FindOptions{Dir: data, LookPath: onPath(t.TempDir()), Install: func(_ context.Context, version, dir string) (string, error) {
		installs++
		return script(t, filepath.Join(dir, "terraform"), "Terraform v"+version), nil
	}}
	for range 2 {
		b, err := Find(t.Context(), options)
		if err != nil || b.Version != PinnedVersion {
			t.Fatalf("%v, %v", b, err)
		}
	}
	entries, _ := os.ReadDir(data)
	if installs != 1 || len(entries) != 1 {
		t.Errorf("%d installations, %v in the folder; want one, and nothing else", installs, entries)
	}
}

func TestFindRefuses(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name, binary, want string
	}{
		{"a binary that is not there", filepath.Join(dir, "gone"), "DRONE_TERRAFORM_BINARY=" + filepath.Join(dir, "gone")},
		{"an old terraform", script(t, filepath.Join(dir, "old"), "Terraform v1.6.6"), "terraform 1.6.6 at " + filepath.Join(dir, "old") + " is too old: hangar needs terraform 1.7"},
		{"an old tofu", script(t, filepath.Join(dir, "oldtofu"), "OpenTofu v1.7.9"), "tofu 1.7.9"},
		{"something else", script(t, filepath.Join(dir, "else"), "Packer v1.9.0"), `neither terraform nor tofu: its version says "Packer v1.9.0"`},
		{"a strange version", script(t, filepath.Join(dir, "strange"), "Terraform vNext"), `version "Next"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Find(t.Context(), FindOptions{Binary: tt.binary, Install: noInstall})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	// An old one on PATH is not passed over in silence.
	path := filepath.Join(dir, "path")
	script(t, filepath.Join(path, "terraform"), "Terraform v0.12.31")
	script(t, filepath.Join(path, "tofu"), "OpenTofu v1.10.0")
	if _, err := Find(t.Context(), FindOptions{LookPath: onPath(path), Install: noInstall}); err == nil || !strings.Contains(err.Error(), "0.12.31") {
		t.Errorf("got %v, want the old terraform refused", err)
	}
}

func TestEnvironment(t *testing.T) {
	all := map[string]string{"PATH": "/bin", "HTTPS_PROXY": "p", "MY_CA": "c", "DRONE_RPC_SECRET": "s", "AWS_SECRET_ACCESS_KEY": "a"}
	lookup := func(name string) (string, bool) { v, ok := all[name]; return v, ok }
	env, err := Environment(lookup, []string{"MY_CA", "NOT_SET"})
	if err != nil || len(env) != 3 || env["PATH"] != "/bin" || env["HTTPS_PROXY"] != "p" || env["MY_CA"] != "c" {
		t.Errorf("got %v, %v", env, err)
	}
	all["TF_VAR_x"] = "1"
	if _, err := Environment(lookup, []string{"TF_VAR_x"}); err == nil || !strings.Contains(err.Error(), "TF_VAR_x") {
		t.Errorf("got %v, want TF_VAR_x refused", err)
	}
}

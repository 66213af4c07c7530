package simulator

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestMirror(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "registry.terraform.io", "equinix", "equinix", "4.16.1", runtime.GOOS+"_"+runtime.GOARCH)
	program := filepath.Join(folder, "terraform-provider-equinix_v4.16.1")
	if err := Mirror(dir, Waits{FirstPoll: time.Second}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(program); err != nil { // an older build of the program
		t.Fatal(err)
	}
	write(t, program, "old")
	for range 2 {
		if err := Mirror(dir, Waits{FirstPoll: time.Second}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(program)
		if err != nil {
			t.Fatal(err)
		}
		executable, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		own, err := os.Stat(executable)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != own.Size() || info.Mode()&0o100 == 0 {
			t.Errorf("%s is no copy of this program: %v", program, info)
		}
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 2 {
		t.Errorf("mirror holds %v, %v; want the program and its waits", entries, err)
	}
}

func TestCopyProgram(t *testing.T) {
	dir := t.TempDir()
	source, target := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, source, "program")
	if err := copyProgram(source, target); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(target)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("copy is %v, %v", info, err)
	}
	if data, err := os.ReadFile(target); err != nil || string(data) != "program" {
		t.Errorf("copy holds %q, %v", data, err)
	}
}

func TestIsProvider(t *testing.T) {
	for arg0, want := range map[string]bool{
		"hangar": false, "/usr/bin/hangar": false, "/m/terraform-provider-equinix/hangar": false,
		"/m/terraform-provider-equinix_v4.16.1": true, "terraform-provider-equinix": true,
	} {
		if got := IsProvider(arg0); got != want {
			t.Errorf("IsProvider(%q) = %v", arg0, got)
		}
	}
}

func TestWaitsAreReal(t *testing.T) {
	got := Waits{NextPoll: time.Minute}.orReal()
	want := Waits{
		FirstPoll: 10 * time.Second, NextPoll: time.Minute, MaxPoll: 10 * time.Second,
		FirstRetry: time.Second, MaxRetry: 30 * time.Second,
	}
	if got != want {
		t.Errorf("waits are %+v, want %+v", got, want)
	}
}

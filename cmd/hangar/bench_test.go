package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/simulator"
)

// The parts of the bench that can be had in seconds, each by a hangar of its own.
func TestBench(t *testing.T) {
	for args, want := range map[string][]string{
		"hook --hooks 1":                       {"to the create request, median", "hangar's own share, median"},
		"burst --bursts 2 --boot-time 1s":      {"2 servers, plain terraform", "2 servers, hangar, until builds run on all", "2 servers, memory of all hangar's processes, at most"},
		"census --devices 20 --boot-time 10ms": {"20 machines"},
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			need(t, "terraform")
			env := environ(os.Environ())
			env["HANGAR_TEST_MAIN"] = "1" // the child is this test, too
			mirror := t.TempDir()
			if err := simulator.Mirror(mirror, quick); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := run(t.Context(), append([]string{"bench", "--json", "--mirror", mirror}, strings.Fields(args)...), env, &out, io.Discard); err != nil {
				t.Fatal(err)
			}
			var figures []figure
			if err := json.Unmarshal(out.Bytes(), &figures); err != nil {
				t.Fatal(err, out.String())
			}
			values := map[string]float64{}
			for _, f := range figures {
				values[f.What] = f.Value
			}
			for _, what := range want {
				if values[what] <= 0 {
					t.Errorf("%s is not told, or %g: %+v", what, values[what], figures)
				}
			}
		})
	}
}

func TestBenchMistakes(t *testing.T) {
	err := run(t.Context(), []string{"bench", "--bursts", "0", "--hooks", "0", "--idle", "1ms"}, map[string]string{}, io.Discard, io.Discard)
	for _, says := range []string{"--bursts=0: want", "--hooks=0: want", "--idle=1ms: want"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
}

// A process is looked at with those that it started: what they take, use and
// write.
func TestLook(t *testing.T) {
	file := t.TempDir() + "/file"
	cmd := exec.Command("sh", "-c", `head -c 20000000 /dev/zero >`+file+`; sync `+file+`; while :; do :; done & x=$(head -c 30000000 /dev/zero | tr '\0' x); echo ready; wait`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		below, _ := offspring()
		for _, pid := range below[cmd.Process.Pid] {
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill()
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if _, err := io.ReadAtLeast(out, make([]byte, 5), 5); err != nil {
		t.Fatal(err)
	}
	before, err := look(cmd.Process.Pid, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(before.Names) != 1 || before.Names[0] != "sh" {
		t.Errorf("its children are %v", before.Names)
	}
	if before.Memory < 30e6 || before.Memory > 300e6 {
		t.Errorf("it takes %d bytes; it holds 30,000,000", before.Memory)
	}
	deadline := time.Now().Add(20 * time.Second)
	for after := before; after.CPU < before.CPU+50*time.Millisecond; time.Sleep(10 * time.Millisecond) {
		if after, err = look(cmd.Process.Pid, false); err != nil || time.Now().After(deadline) {
			t.Fatalf("a loop of its uses no processor: %s, then %s, %v", before.CPU, after.CPU, err)
		}
	}
	if _, err := look(1<<30, false); err == nil {
		t.Error("a process that is not there was looked at")
	}
}

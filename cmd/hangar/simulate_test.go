package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"strings"
	"testing"
	"time"

	"hangar/reconciler/simulator"
	"hangar/state"
)

func TestSimulate(t *testing.T) {
	t.Parallel()
	needTerraform(t)
	var out, log bytes.Buffer
	err := run(t.Context(), []string{"simulate", "--builds", "6", "--exit", "--http", "127.0.0.1:0", "--build-time", "5s", "--boot-time", "500ms"},
		environ([]string{"PATH=" + pathOf(t)}), &out, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	var got result
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("%v: want one line of JSON, got %q", err, out.String())
	}
	want := result{Builds: 6, Succeeded: 6, Created: 3, Destroyed: 2, Devices: 1, Seconds: got.Seconds}
	if got != want {
		t.Errorf("got %+v, want %+v\n%s", got, want, log.String())
	}
}

var wayIn = regexp.MustCompile(`(http://\S+/ui)/login\?once=\S+`)

// What a simulation prints opens its page, with all buttons, once.
func TestSimulateInvitesOnce(t *testing.T) {
	needTerraform(t)
	ctx, cancel := context.WithCancel(t.Context())
	var log logged
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"simulate", "--builds", "0", "--min", "0", "--http", "127.0.0.1:0"}, environ([]string{"PATH=" + pathOf(t)}), io.Discard, &log)
	}()
	log.address(t)
	link := wayIn.FindStringSubmatch(log.String())
	if link == nil {
		t.Fatalf("there is no way in:\n%s", log.String())
	}
	for _, want := range []bool{true, false} {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := (&http.Client{Jar: jar}).Get(link[0])
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		in := answer.StatusCode == 200 && answer.Request.URL.String() == link[1] && strings.Contains(string(body), "Sign out")
		if err != nil || in != want {
			t.Errorf("in %t, want %t: %d at %s, %v", in, want, answer.StatusCode, answer.Request.URL.Path, err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, token, _ := strings.Cut(link[0], "once="); strings.Count(log.String(), token) != 1 {
		t.Error("the way in is told more than once")
	}
}

func TestSimulateMistakes(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"minimum above maximum", []string{"--min", "5", "--max", "4"}, "--min=5 is above --max=4"},
		{"negative builds", []string{"--builds=-1"}, "--builds=-1: want 0 or more"},
		{"mirror without the real provider", []string{"--mirror", "x"}, "--mirror=x: goes with --provider real only"},
		{"unknown provider", []string{"--provider", "other"}, "--provider"},
		{"bad port", []string{"--http", "nowhere"}, "DRONE_HTTP_PORT=nowhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), append([]string{"simulate"}, tt.args...), map[string]string{}, &out, &out)
			if err == nil || !strings.Contains(err.Error(), tt.want) || exitCode(err) != 2 {
				t.Errorf("err = %v (exit code %d), want %q and 2", err, exitCode(err), tt.want)
			}
		})
	}
}

// A simulation that gets nowhere ends, and says so.
func TestSimulateGivesUp(t *testing.T) {
	needTerraform(t)
	var out bytes.Buffer
	err := run(t.Context(), []string{"simulate", "--exit", "--http", "127.0.0.1:0", "--provider", "real", "--mirror", t.TempDir(), "--within", "2s"},
		environ([]string{"PATH=" + pathOf(t)}), &out, &out)
	if err == nil || !strings.Contains(err.Error(), "did not end within 2s") || exitCode(err) != 1 {
		t.Errorf("err = %v", err)
	}
}

func TestPicture(t *testing.T) {
	snap := state.Snapshot{Servers: []state.Server{{
		Name: "agent-aaaaaaaa", Phase: state.Creating, Reason: "3 stages wait",
		Progress: state.Progress{Action: "create", Elapsed: 40 * time.Second},
	}}}
	runs := []state.Run{{ID: 12, Stack: "default-aaaaaaaa", Phase: state.RunApplying, Creates: []string{"agent-aaaaaaaa"}, Verdict: "passed"}}
	lines := picture(simulator.Stats{Waiting: 3, Alive: 1, Created: 1}, snap, runs, 61*time.Second)
	text := strings.Join(lines, "\n")
	for _, want := range []string{"1m1s", "3 waiting", "agent-aaaaaaaa   creating  create, 40s", "3 stages wait", "12    default-aaaaaaaa   applying    1"} {
		if !strings.Contains(text, want) {
			t.Errorf("the picture has no %q:\n%s", want, text)
		}
	}
	var out bytes.Buffer
	d := display{out: &out, width: func() int { return 20 }}
	d.draw(lines)
	d.draw(lines)
	if want := "\x1b[" + itoa(len(lines)) + "A"; !strings.Contains(out.String(), want) {
		t.Errorf("the second picture does not replace the first: no %q", want)
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if plain := strings.TrimPrefix(strings.TrimPrefix(line, "\x1b["+itoa(len(lines))+"A"), "\r\x1b[K"); len([]rune(plain)) > 20 && !strings.HasPrefix(plain, "\x1b") {
			t.Errorf("line %q is wider than the terminal", plain)
		}
	}
}
